"""A map over its picture, as the bytes of a picture file. Values in, values out: nothing here knows a network."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
SIDE = 192  # pixels that small pictures are drawn at, at least
LARGEST = 320
HIGH = 0.995  # quantile of a map that is drawn as its highest: one hot pixel is not to darken all others
GREY = 0.45  # of a picture's colour is taken away below the heat


def heat_of(values: NDArray[np.floating]) -> Floats:
    """(H, W) signed to (H, W) in 0..1: what lies below 0 is 0, the highest places are 1."""
    positive = np.maximum(np.nan_to_num(np.asarray(values, np.float32)), 0)
    top = float(np.quantile(positive, HIGH)) or float(positive.max())
    return np.asarray(np.clip(positive / top, 0, 1) if top > 0 else positive, np.float32)


def overlay(image: Image, heat: Floats) -> bytes:
    """A picture (H, W, 3) with the heat (H, W) over it, as JPEG."""
    picture = np.asarray(drawn(image), np.float32) / 255
    hot = np.asarray(Pillow.fromarray(heat).resize((picture.shape[1], picture.shape[0]), Pillow.Resampling.BILINEAR))
    grey = picture @ np.array([0.299, 0.587, 0.114], np.float32)
    base = (1 - GREY) * picture + GREY * grey[..., None]
    amount = 0.82 * hot[..., None] ** 0.9
    mixed = base * (1 - amount) * 0.92 + _colours()[np.round(hot * 255).astype(int)] * amount
    return _jpeg(Pillow.fromarray(np.round(np.clip(mixed, 0, 1) * 255).astype(np.uint8)))


def shown(image: Image) -> bytes:
    """A picture alone, at the size that `overlay` gives it."""
    return _jpeg(drawn(image))


def drawn(image: Image) -> Pillow.Image:
    """A small picture enlarged pixel by pixel, a large one made smaller."""
    picture = Pillow.fromarray(np.ascontiguousarray(image))
    longer = max(picture.size)
    if longer < SIDE:
        times = -(-SIDE // longer)
        return picture.resize((picture.width * times, picture.height * times), Pillow.Resampling.NEAREST)
    if longer > LARGEST:
        picture.thumbnail((LARGEST, LARGEST))
    return picture


def tiles(maps: Floats, *, gap: int = 1, columns: int = 12) -> bytes:
    """(K, h, w) in 0..1, or (K, h, w, 3) in 0..1 as they are, side by side in rows, as PNG with clear gaps."""
    count, height, width = maps.shape[:3]
    times = max(1, 64 // max(height, width))
    columns = min(columns, count)
    rows = -(-count // columns)
    tall, wide, gap = height * times, width * times, gap * 4
    sheet = np.zeros((rows * (tall + gap) - gap, columns * (wide + gap) - gap, 4), np.uint8)
    for i, one in enumerate(maps):
        top, left = i // columns * (tall + gap), i % columns * (wide + gap)
        colour = one if one.ndim == 3 else _colours(dark=True)[np.round(np.clip(one, 0, 1) * 255).astype(int)]
        large = np.repeat(np.repeat(colour, times, 0), times, 1)
        sheet[top : top + tall, left : left + wide, :3] = np.round(255 * np.clip(large, 0, 1))
        sheet[top : top + tall, left : left + wide, 3] = 255
    buffer = io.BytesIO()
    Pillow.fromarray(sheet).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


@cache
def _colours(*, dark: bool = False) -> Floats:
    """(256, 3): from violet over red to yellow, for heat; from black for maps on their own."""
    import matplotlib

    scale = matplotlib.colormaps["inferno"](np.linspace(0.0 if dark else 0.25, 1.0 if dark else 0.97, 256))
    return np.asarray(scale[:, :3], np.float32)


def _jpeg(picture: Pillow.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=86, subsampling=0)
    return buffer.getvalue()
