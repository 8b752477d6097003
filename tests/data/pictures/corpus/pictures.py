"""A corpus of encoded pictures: format x depth x photometric x planes x byte order x orientation x alpha x damage.

Each comes with what a careful reader makes of it: `tifffile` with `imagecodecs` for TIFF and JPEG 2000, Pillow for the
rest, scaled here by the declared depth and photometric meaning. Or with None: then it must be refused, by name.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import tifffile
from PIL import Image, ImageOps

SIZE = (37, 29)  # a multiple of nothing


@dataclass(frozen=True)
class Case:
    name: str
    raw: bytes
    want: np.ndarray | None  # (H, W, 3) in grey levels, not rounded; None: refused
    lossy: bool = False
    says: str = ""  # a pattern that a refusal must match


def smooth(seed, channels=3, size=SIZE):
    """Smooth random samples in 0..1, black and white among them, float64 (H, W, channels)."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((5, 4, channels), dtype=np.float32)
    planes = [np.asarray(Image.fromarray(coarse[..., c]).resize(size[::-1], Image.BICUBIC)) for c in range(channels)]
    out = np.clip(np.stack(planes, -1).astype(float) * 1.4 - 0.2, 0, 1)
    out[0, 0], out[-1, -1], out[0, -1] = 0, 1, [i % 2 for i in range(channels)]
    return out


def at_depth(values, bits):
    """Samples in 0..1 as unsigned integers of `bits`."""
    return np.rint(values * (2**bits - 1)).astype(np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32)


def rgb(levels):
    """(H, W) or (H, W, 1) replicated to (H, W, 3)."""
    levels = np.asarray(levels, dtype=float)
    levels = levels[..., None] if levels.ndim == 2 else levels
    return np.broadcast_to(levels, (*levels.shape[:2], 3)) if levels.shape[2] == 1 else levels[..., :3]


def turned(image, orientation):
    """By Pillow."""
    if orientation == 1:
        return image
    exif = Image.Exif()
    exif[0x112] = orientation
    out = []
    for c in range(3):
        plane = Image.fromarray(np.ascontiguousarray(image[..., c]).astype(np.float32))
        plane.info["exif"] = exif.tobytes()
        out.append(np.asarray(ImageOps.exif_transpose(plane)).astype(float))
    return np.stack(out, -1)


def by_tifffile(raw):
    """Grey levels (H, W, 3) of the first page, from the samples as tifffile reads them."""
    with tifffile.TiffFile(io.BytesIO(raw)) as file:
        page = file.pages[0]
        samples = page.asarray()
        if page.planarconfig == 2 and samples.ndim == 3:
            samples = np.moveaxis(samples, 0, -1)
        samples = samples[..., None] if samples.ndim == 2 else samples
        top = 2.0**page.bitspersample - 1
        orientation = page.tags[274].value if 274 in page.tags else 1
        kind = page.photometric.name
        if kind == "PALETTE":
            image = np.moveaxis(page.colormap, 0, -1)[samples[..., 0].astype(int)] // 256
        else:
            image = samples.astype(float) / top
            if kind == "SEPARATED":
                image = np.clip((1 - image[..., :3]) * (1 - image[..., 3:4]), 0, 1)
            elif 1 in page.extrasamples:
                n = 1 if kind.startswith("MINIS") else 3
                alpha = image[..., n + page.extrasamples.index(1)][..., None]
                image = np.where(alpha > 0, np.minimum(image[..., :n] / np.maximum(alpha, 1e-9), 1), 0)
            if kind.startswith("MINIS"):
                image = image[..., :1]
                image = 1 - image if kind == "MINISWHITE" else image
            image = image * 255
        return turned(rgb(image), int(orientation))


def by_pillow(raw):
    with Image.open(io.BytesIO(raw)) as image:
        image.load()
        if image.mode.startswith("I;16"):  # its convert("RGB") clips
            return turned(rgb(np.asarray(image).astype(float) / 257), 1)
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(float)


def encode(image, kind, **options):
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, kind, **options)
    return out.getvalue()


def label(*parts):
    return "-".join(str(p) for p in parts if p not in (None, "", False))
