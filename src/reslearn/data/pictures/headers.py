"""What the first bytes of a JPEG or PNG say, before any pixel is decoded; in a time that no file can make long."""

from __future__ import annotations

import re
import struct
import zlib
from typing import NamedTuple

from .orientation import EXIF_MARK, XMP_MARK, orientation, raw_profile

PNG = b"\x89PNG\r\n\x1a\n"
_FRAME = struct.Struct(">BHHB")
_FRAMES = frozenset([*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7])
_CODING = {0xC3: "lossless JPEG", 0xC7: "lossless JPEG", 0xCB: "lossless JPEG", 0xF7: "JPEG-LS"}
_MAX_TEXT = 1 << 20  # inflated metadata beyond this says nothing we want
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
MOST_SEGMENTS = 1 << 16  # of a file; what has more was made to keep its readers busy
MOST_SCANS = 256  # of a progressive JPEG, likewise: each goes over all pixels, and may be ten bytes
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # beside those that the data of a scan hold


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
    text: bool = False  # a PNG with text chunks, which no pixel needs
    excess: str = ""  # what it has more of than a picture needs; it is not to be decoded


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
    frame, exif, xmp, excess, steps = None, b"", b"", "", 0
    while at < end and raw[at] == 0xFF:
        marker, steps = raw[at + 1], steps + 1
        if steps > MOST_SEGMENTS:
            excess = f"over {MOST_SEGMENTS:,} segments"
            break
        if marker in _FRAMES and frame is None:
            frame = (marker, *_FRAME.unpack_from(raw, at + 4))
            if marker in _PROGRESSIVE and _has_too_many_scans(raw, at):
                excess = f"over {MOST_SCANS} scans"
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
        return Header("JPEG", 0, 0, 0, 0, whole=False, excess=excess) if excess else None
    marker, bits, height, width, channels = frame
    turn = orientation(exif, xmp) if exif or xmp else 1
    coding = _CODING.get(marker, "JPEG")
    whole = raw.endswith(b"\xff\xd9")
    return Header("JPEG", width, height, channels, bits, whole, turn, coding=coding, excess=excess)


def _has_too_many_scans(raw: bytes, at: int) -> bool:
    """Whether the frame that begins at `at` has more scans than it may."""
    if raw.count(b"\xff\xda", at) <= MOST_SCANS:  # where metadata look like scans, too
        return False
    scans = 0
    for _ in range(MOST_SEGMENTS):
        found = _MARKER.search(raw, at)
        if found is None or found.end() + 2 > len(raw):
            return False
        marker, at = raw[found.end() - 1], found.end()
        if marker == 0xD9:
            return False
        scans += marker == 0xDA
        if scans > MOST_SCANS:
            return True
        at += 0 if marker == 0x01 else raw[at] << 8 | raw[at + 1]  # TEM alone has no length
    return True


def _png(raw: bytes) -> Header:
    """Walk the chunks. OpenCV spends ten seconds on a length that points outside, so `whole` asks that they fill it."""
    width, height, bits, colour = struct.unpack(">IIBB", raw[16:26])
    channels = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(colour, 0)
    alpha, animated, whole, text, excess = colour in (4, 6), False, False, False, ""
    exif, told = b"", {}
    at, steps = len(PNG), 0
    while at + 12 <= len(raw):
        length, kind = struct.unpack(">I4s", raw[at : at + 8])
        steps += 1
        if steps > MOST_SEGMENTS:
            excess = f"over {MOST_SEGMENTS:,} chunks"
            break
        if kind in _TOLD:
            alpha = alpha or kind == b"tRNS"
            animated = animated or kind == b"acTL"
            body = raw[at + 8 : at + 8 + length]
            if kind == b"eXIf":
                exif = body
            elif kind in _TEXT:
                text, name = True, _NAMES.get(body[:32].partition(b"\0")[0])
                if name is not None:
                    told[name] = (kind, body)  # the last; it is inflated once
        at += 12 + length
        if kind == b"IEND":
            whole = at == len(raw)
            break
    turn = 1
    if exif or told:
        turn = orientation(exif or raw_profile(_png_text(told.get("profile"))), _png_text(told.get("xmp")))
    return Header(
        "PNG", width, height, channels, bits, whole and not excess, turn, colour == 3, alpha, animated, text=text,
        excess=excess,
    )  # fmt: skip


_TOLD = (b"tRNS", b"acTL", b"eXIf", *_TEXT)
_NAMES = {b"XML:com.adobe.xmp": "xmp", b"Raw profile type exif": "profile", b"Raw profile type APP1": "profile"}


def without_text(raw: bytes) -> bytes:
    """A whole PNG without its text chunks: a decoder may spend minutes on inflating them."""
    parts, at = [PNG], len(PNG)
    while at + 12 <= len(raw):
        length, kind = struct.unpack(">I4s", raw[at : at + 8])
        if kind not in _TEXT:
            parts.append(raw[at : at + 12 + length])
        at += 12 + length
    return b"".join(parts)


def _png_text(chunk: tuple[bytes, bytes] | None) -> bytes:
    """What a text chunk, (kind, body), says; nothing for one that is damaged."""
    if chunk is None:
        return b""
    kind, body = chunk
    rest = body.partition(b"\0")[2]
    packed = kind == b"zTXt"
    if kind == b"iTXt":
        packed, rest = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]  # flag, method, language, translated keyword
    elif packed:
        rest = rest[1:]
    if packed:
        try:
            rest = zlib.decompressobj().decompress(rest, _MAX_TEXT)
        except zlib.error:
            return b""
    return rest
