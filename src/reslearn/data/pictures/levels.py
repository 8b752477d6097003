"""Samples of any depth to 8 bits: 0 stays 0, the largest number that the depth holds becomes 255."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dataset import Image


def to_8_bits(values: NDArray[Any], bits: int, *, inverted: bool = False) -> Image:
    """round(255 v / (2**bits - 1)) of unsigned samples of any shape; `inverted`: 0 is white."""
    top = (1 << bits) - 1
    if bits == 8:
        return np.asarray(255 - values if inverted else values, dtype=np.uint8)
    if bits == 16:
        scaled = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
        return 255 - scaled if inverted else scaled
    table = ((np.arange(top + 1, dtype=np.uint32) * 510 + top) // (2 * top)).astype(np.uint8)
    return np.asarray((table[::-1] if inverted else table)[values])


def grey_to_rgb(grey: NDArray[np.uint8]) -> Image:
    """(H, W) to (H, W, 3)."""
    return np.repeat(grey[..., None], 3, axis=2)
