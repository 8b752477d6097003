"""Which way up a picture is: EXIF's tag 274, else XMP's `tiff:Orientation`; and the turn itself.

Metadata is often rubbish, and a whole picture is not refused for it: what cannot be understood says nothing.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from PIL import Image as Pillow

ORIENTATION = 0x112
EXIF_MARK = b"Exif\0\0"
XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
_NUMBERS = {1: "B", 3: "H", 4: "I", 5: "II", 6: "b", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d"}  # field types in use
_XMP = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([0-9]+)")


def exif_orientation(block: bytes) -> int | None:
    """The tag in IFD 0 of an EXIF block (with or without `Exif\\0\\0`): 1..8; 1 for a number outside; None without."""
    start = 0
    while block.startswith(EXIF_MARK, start):  # some write it twice
        start += len(EXIF_MARK)
    block = block[start:]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return None
    try:
        (at,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from(order + "HHI", block, entry)
            if tag == ORIENTATION:
                return _number(block, order, kind, number, entry + 8)
    except struct.error:
        return None
    return None


def _number(block: bytes, order: str, kind: int, number: int, at: int) -> int | None:
    """The first of the `number` values of an entry; they lie in it, at `at`, if four bytes hold them."""
    if kind not in _NUMBERS or number < 1:
        return None
    code = order + _NUMBERS[kind]
    if struct.calcsize(code) * number > 4:
        (at,) = struct.unpack_from(order + "I", block, at)
    value, *divisor = struct.unpack_from(code, block, at)
    return _valid(value / divisor[0] if divisor and divisor[0] else value)


def orientation(exif: bytes, xmp: bytes) -> int:
    """EXIF's word where it has one, else XMP's, else 1 (as Pillow's `exif_transpose`)."""
    found = exif_orientation(exif)
    told = None if found else _XMP.search(xmp)
    return found or (_valid(int(told[1][-2:])) if told and not told[1][:-2].strip(b"0") else 1)


def of_pillow(image: Pillow.Image) -> int:
    """`orientation` of what Pillow found in a file."""
    exif, xmp = (image.info.get(name) for name in ("exif", "xmp"))
    return orientation(exif if isinstance(exif, bytes) else b"", xmp if isinstance(xmp, bytes) else b"")


def raw_profile(text: bytes) -> bytes:
    """The bytes of ImageMagick's `Raw profile type ...` text: a blank line, a name, a length, then hexadecimal."""
    try:
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        return b""


def upright(image: np.ndarray[Any, np.dtype[Any]], turn: int) -> np.ndarray[Any, np.dtype[Any]]:
    """(H, W[, C]) turned as orientation `turn` (1..8) asks; sides change places from 5 on."""
    return image if turn == 1 else np.asarray(_TURNS[turn](image))


_TURNS: dict[int, Callable[[Any], Any]] = {
    2: lambda image: cv2.flip(image, 1),
    3: lambda image: cv2.rotate(image, cv2.ROTATE_180),
    4: lambda image: cv2.flip(image, 0),
    5: cv2.transpose,
    6: lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
    7: lambda image: cv2.rotate(cv2.transpose(image), cv2.ROTATE_180),
    8: lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


def _valid(value: float) -> int:
    return int(value) if value in range(1, 9) else 1
