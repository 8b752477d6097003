"""What the first bytes of a JPEG or PNG say, before any pixel is decoded."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from .orientation import EXIF_MARK, XMP_MARK, orientation, raw_profile

PNG = b"\x89PNG\r\n\x1a\n"
_FRAME = struct.Struct(">BHHB")
_FRAMES = frozenset([*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7])
_CODING = {0xC3: "lossless JPEG", 0xC7: "lossless JPEG", 0xCB: "lossless JPEG", 0xF7: "JPEG-LS"}
_MAX_TEXT = 1 << 20  # inflated metadata beyond this says nothing we want


class Header(NamedTuple):  # a frozen dataclass takes a microsecond longer to make, of the twenty that a thumbnail takes
    """A JPEG's frame header, or a PNG's IHDR with what its further chunks add."""

    format: str  # "JPEG" or "PNG"
    width: int
    height: int
    channels: int
    bits: int
    whole: bool  # it ends as a whole file ends, with nothing behind
    orientation: int = 1  # by EXIF or XMP
    palette: bool = False
    alpha: bool = False
    animated: bool = False
    coding: str = "JPEG"  # or "lossless JPEG", "JPEG-LS"


def read_header(raw: bytes) -> Header | None:
    """The header of a JPEG or PNG; None for any other format or a damaged header."""
    if raw[:2] == b"\xff\xd8":
        return _jpeg(raw)
    if raw[:8] == PNG and raw[12:16] == b"IHDR" and len(raw) >= 33:
        return _png(raw)
    return None


def _jpeg(raw: bytes) -> Header | None:
    """Walk the marker segments to the first scan, past the frame header (SOF) and what names the orientation."""
    at, end = 2, len(raw) - 9
    frame, exif, xmp = None, b"", b""
    while at < end and raw[at] == 0xFF:
        marker = raw[at + 1]
        if marker in _FRAMES:
            frame = frame or (marker, *_FRAME.unpack_from(raw, at + 4))
            if raw.find(b"\xff\xe1", at, raw.find(b"\xff\xda", at)) < 0:  # no metadata before the scan
                break
        elif marker == 0xE1:
            payload = raw[at + 4 : at + 2 + (raw[at + 2] << 8 | raw[at + 3])]
            if payload.startswith(EXIF_MARK):
                exif = exif or payload
            elif payload.startswith(XMP_MARK):
                xmp = payload
        elif marker == 0xFF:  # fill byte
            at += 1
            continue
        elif marker in (0xD9, 0xDA):
            break
        at += 2 + (raw[at + 2] << 8 | raw[at + 3])
    if frame is None:
        return None
    marker, bits, height, width, channels = frame
    turn = orientation(exif, xmp) if exif or xmp else 1
    coding = _CODING.get(marker, "JPEG")
    return Header("JPEG", width, height, channels, bits, raw.endswith(b"\xff\xd9"), turn, coding=coding)


def _png(raw: bytes) -> Header:
    """Walk the chunks. OpenCV spends ten seconds on a length that points outside, so `whole` asks that they fill it."""
    width, height, bits, colour = struct.unpack(">IIBB", raw[16:26])
    channels = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(colour, 0)
    alpha, animated, whole = colour in (4, 6), False, False
    found: dict[str, bytes] = {}
    at = len(PNG)
    while at + 12 <= len(raw):
        length, kind = struct.unpack(">I4s", raw[at : at + 8])
        if kind in _TOLD:
            alpha = alpha or kind == b"tRNS"
            animated = animated or kind == b"acTL"
            body = raw[at + 8 : at + 8 + length]
            if kind == b"eXIf":
                found["exif"] = body
            elif kind in (b"tEXt", b"zTXt", b"iTXt"):
                found |= _png_text(kind, body)
        at += 12 + length
        if kind == b"IEND":
            whole = at == len(raw)
            break
    turn = orientation(found.get("exif") or found.get("profile", b""), found.get("xmp", b"")) if found else 1
    return Header("PNG", width, height, channels, bits, whole, turn, colour == 3, alpha, animated)


_TOLD = (b"tRNS", b"acTL", b"eXIf", b"tEXt", b"zTXt", b"iTXt")


def _png_text(kind: bytes, body: bytes) -> dict[str, bytes]:
    """EXIF or XMP in a text chunk; nothing for any other text."""
    keyword, _, rest = body.partition(b"\0")
    name = {b"XML:com.adobe.xmp": "xmp", b"Raw profile type exif": "profile", b"Raw profile type APP1": "profile"}
    if keyword not in name or not rest:
        return {}
    packed = kind == b"zTXt"
    if kind == b"iTXt":
        packed, rest = rest[0] == 1, rest[2:].split(b"\0", 2)[-1]  # flag, method, language, translated keyword
    elif packed:
        rest = rest[1:]
    if packed:
        try:
            rest = zlib.decompressobj().decompress(rest, _MAX_TEXT)
        except zlib.error:
            return {}
    return {name[keyword]: raw_profile(rest) if name[keyword] == "profile" else rest}
