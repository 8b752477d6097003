"""JPEG 2000 beyond 8 bits, and below.

Pillow wraps what is nearly white in colours of more than 8 bits (65535 becomes 0), takes 9 bits in a JP2 for 8, and
shifts fewer than 8 bits up, so that white is 128 of one bit. OpenCV reads the former unscaled; the latter is mended.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np

from ..dataset import Image
from .kinds import Unread
from .levels import grey_to_rgb, to_8_bits

_SIGNATURES = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")
_BILEVEL, _CMYK, _RGB, _GREY, _YCC = (0, 15), 12, 16, 17, 18  # enumerated colour spaces that Pillow knows


@dataclass(frozen=True)
class Components:
    """What the codestream's SIZ segment says of the components, and the file's colour space."""

    width: int
    height: int
    bits: tuple[int, ...]
    signed: bool
    subsampled: bool
    space: int | None  # enumerated colour space; None where the file names none
    palette: bool


def read_components(raw: bytes) -> Components | None:
    """None for a file that is no JPEG 2000, or a damaged one."""
    if not raw.startswith(_SIGNATURES):
        return None
    at = raw.find(b"\xff\x4f\xff\x51")
    try:
        right, below, left, top = struct.unpack_from(">4I", raw, at + 8)
        (count,) = struct.unpack_from(">H", raw, at + 40)
        parts = [struct.unpack_from(">BBB", raw, at + 42 + 3 * i) for i in range(min(count, 64))]
    except struct.error:
        return None
    header, space = raw[:at], None
    found = header.find(b"colr")
    if found >= 0 and header[found + 4 : found + 5] == b"\x01":
        space = int.from_bytes(header[found + 7 : found + 11], "big")
    return Components(
        width=right - left,
        height=below - top,
        bits=tuple((depth & 127) + 1 for depth, _, _ in parts),
        signed=any(depth & 128 for depth, _, _ in parts),
        subsampled=any((x, y) != (1, 1) for _, x, y in parts),
        space=space,
        palette=b"pclr" in header,
    )


def odd_depth(raw: bytes, found: Components) -> Image | None:
    """RGB of a picture of other depths than 8; None where Pillow reads it right. Raises `Unread`."""
    if found.space not in (None, *_BILEVEL, _CMYK, _RGB, _GREY, _YCC):
        raise Unread(f"a JPEG 2000 picture in colour space {found.space}", "convert it to RGB")
    colours = found.bits[:3] if len(found.bits) >= 3 else found.bits[:1]
    if found.signed:
        raise Unread("a JPEG 2000 picture of signed samples")
    if not colours or len(found.bits) > 4 or len(set(colours)) > 1:
        raise Unread(f"a JPEG 2000 picture of {len(found.bits)} components of {found.bits} bits")
    if set(colours) == {8}:
        return None
    plain = not found.subsampled and not found.palette and found.space in (None, _RGB, _GREY)
    if not plain or len(found.bits) == 2 or colours[0] > 16:
        raise Unread(f"a JPEG 2000 picture of {colours[0]} bits in this colour space")
    if colours[0] < 8 or (len(found.bits) == 1 and colours[0] > 9):
        return None  # the former is `stretched`, the latter Pillow scales to 16 bits
    deep = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED)
    if deep is None or deep.dtype != np.uint16 or deep.shape[:2] != (found.height, found.width):
        raise ValueError("its code blocks cannot be decoded")
    if deep.ndim == 2:
        return grey_to_rgb(to_8_bits(deep, colours[0]))
    return to_8_bits(np.ascontiguousarray(deep[..., 2::-1]), colours[0])


def stretched(image: Image, found: Components) -> Image:
    """Undo Pillow's shift of depths below 8: v << (8 - bits) to 255 v / (2**bits - 1)."""
    bits = found.bits[0]
    return to_8_bits(image >> (8 - bits), bits) if bits < 8 else image
