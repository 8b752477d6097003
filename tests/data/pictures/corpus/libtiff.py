"""TIFF whose pixels libtiff decodes: JPEG, fax, YCbCr; and TIFF whose strips or tiles lack their end."""

from __future__ import annotations

import io
import itertools
import struct

import numpy as np
import tifffile
from PIL import Image

from .pictures import Case, at_depth, by_tifffile, encode, label, rgb, smooth, turned
from .tiffs import PACK, directory, tiff


def tiffs_by_libtiff():
    """JPEG, fax and YCbCr, against tifffile (JPEG), the bits themselves (fax), Pillow on the same picture (YCbCr)."""
    size = (48, 64)
    v = smooth(400, 4, size)
    for k, (photometric, order, layout) in enumerate(
        itertools.product(
            ("minisblack", "rgb", "ycbcr", "separated"), "<>", ({}, {"tile": (16, 32)}, {"rowsperstrip": 16})
        )
    ):
        channels = {"minisblack": 1, "separated": 4}.get(photometric, 3)
        data = at_depth(v[..., :channels], 8)
        options = {"photometric": photometric, "byteorder": order, **layout}
        subsampling = [(1, 1), (2, 2), (2, 1)][k % 3] if photometric == "ycbcr" else (1, 1)
        raw = tiff(
            data if channels > 1 else data[..., 0], compression="jpeg", compressionargs={"level": 95},
            subsampling=subsampling if photometric == "ycbcr" else None, **options,
        )  # fmt: skip
        yield Case(label("tiff-jpeg", photometric, *subsampling, order, *layout), raw, by_tifffile(raw), lossy=True)
        if photometric != "ycbcr" and channels > 1:
            raw = tiff(
                np.ascontiguousarray(np.moveaxis(data, -1, 0)), compression="jpeg", planarconfig="separate", **options
            )
            yield Case(label("tiff-jpeg", photometric, "planes", order, *layout), raw, by_tifffile(raw), lossy=True)
    bits = v[..., 0] > 0.5
    for method, zero in itertools.product(("group3", "group4", "tiff_ccitt"), (0, 1)):
        for turn in (1, 6):
            raw = encode(Image.fromarray(bits), "TIFF", compression=method, tiffinfo={262: zero, 274: turn})
            yield Case(label("fax", method, zero, turn), raw, turned(rgb(bits * 255.0), turn))
    yield from ycbcr_tiffs(v)


def ycbcr_tiffs(v):
    """Subsampled YCbCr, stored and packed: data units of h x v luma samples, then Cb and Cr (TIFF 6.0, section 21)."""
    height, width = v.shape[:2]
    ycc = np.asarray(Image.fromarray(at_depth(v[..., :3], 8)).convert("YCbCr"))
    for (h, w), compression, order, turn in itertools.product(
        ((1, 1), (2, 2), (1, 2), (2, 4), (4, 4)), (1, 5, 8), "<>", (1, 5)
    ):
        chroma = ycc[..., 1:].reshape(height // h, h, width // w, w, 2).mean((1, 3)).round().astype(np.uint8)
        luma = (
            ycc[..., 0]
            .reshape(height // h, h, width // w, w)
            .transpose(0, 2, 1, 3)
            .reshape(height // h, width // w, h * w)
        )
        units = np.concatenate([luma, chroma], axis=-1).tobytes()
        packed = PACK[compression](units)
        entries = {256: (4, [width]), 257: (4, [height]), 258: (3, [8] * 3), 259: (3, [compression]), 262: (3, [6])}
        entries |= {273: (4, [8]), 274: (3, [turn]), 277: (3, [3]), 278: (4, [height]), 279: (4, [len(packed)])}
        entries |= {284: (3, [1]), 530: (3, [w, h]), 531: (3, [1])}
        entries[532] = (5, [n for pair in ((0, 1), (255, 1), (128, 1), (255, 1), (128, 1), (255, 1)) for n in pair])
        raw = directory(entries, [packed], 8 + len(packed), order, False)
        full = np.dstack([ycc[..., 0], np.repeat(np.repeat(chroma, h, 0), w, 1)])
        want = np.asarray(Image.fromarray(full, "YCbCr").convert("RGB")).astype(float)
        yield Case(label("ycbcr", h, w, compression, order, turn), raw, turned(want, turn), lossy=False)


def damaged_tiffs():
    """Whole tags, and a strip or tile that lacks its end: each compression must notice."""
    v = at_depth(smooth(500, 3, (64, 48)), 8)
    for compression, layout in itertools.product(
        ("jpeg", "lzw", "zlib", "packbits", "zstd", "lzma"), ({"rowsperstrip": 16}, {"tile": (32, 32)}, {})
    ):
        raw = tiff(v, photometric="rgb", compression=compression, **layout)
        yield from _short(raw, label("short", compression, *layout))
    yield from _short(tiff(v, photometric="ycbcr", compression="jpeg"), "short-jpeg-ycbcr")
    for case in ycbcr_tiffs(smooth(400, 4, (48, 64))):
        if case.name.startswith("ycbcr-2-2"):
            yield from _short(case.raw, f"short-{case.name}")


def _short(raw, name):
    """The file with the byte count of its first and of its last segment cut, at 30 and at 80 of a hundred."""
    with tifffile.TiffFile(io.BytesIO(raw)) as file:
        page = file.pages[0]
        order, counts = file.byteorder, list(page.databytecounts)
        tag = page.tags.get(279) or page.tags[325]
        size = {3: 2, 4: 4}[tag.dtype.value]
        compression = page.compression
    if compression == 1:
        return  # a count says nothing there: the size of what is stored follows from the picture's
    for place, share in itertools.product({0, len(counts) - 1}, (0.3, 0.8)):
        short = struct.pack(order + {2: "H", 4: "I"}[size], int(counts[place] * share))
        at = tag.valueoffset + place * size
        yield Case(f"{name}-{place}-{share}", raw[:at] + short + raw[at + size :], None, says="damaged")
