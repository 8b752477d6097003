"""What the files of an export are called."""

from __future__ import annotations

import os

from ..pictures.kinds import EXTENSIONS

_BEGIN = {
    b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"BM": ".bmp", b"II*\0": ".tif", b"MM\0*": ".tif",
}  # fmt: skip


def extension_of(data: bytes, name: str) -> str:
    """The extension of an encoded picture: what its bytes say, else what its name has, else `.png`."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    found = next((extension for start, extension in _BEGIN.items() if data.startswith(start)), None)
    own = os.path.splitext(name)[1].lower()
    return found or (own if own in EXTENSIONS else ".png")


def base_name(name: str) -> str:
    """The last part of an identity without its extension, as a file may be called anywhere."""
    base = os.path.splitext(name.replace(":", "/").rpartition("/")[2])[0]
    return "".join(char if char.isalnum() or char in "-_." else "_" for char in base).strip(".") or "picture"
