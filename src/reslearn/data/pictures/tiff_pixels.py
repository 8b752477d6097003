"""A TIFF file to RGB uint8: samples out of their bytes, then colours out of the samples.

Pillow reads the common kinds well, and others (12 bits, planes of 16, WhiteIsZero of 16) silently wrong; so all that is
stored, deflated or LZW is taken apart here, by one rule. JPEG, fax and YCbCr are left to libtiff, through Pillow.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from ..dataset import Image
from .kinds import Unread
from .levels import grey_to_rgb, to_8_bits
from .tiff import BLACK_IS_ZERO, CMYK, OLD_JPEG, PACKBITS, PALETTE, RGB, SIMPLE, WHITE_IS_ZERO, YCBCR, Tiff
from .tiff_segments import MAX_BYTES, check_built_in, for_libtiff, grid, rows_of

_AT_ONCE = 1 << 18  # samples of odd depths unpacked at a time


def tiff_pixels(raw: bytes, tiff: Tiff) -> Image:
    """(height, width, 3) as it is stored, not turned. Raises `Unread`, or nearly anything for damage."""
    if tiff.width * tiff.height * tiff.samples * tiff.bits > 8 * MAX_BYTES:
        raise Unread(f"a TIFF of {tiff.width}x{tiff.height} pixels of {tiff.samples} samples", "resize it")
    if tiff.compression not in SIMPLE or tiff.photometric == YCBCR:
        return _by_pillow(raw, tiff)
    samples = _arranged(_samples(rows_of(raw, tiff), tiff), tiff)
    return np.ascontiguousarray(_colours(samples, tiff))


def _by_pillow(raw: bytes, tiff: Tiff) -> Image:
    if tiff.bits != 8 and tiff.photometric != WHITE_IS_ZERO and tiff.bits != 1:
        raise Unread(f"a TIFF of {tiff.bits} bits a sample in compression {tiff.compression}")
    check_built_in(tiff.compression)
    file = raw if tiff.compression == OLD_JPEG else for_libtiff(raw, tiff)  # old JPEG points all over its file
    with Pillow.open(io.BytesIO(file), formats=("TIFF",)) as image:
        image.load()
        return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _samples(rows: NDArray[np.uint8], tiff: Tiff) -> NDArray[Any]:
    """(rows, columns, samples of a segment), uint8 or uint16, the predictor undone."""
    count = tiff.segment[1] * (1 if tiff.planar else tiff.samples)
    if tiff.bits == 8:
        values: NDArray[Any] = rows
    elif tiff.bits == 16:
        values = rows.view(tiff.order + "u2").astype(np.uint16)
    else:
        values = _unpacked(rows, tiff.bits, count)
    values = values.reshape(len(rows), tiff.segment[1], -1)
    if tiff.predictor == 1:
        return values
    if tiff.predictor != 2 or tiff.bits not in (8, 16) or tiff.compression in (1, PACKBITS):  # there readers differ
        what = f"a TIFF of {tiff.bits} bits, compression {tiff.compression} and predictor {tiff.predictor}"
        raise Unread(what, "write it without a predictor")
    return np.cumsum(values, axis=1, dtype=values.dtype)  # differences modulo 2**bits


def _unpacked(rows: NDArray[np.uint8], bits: int, count: int) -> NDArray[Any]:
    """(rows, count) samples of 1 to 15 bits, the most significant first, in whatever byte order: each lies in the 24
    bits from the byte in which it begins."""
    start = np.arange(count) * bits
    first, shift = start >> 3, (24 - bits - (start & 7)).astype(np.uint32)
    out = np.empty((len(rows), count), np.uint8 if bits < 8 else np.uint16)
    step = max(1, _AT_ONCE // count)
    for i in range(0, len(rows), step):
        part = np.pad(rows[i : i + step], ((0, 0), (0, 2))).astype(np.uint32)
        words = part[:, first] << 16 | part[:, first + 1] << 8 | part[:, first + 2]
        out[i : i + step] = (words >> shift) & ((1 << bits) - 1)
    return out


def _arranged(samples: NDArray[Any], tiff: Tiff) -> NDArray[Any]:
    """(height, width, samples) out of the segments' rows, padding cut off."""
    planes, down, across = grid(tiff)
    rows, columns = tiff.segment
    if tiff.tiled:
        tiles = samples.reshape(planes, down, across, rows, columns, -1).transpose(0, 1, 3, 2, 4, 5)
        samples = tiles.reshape(planes, down * rows, across * columns, -1)[:, : tiff.height, : tiff.width]
    else:
        samples = samples.reshape(planes, tiff.height, tiff.width, -1)
    return np.moveaxis(samples[..., 0], 0, -1) if tiff.planar else samples[0]


def _colours(samples: NDArray[Any], tiff: Tiff) -> Image:
    if tiff.photometric == PALETTE:
        return _palette(samples[..., 0], tiff)
    colour = samples[..., : tiff.colours]
    if 1 in tiff.extra:
        if tiff.photometric not in (RGB, BLACK_IS_ZERO):
            raise Unread("a TIFF whose alpha is multiplied into inks or into what is white at zero")
        levels = _unmultiplied(colour, samples[..., tiff.colours + tiff.extra.index(1)], tiff.bits)
        return levels if tiff.photometric == RGB else grey_to_rgb(levels[..., 0])
    if tiff.photometric == CMYK:
        return _from_inks(samples, tiff)
    levels = to_8_bits(colour, tiff.bits, inverted=tiff.photometric == WHITE_IS_ZERO)
    return levels if tiff.photometric == RGB else grey_to_rgb(levels[..., 0])


def _from_inks(samples: NDArray[Any], tiff: Tiff) -> Image:
    """What cyan, magenta and yellow leave of white, darkened by black; of 8 bits by Pillow's arithmetic."""
    if tiff.bits == 8:
        inks = np.ascontiguousarray(samples[..., :4]).tobytes()
        return np.asarray(Pillow.frombytes("CMYK", (tiff.width, tiff.height), inks).convert("RGB"), dtype=np.uint8)
    left = 1 - samples[..., :4].astype(np.float32) / ((1 << tiff.bits) - 1)
    return np.asarray(np.rint(255 * left[..., :3] * left[..., 3:]).astype(np.uint8))


def _palette(indices: NDArray[Any], tiff: Tiff) -> Image:
    """Three runs of 2**bits numbers of 16 bits. Some writers put numbers of 8 bits there: then none is above 255."""
    size = 1 << tiff.bits
    if len(tiff.colormap) < 3 * size:
        raise ValueError(f"its palette holds {len(tiff.colormap)} numbers of {3 * size}")
    table: NDArray[Any] = np.asarray(tiff.colormap[: 3 * size], dtype=np.uint32).reshape(3, size).T
    if table.max() > 255:
        table = table >> 8
    return np.asarray(table.astype(np.uint8)[indices])


def _unmultiplied(colour: NDArray[Any], alpha: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Levels of colour that alpha was multiplied into; where alpha is 0 nothing is left. Of 8 bits rounded as Pillow
    does, downwards."""
    alpha = alpha[..., None]
    levels = 255 * colour.astype(np.float64) / np.maximum(alpha, 1)
    levels = np.floor(levels) if bits == 8 else np.rint(levels)
    return np.where(alpha > 0, np.minimum(levels, 255), 0).astype(np.uint8)
