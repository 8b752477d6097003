"""Strips and tiles of a TIFF to plain rows of bytes.

Compression knows nothing of samples: it packs bytes. So LZW and its like are undone by the libtiff inside Pillow, as if
the file were a tall grey picture of 8 bits; what the bytes mean is decided elsewhere.
"""

from __future__ import annotations

import functools
import io
import struct
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from .kinds import Unread
from .tiff import JPEG, SIMPLE, YCBCR, Tiff

MAX_BYTES = 1 << 30  # of samples of one picture: 89 million pixels of 16-bit RGBA are 0.7 GB
_AT_ONCE = 1 << 26
_PILLOWS_LIMIT = 178_956_970  # pixels beyond which it opens nothing
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_DEFLATE = (8, 32946)
_NAMES = {5: "tiff_lzw", 32773: "packbits", 34925: "lzma", 50000: "zstd", 50001: "webp"}  # Pillow's


def grid(tiff: Tiff) -> tuple[int, int, int]:
    """(planes, segments down, segments across)."""
    rows, columns = tiff.segment
    return tiff.samples if tiff.planar else 1, -(-tiff.height // rows), -(-tiff.width // columns)


def row_bytes(tiff: Tiff) -> int:
    """Bytes of one row of one segment; a row starts on a byte. Of subsampled YCbCr, a row of units: their luma samples,
    then Cb and Cr."""
    columns = tiff.segment[1]
    if tiff.photometric == YCBCR and tiff.samples == 3:
        across, down = tiff.subsampling
        return -(-columns // across) * (across * down + 2)
    return (columns * (1 if tiff.planar else tiff.samples) * tiff.bits + 7) // 8


def _lengths(tiff: Tiff) -> list[int]:
    """Rows of every segment, in the order of the file: a tile is whole, the last strip of a plane may be shorter."""
    planes, down, across = grid(tiff)
    high = tiff.subsampling[1] if tiff.photometric == YCBCR and tiff.samples == 3 else 1
    whole, last = (-(-rows // high) for rows in (tiff.segment[0], tiff.height - (down - 1) * tiff.segment[0]))
    return [whole] * (planes * down * across) if tiff.tiled else ([whole] * (down - 1) + [last]) * planes


def rows_of(raw: bytes, tiff: Tiff) -> NDArray[np.uint8]:
    """(rows, bytes of a row) of all segments, in the order of the file. Raises ValueError for what is missing."""
    planes, _, _ = grid(tiff)
    width, lengths = row_bytes(tiff), _lengths(tiff)
    whole = lengths[0]
    if sum(lengths) * width > 2 * MAX_BYTES:
        raise ValueError(f"its segments announce {sum(lengths) * width:,} bytes")
    if tiff.compression == 1:
        places = zip(_offsets(tiff, len(lengths)), lengths, strict=True)
        stored = [_slice(raw, at, rows * width) for at, rows in places]
        for rows, declared in zip(lengths, tiff.counts, strict=False):
            if 0 < declared < rows * width:
                raise ValueError(f"image file is truncated: a strip or tile of {declared} bytes of {rows * width}")
        return _rows(_in_order(tiff, b"".join(stored)), width)
    packed = [_in_order(tiff, part) for part in segments(raw, tiff, len(lengths))]
    if tiff.compression in _DEFLATE:
        return _rows(b"".join(_inflate(part, n * width) for part, n in zip(packed, lengths, strict=True)), width)
    step = max(1, _AT_ONCE // (whole * width))
    parts = []
    for first in range(0, len(packed), len(packed) // planes):  # only the last strip of a plane may be shorter
        plane = range(first, first + len(packed) // planes)
        for i in range(plane.start, plane.stop, step):
            some = slice(i, min(i + step, plane.stop))
            parts.append(_by_libtiff(packed[some], tiff.compression, width, whole, sum(lengths[some])))
    return np.concatenate(parts)


def segments(raw: bytes, tiff: Tiff, number: int) -> list[bytes]:
    """The `number` segments as they are stored."""
    offsets, counts = _offsets(tiff, number), list(tiff.counts)
    if len(counts) < number:
        if counts or number > 1:
            raise ValueError(f"it has {len(counts)} byte counts for {number} segments")
        counts = [len(raw) - offsets[0]]
    return [_slice(raw, at, n) for at, n in zip(offsets, counts[:number], strict=True)]


def _offsets(tiff: Tiff, number: int) -> list[int]:
    if len(tiff.offsets) < number or (number == 1 and len(set(tiff.offsets)) > 1):
        raise ValueError(f"it has {len(tiff.offsets)} strips or tiles where its size needs {number}")
    return list(tiff.offsets[:number])


def _slice(raw: bytes, at: int, size: int) -> bytes:
    if at + size > len(raw) or size <= 0:
        raise ValueError(f"image file is truncated: a strip or tile of {size} bytes at {at}, of {len(raw)}")
    return raw[at : at + size]


def _in_order(tiff: Tiff, data: bytes) -> bytes:
    return data.translate(_REVERSED) if tiff.reversed_bits else data


def _rows(data: bytes, width: int) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8).reshape(-1, width)


def _inflate(data: bytes, size: int) -> bytes:
    try:
        out = zlib.decompressobj().decompress(data, size + 1)  # one more, so that the checksum behind is read too
    except zlib.error as error:
        raise ValueError(f"deflated data: {error}") from None
    if len(out) < size:
        raise ValueError(f"image file is truncated: {len(out)} bytes of {size} in a strip or tile")
    return out[:size]


def _by_libtiff(parts: Sequence[bytes], compression: int, width: int, rows: int, height: int) -> NDArray[np.uint8]:
    if width * height > _PILLOWS_LIMIT:
        raise Unread(f"a TIFF of a single strip of {width * height:,} bytes", "write it in strips of a few rows")
    numbers = {256: width, 257: height, 258: 8, 259: compression, 262: 1, 277: 1, 278: rows}
    file = assemble({tag: (4, struct.pack("<I", value)) for tag, value in numbers.items()}, parts, "<", tiled=False)
    try:
        with Pillow.open(io.BytesIO(file), formats=("TIFF",)) as image:
            return np.asarray(image, dtype=np.uint8).reshape(height, width)
    except OSError:
        check_built_in(compression)
        raise


def check_built_in(compression: int) -> None:
    """Raise `Unread` for a compression that Pillow's libtiff may have, and here has not."""
    if compression in _NAMES and not _built_in(compression):
        what = f"a TIFF compressed by {_NAMES[compression]}, with this build of Pillow,"
        raise Unread(what, "write it uncompressed or with deflate")


@functools.cache
def _built_in(compression: int) -> bool:
    """Whether Pillow's libtiff has a codec: wheels differ in Zstandard and WebP."""
    try:
        Pillow.new("RGB", (1, 1)).save(io.BytesIO(), "TIFF", compression=_NAMES[compression])
    except Exception:  # RuntimeError, OSError or KeyError, by version
        return False
    return True


def for_libtiff(raw: bytes, tiff: Tiff) -> bytes:
    """The picture as a small file of its own, without orientation, for Pillow and its libtiff to read in full.

    Pillow takes stored YCbCr for interleaved bytes whatever its subsampling; deflated, it leaves it to libtiff.
    """
    compression = tiff.compression
    if compression in SIMPLE:  # inflated here first: for libtiff, what is missing of YCbCr is black
        if tiff.planar or tiff.predictor != 1:
            raise Unread("a TIFF of YCbCr in planes or with a predictor")
        ends = np.cumsum(_lengths(tiff))[:-1]
        parts, compression = [zlib.compress(rows.tobytes(), 1) for rows in np.split(rows_of(raw, tiff), ends)], 8
    else:
        parts = segments(raw, tiff, len(_lengths(tiff)))
    if compression == JPEG and not all(b"\xff\xd9" in part[-64:] for part in parts):
        raise ValueError("image file is truncated: a strip or tile of JPEG without an end")
    rows, columns = tiff.segment
    numbers = {256: tiff.width, 257: tiff.height, 259: compression, 262: tiff.photometric}
    numbers |= {266: 2} if tiff.reversed_bits and tiff.compression not in SIMPLE else {}
    numbers |= {277: tiff.samples, 284: 2 if tiff.planar else 1}
    numbers |= {322: columns, 323: rows} if tiff.tiled else {278: rows}
    tags = {tag: (4, struct.pack(tiff.order + "I", value)) for tag, value in numbers.items()}
    tags[258] = (3, struct.pack(f"{tiff.order}{tiff.samples}H", *[tiff.bits] * tiff.samples))
    if tiff.extra:
        tags[338] = (3, struct.pack(f"{tiff.order}{len(tiff.extra)}H", *tiff.extra))
    return assemble(tags | tiff.exact, parts, tiff.order, tiled=tiff.tiled)


def assemble(tags: Mapping[int, tuple[int, bytes]], parts: Sequence[bytes], order: str, *, tiled: bool) -> bytes:
    """A TIFF file of one picture: `tags` (tag -> type, values in byte order) and its strips or tiles."""
    at, offsets = 8, []
    for part in parts:
        offsets.append(at)
        at += len(part)
    places = struct.pack(f"{order}{len(parts)}I", *offsets)
    sizes = struct.pack(f"{order}{len(parts)}I", *map(len, parts))
    entries = dict(tags) | {324 if tiled else 273: (4, places), 325 if tiled else 279: (4, sizes)}
    lengths = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 11: 4, 12: 8}
    far = at + 2 + 12 * len(entries) + 4
    directory, behind = struct.pack(order + "H", len(entries)), b""
    for tag, (kind, body) in sorted(entries.items()):
        value = body.ljust(4, b"\0") if len(body) <= 4 else struct.pack(order + "I", far + len(behind))
        directory += struct.pack(order + "HHI", tag, kind, len(body) // lengths[kind]) + value
        behind += body if len(body) > 4 else b""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", at)
    return b"".join([head, *parts, directory, b"\0\0\0\0", behind])
