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
from ..dataset import Dataset, Image, Indices
from ..parts.identity import content_hash
from ..pictures.declared import declared
from ..pictures.decode import MAX_PIXELS, decode_bytes, formats_for
from ..pictures.headers import read_header
from ..pictures.kinds import NAMED
from ..pictures.unread import Unread
from ..table import as_pictures
from .duplicates import Look, look_of

FATAL = ("empty", "truncated", "undecodable", "bomb", "altered")  # training must not read these
LOSSY = ("cmyk", "16-bit", "alpha")  # what conversion to RGB of 8 bits loses
ADVICE = ("repaired", "wrong-extension", *LOSSY, "animated", "exif-rotated", "tiny", "odd-size", "extreme-aspect")
MAX_ASPECT = 4.0
_REPAIRS = (
    "Corrupt JPEG",
    "Premature end of JPEG",
    "Fax3Dec",
    "Fax4Dec",
)  # libjpeg and libtiff begin so


@dataclass(frozen=True)
class Facts:
    """What was found out about picture `index`. `faults` are (kind, detail) pairs."""

    index: int
    sha256: str
    width: int
    height: int
    faults: tuple[tuple[str, str], ...]
    look: Look | None  # None for what cannot be decoded


class Inspector:
    """A chunk of indices to a list of `Facts`; picklable, so worker processes can have it."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = as_pictures(dataset)

    def __call__(self, chunk: Indices) -> list[Facts]:
        return [self.one(int(i)) for i in chunk]

    def one(self, i: int) -> Facts:
        """Everything about picture `i`; never raises for a bad one."""
        name = self.dataset.ids[i]
        if self.dataset.reader.altered(int(self.dataset.where[i])):
            return Facts(i, "", 0, 0, (("altered", "its bytes are not those that were packed"),), None)
        try:
            raw = self.dataset.raw(i)
            if raw is None:
                image, _ = self.dataset.read(i)
                return Facts(i, content_hash(None, image), image.shape[1], image.shape[0], (), look_of(image))
        except UserError as error:
            return Facts(i, "", 0, 0, (("undecodable", _reason(error)),), None)
        return inspect_bytes(raw, name, i)


def inspect_bytes(raw: bytes, name: str, index: int = 0) -> Facts:
    """The facts of one encoded picture; `name` gives the extension to compare with."""
    digest = content_hash(raw, None)
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
    faults: list[tuple[str, str]] = []
    extension = os.path.splitext(name)[1][1:].lower()
    if found.format in NAMED and extension and extension not in NAMED[found.format].split():
        faults.append(("wrong-extension", f"{found.format} named .{extension}"))
    if found.cmyk:
        faults.append(("cmyk", "converted to RGB"))
    if found.bits > 8:
        faults.append(("16-bit", f"{found.bits} bits scaled to 8 bits"))
    if found.alpha:
        faults.append(("alpha", "transparency dropped"))
    if found.frames > 1:
        faults.append(("animated", f"{found.frames} frames; the first is used"))
    if found.orientation != 1:
        faults.append(("exif-rotated", f"orientation {found.orientation}; turned upright"))
    return width, height, faults


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
