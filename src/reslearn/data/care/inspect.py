"""One picture under the loupe: what its header says, whether it decodes whole, and how it looks to a hash."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image as Pillow

from ...spec.errors import UserError
from ..dataset import Image, Indices
from ..formats.decode import MAX_PIXELS, decode_bytes, formats_for
from ..parts.keys import content_hash
from ..pictures.declared import declared
from ..pictures.headers import read_header
from ..pictures.kinds import NAMED, Unread
from ..table import Pictures
from .duplicates import Look, look_of

FATAL = ("empty", "truncated", "undecodable", "bomb", "altered")  # training must not read these
LOSSY = ("cmyk", "16-bit", "alpha")  # what conversion to RGB of 8 bits loses
ADVICE = ("repaired", "wrong-extension", *LOSSY, "animated", "exif-rotated", "tiny", "odd-size", "extreme-aspect")
MAX_ASPECT = 4.0
_REPAIRS = ("Corrupt JPEG", "Premature end of JPEG", "Fax3Dec", "Fax4Dec")  # libjpeg and libtiff begin so


@dataclass(frozen=True)
class Facts:
    """What was found out about picture `index`. `faults` are (kind, detail) pairs."""

    index: int
    sha256: str
    width: int
    height: int
    faults: tuple[tuple[str, str], ...]
    look: Look | None  # None for what cannot be decoded


def inspect_all(pictures: Pictures, chunk: Indices) -> list[Facts]:
    """Everything about the pictures in a chunk of indices; never raises for a bad one."""
    return [_inspect(pictures, int(i)) for i in chunk]


def _inspect(pictures: Pictures, i: int) -> Facts:
    if pictures.reader.altered(int(pictures.where[i])):
        return Facts(i, "", 0, 0, (("altered", "its bytes are not those that were packed"),), None)
    try:
        raw = pictures.raw(i)
        if raw is None:
            image, _ = pictures.read(i)
            return Facts(i, content_hash(image), image.shape[1], image.shape[0], (), look_of(image))
    except UserError as error:
        return Facts(i, "", 0, 0, (("undecodable", _reason(error)),), None)
    return inspect_bytes(raw, pictures.ids[i], i)


def inspect_bytes(raw: bytes, name: str, index: int = 0) -> Facts:
    """The facts of one encoded picture; `name` gives the extension to compare with."""
    digest = content_hash(raw)
    if not raw:
        return Facts(index, digest, 0, 0, (("empty", "0 bytes"),), None)
    width, height, faults = _header_faults(raw, name)
    if any(kind == "bomb" for kind, _ in faults):
        return Facts(index, digest, width, height, tuple(faults), None)
    image, messages, error = _decode(raw, name)
    if image is None:
        kind = "truncated" if _is_truncated(raw, error) else "undecodable"
        return Facts(index, digest, width, height, ((kind, error), *faults), None)
    repaired = [line for line in messages.split("\n") if line.startswith(_REPAIRS)]
    if repaired:
        faults.insert(0, ("repaired", repaired[0].strip()))
    height, width = image.shape[:2]
    if max(height, width) > MAX_ASPECT * min(height, width):
        faults.append(("extreme-aspect", f"{width}x{height}"))
    return Facts(index, digest, width, height, tuple(faults), look_of(image))


def _header_faults(raw: bytes, name: str) -> tuple[int, int, list[tuple[str, str]]]:
    """(width, height, faults) by the header alone; zeros where it cannot be read."""
    header = read_header(raw)
    if header is not None and header.width * header.height > MAX_PIXELS:
        return header.width, header.height, [("bomb", f"{header.width}x{header.height} pixels")]
    try:
        found = declared(raw, formats_for(raw))
    except Pillow.DecompressionBombError as error:
        return 0, 0, [("bomb", str(error).split(",")[0])]
    except Unread:
        found = None
    if found is None:
        return 0, 0, []
    width, height = found.width, found.height
    if width * height > MAX_PIXELS:
        return width, height, [("bomb", f"{width}x{height} pixels")]
    extension = os.path.splitext(name)[1][1:].lower()
    misnamed = found.format in NAMED and extension and extension not in NAMED[found.format].split()
    faults = (
        (misnamed, "wrong-extension", f"{found.format} named .{extension}"),
        (found.cmyk, "cmyk", "converted to RGB"),
        (found.bits > 8, "16-bit", f"{found.bits} bits scaled to 8 bits"),
        (found.alpha, "alpha", "transparency dropped"),
        (found.frames > 1, "animated", f"{found.frames} frames; the first is used"),
        (found.orientation != 1, "exif-rotated", f"orientation {found.orientation}; turned upright"),
    )
    return width, height, [(kind, detail) for there, kind, detail in faults if there]


def _decode(raw: bytes, name: str) -> tuple[Image | None, str, str]:
    """(picture or None, what the decoder wrote on standard error, the error)."""
    with _captured() as messages:
        try:
            image: Image | None = decode_bytes(raw, name)
            error = ""
        except UserError as failure:
            image, error = None, _reason(failure)
        if image is not None and raw[:2] == b"\xff\xd8" and not messages():
            # a CMYK or 12-bit JPEG went through Pillow, which repairs in silence; libjpeg's own words come this way
            header = read_header(raw)
            if header is None or header.channels not in (1, 3) or not raw.endswith(b"\xff\xd9"):
                with contextlib.suppress(cv2.error):
                    cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
        return image, messages(), error


@contextlib.contextmanager
def _captured() -> Iterator[Any]:
    """Catch what C libraries write to file descriptor 2; yields a function that returns it so far."""
    with tempfile.TemporaryFile() as file:
        saved = os.dup(2)
        os.dup2(file.fileno(), 2)

        def read() -> str:
            file.seek(0)
            return file.read().decode(errors="replace")

        try:
            yield read
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _is_truncated(raw: bytes, error: str) -> bool:
    if "truncated file read" in error.lower() or "image file is truncated" in error:
        return True
    end = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND"}.get(raw[:2])
    return end is not None and end not in raw[-64:] and read_header(raw) is not None


def _reason(error: UserError) -> str:
    """The error without the file's name in front, which stands beside it anyway."""
    return str(error).split(": ", 1)[-1]
