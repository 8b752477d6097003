"""The first picture of a TIFF file, as its tags declare it (TIFF 6.0, and BigTIFF). Nothing is decoded here.

What is not certain is refused by name: another reader would guess, and guesses differ by a hundred grey levels.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from .kinds import Unread

_MAGIC = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<", b"MM\0+": ">"}
_INTEGER = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_SIZE = {2: 1, 5: 8, 10: 8, 11: 4, 12: 8} | {kind: struct.calcsize(code) for kind, code in _INTEGER.items()}
_MAX_VALUES = 1 << 22  # strips, or a palette; more is damage

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
_PHOTOMETRIC = {
    4: "a transparency mask",
    8: "CIE Lab colour",
    9: "ICC Lab colour",
    10: "ITU Lab colour",
    32803: "a camera's raw mosaic",
    34892: "a camera's linear raw picture",
    32844: "LogL light",
    32845: "LogLuv light",
}
_COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3}
_FORMATS = {2: "signed", 3: "floating-point", 4: "undefined", 5: "complex integer", 6: "complex"}
FAX = (2, 3, 4)
OLD_JPEG, JPEG = 6, 7
_COMPRESSION = {
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy JPEG (DNG)",
    34933: "PNG",
    34934: "JPEG XR",
    22610: "JPEG XR",
    48124: "Jetraw",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
PACKBITS = 32773
SIMPLE = (1, 5, 8, 32946, PACKBITS, 34925, 50000)  # none, LZW, deflate twice, PackBits, LZMA, Zstandard: bytes to bytes
BY_LIBTIFF = (*FAX, OLD_JPEG, JPEG, 32771, 32809, 50001)


@dataclass(frozen=True)
class Tiff:
    """Tags of the first directory. A sample is one number of one pixel; a segment is a strip or a tile."""

    order: str  # "<" or ">"
    width: int
    height: int
    bits: int  # of every sample
    samples: int  # of a pixel
    colours: int  # of them, those that are the colour; the rest are extra
    extra: tuple[int, ...]  # 1: alpha, premultiplied; 2: alpha; others: unknown
    photometric: int
    compression: int
    predictor: int
    planar: bool  # each sample in a plane of its own
    reversed_bits: bool  # FillOrder 2
    tiled: bool
    segment: tuple[int, int]  # (rows, columns) of a whole one
    offsets: Sequence[int]
    counts: Sequence[int]  # bytes of each segment; empty where the file does not say
    colormap: Sequence[int]
    subsampling: tuple[int, int]  # of YCbCr: columns and rows of luma to a chroma sample
    orientation: int | None
    xmp: bytes
    exact: dict[int, tuple[int, bytes]]  # tag -> (type, its values as they lie in the file), of tags for libtiff


def is_tiff(raw: bytes) -> bool:
    """Whether the first bytes are TIFF's."""
    return raw[:4] in _MAGIC


def read_tiff(raw: bytes) -> Tiff:
    """Read the tags. Raises `Unread` for a kind that is not read, ValueError for damage."""
    try:
        order, tags = _directory(raw)
    except struct.error:
        raise ValueError("image file is truncated: its directory of tags") from None

    def numbers(tag: int, default: Sequence[int] = ()) -> Sequence[int]:
        if tag not in tags:
            return default
        kind, body = tags[tag]
        if kind not in _INTEGER:
            raise ValueError(f"tag {tag} is not a number")
        size = _SIZE[kind]
        return struct.unpack(f"{order}{len(body) // size}{_INTEGER[kind]}", body)

    def number(tag: int, default: int) -> int:
        return next(iter(numbers(tag)), default)

    width, height = number(256, 0), number(257, 0)
    if not (0 < width < 1 << 31 and 0 < height < 1 << 31):
        raise ValueError(f"its size is {width}x{height}")
    compression = number(259, 1)
    photometric = number(262, WHITE_IS_ZERO if compression in FAX else YCBCR if compression == OLD_JPEG else -1)
    samples = number(277, 3 if compression == OLD_JPEG else 1)
    extra = tuple(numbers(338))
    if 277 not in tags and len(numbers(258)) > samples:
        raise ValueError(f"it has {len(numbers(258))} depths and does not say how many samples")
    _check_kind(photometric, compression, numbers(339, (1,)), number(332, 1))
    if 50706 in tags:
        raise Unread("a camera's raw file (DNG)")
    if number(254, 0) & 1 and (330 in tags or count_pages(raw, most=2) > 1):
        raise Unread("a TIFF whose first picture is a smaller copy of another", "write the full one alone")
    colours, extra = _meaning(photometric, samples, extra)
    tiled = 322 in tags or 324 in tags
    rows, columns = (number(323, 0), number(322, 0)) if tiled else (min(number(278, height) or height, height), width)
    if not (rows > 0 and columns > 0):
        raise ValueError(f"its tiles are {columns}x{rows}")
    counts = numbers(325, numbers(279)) if tiled else numbers(279)
    subsampling = (1, 1)
    if photometric == YCBCR and samples == 3 and compression in SIMPLE:
        subsampling = _subsampling(numbers(530), full=compression == 1 and sum(counts) == 3 * width * height)
    turn = numbers(274) if tags.get(274, (0, b""))[0] in _INTEGER else ()
    return Tiff(
        order=order,
        width=width,
        height=height,
        bits=_one_depth(numbers(258, (1,)), samples),
        samples=samples,
        colours=colours,
        extra=extra,
        photometric=photometric,
        compression=compression,
        predictor=number(317, 1),
        planar=number(284, 1) == 2 and samples > 1,
        reversed_bits=number(266, 1) == 2,
        tiled=tiled,
        segment=(rows, columns),
        offsets=numbers(324, numbers(273)) if tiled else numbers(273),
        counts=counts,
        colormap=numbers(320),
        subsampling=subsampling,
        orientation=turn[0] if turn and 1 <= turn[0] <= 8 else 1 if turn else None,
        xmp=tags.get(700, (0, b""))[1],
        exact={tag: tags[tag] for tag in _FOR_LIBTIFF if tag in tags},
    )


def count_pages(raw: bytes, most: int = 1000) -> int:
    """Pictures in the file, thumbnails and smaller copies among them, by its chain of directories."""
    order, big = _MAGIC[raw[:4]], raw[2:4] in (b"+\0", b"\0+")
    number, entry, offset = ("Q", 20, "Q") if big else ("H", 12, "I")
    seen: set[int] = set()
    try:
        (at,) = struct.unpack_from(order + offset, raw, 8 if big else 4)
        while at and at not in seen and len(seen) < most:
            (entries,) = struct.unpack_from(order + number, raw, at)
            seen.add(at)
            (at,) = struct.unpack_from(order + offset, raw, at + (8 if big else 2) + entry * entries)
    except struct.error:
        pass  # the rest of the chain is lost
    return len(seen)


_FOR_LIBTIFF = (292, 293, 347, 529, 530, 531, 532)  # fax options, JPEG tables, the YCbCr tags
_WANTED = {254, *range(256, 260), 262, 266, 273, 274, *range(277, 280), 284, 317, 320, *range(322, 326), 330, 332}
_WANTED |= {338, 339, 700, 50706, *_FOR_LIBTIFF}


def _directory(raw: bytes) -> tuple[str, dict[int, tuple[int, bytes]]]:
    """(byte order, tag -> (type, values)) of the first directory; a tag's first entry counts, as in libtiff."""
    order = _MAGIC[raw[:4]]
    big = raw[2:4] in (b"+\0", b"\0+")
    if big and struct.unpack_from(order + "HH", raw, 4) != (8, 0):
        raise ValueError("a BigTIFF header with offsets that are not of 8 bytes")
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), raw, 8 if big else 4)
    (entries,) = struct.unpack_from(order + ("Q" if big else "H"), raw, at)
    at += 8 if big else 2
    entry, inline = (20, 8) if big else (12, 4)
    if entries * entry > len(raw) - at:
        raise ValueError("image file is truncated: its directory of tags")
    tags: dict[int, tuple[int, bytes]] = {}
    for place in range(at, at + entries * entry, entry):
        tag, kind, count = struct.unpack_from(order + ("HHQ" if big else "HHI"), raw, place)
        if tag not in _WANTED or tag in tags or kind not in _SIZE:
            continue
        size, start = count * _SIZE[kind], place + entry - inline
        if size > inline:
            (start,) = struct.unpack_from(order + ("Q" if big else "I"), raw, start)
        if start + size > len(raw) or (count > _MAX_VALUES and tag != 700):
            if tag in (274, 700):
                continue  # only metadata; the picture may be whole
            raise ValueError(f"image file is truncated: the values of tag {tag}")
        tags[tag] = (kind, raw[start : start + size])
    return order, tags


def _meaning(photometric: int, samples: int, extra: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """(samples that are colour, what the others are). Raises `Unread` where the tags do not say."""
    colours = _COLOURS[photometric]
    if photometric == YCBCR and samples == 1:
        return 1, ()
    if samples < colours:
        raise ValueError(f"{samples} samples a pixel where its colours need {colours}")
    undeclared = samples - colours - len(extra)
    if undeclared < 0:
        extra = extra[: samples - colours]
    if undeclared == 1 and photometric == RGB and samples == 4:
        extra = (2,)  # many old writers leave the tag out
    elif undeclared > 0 or (colours == 1 and len(extra) > 1):
        raise Unread(
            f"a TIFF of {samples} bands ({samples} samples a pixel)", "keep the three that are red, green, blue"
        )
    return colours, extra


def _check_kind(photometric: int, compression: int, formats: Sequence[int], inks: int) -> None:
    if photometric < 0:
        raise Unread("a TIFF without a photometric interpretation", "write it anew as grey or RGB")
    if photometric not in _COLOURS:
        what = _PHOTOMETRIC.get(photometric, f"photometric interpretation {photometric}")
        raise Unread(f"a TIFF of {what}")
    if photometric == CMYK and inks != 1:
        raise Unread("a TIFF of other inks than cyan, magenta, yellow and black", "convert it to RGB")
    if compression not in SIMPLE and compression not in BY_LIBTIFF:
        what = _COMPRESSION.get(compression, f"method {compression}")
        raise Unread(f"a TIFF compressed by {what}", "write it uncompressed or with deflate")
    unsigned = set(formats) <= {1}
    if not unsigned:
        what = " and ".join(_FORMATS.get(f, f"format {f}") for f in sorted(set(formats) - {1}))
        raise Unread(f"a TIFF of {what} samples", "convert it to 8 or 16 bits, with white the largest number")


def _subsampling(found: Sequence[int], *, full: bool) -> tuple[int, int]:
    """The tag's default is 2x2, yet writers leave it out for `full` chroma; the number of bytes tells."""
    if not found and not full:
        raise Unread("a TIFF of YCbCr that does not say its subsampling", "convert it to RGB")
    if not found:
        return 1, 1
    across, down = (*found, 0, 0)[:2]
    if across not in (1, 2, 4) or down not in (1, 2, 4):
        raise ValueError(f"its chroma is subsampled by {across}x{down}")
    return across, down


def _one_depth(bits: Sequence[int], samples: int) -> int:
    """Bits of a sample. One number for several samples stands for all of them, and numbers too many are dropped."""
    depths = set(bits[:samples])
    if len(depths) != 1 or (1 < len(bits) < samples):
        raise Unread(f"a TIFF whose samples have {', '.join(map(str, bits[:samples]))} bits")
    depth = depths.pop()
    if not 1 <= depth <= 16:
        raise Unread(f"a TIFF of {depth} bits a sample")
    return depth
