"""RandAugment and TrivialAugment on uint8 batches. Each operation gives what Pillow's gives, for many pictures at once.

Operations and ranges are those of RandAugment (1909.13719) and TrivialAugment's wide set (2103.10158).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...runtime.random import integers, uniform
from ...spec.recipe import Augment
from ..dataset import Indices

BINS = 31  # magnitudes 0 ... 30


def policy_batch(images: Tensor, positions: Indices, *, augment: Augment, seed: int) -> Tensor:
    """uint8 (B, 3, H, W) to the same. `rand`: `policy_ops` drawn operations of one magnitude, one after another;
    `trivial`: one drawn operation of a drawn magnitude."""
    wide = augment.policy == "trivial"
    rounds = 1 if wide else augment.policy_ops
    names = list(OPERATIONS)
    for k in range(rounds):
        which = integers(seed, f"policy/{k}", positions, len(names))[:, 0]
        bins = np.full(len(positions), augment.policy_magnitude)
        if wide:
            bins = integers(seed, "policy/magnitude", positions, BINS)[:, 0]
        negative = uniform(seed, f"policy/sign/{k}", positions)[:, 0] < 0.5
        out = images.clone()
        for op in np.unique(which):
            rows = np.flatnonzero(which == op)
            amounts = magnitude(names[op], bins[rows], wide, images.shape[3])
            if names[op] not in UNSIGNED:
                amounts = np.where(negative[rows], -amounts, amounts)
            at = torch.from_numpy(rows).to(images.device)
            values = torch.from_numpy(amounts.astype(np.float32)).to(images.device).view(-1, 1, 1, 1)
            out[at] = OPERATIONS[names[op]](images[at], values)
        images = out
    return images


def magnitude(name: str, bins: NDArray[np.int64], wide: bool, width: int) -> NDArray[np.float64]:
    """What an operation is told at magnitude bins 0 ... 30; without sign."""
    share = bins / (BINS - 1)
    if name in {"shear_x", "shear_y"}:
        return share * (0.99 if wide else 0.3)
    if name in {"translate_x", "translate_y"}:
        return np.floor(share * (32.0 if wide else 150.0 / 331.0 * width))
    if name == "rotate":
        return share * (135.0 if wide else 30.0)
    if name in {"brightness", "colour", "contrast", "sharpness"}:
        return share * (0.99 if wide else 0.9)
    if name == "posterize":  # bits that are kept
        return 8 - np.round(bins / ((BINS - 1) / (6 if wide else 4)))
    if name == "solarize":  # threshold
        return 255.0 * (1 - share)
    return share


def affine(images: Tensor, *rows: tuple[Tensor | float, Tensor | float, Tensor | float]) -> Tensor:
    """Nearest-neighbour resampling: output pixel centre (x, y) reads rows (2, 3) @ (x, y, 1), whose entries are numbers
    or (B,); outside is black.

    The product is written out, in float64: a BLAS adds in an order that depends on processor and threads, and where
    a centre falls on the edge between two pixels the last bit decides.
    """
    batch, channels, height, width = images.shape
    y, x = torch.meshgrid(
        torch.arange(height, device=images.device) + 0.5, torch.arange(width, device=images.device) + 0.5, indexing="ij"
    )
    ones = torch.ones(batch, device=images.device, dtype=torch.float64)
    a, b, c = (torch.stack([entry * ones for entry in column], 1) for column in zip(*rows, strict=True))  # (B, 2) each
    source = a[..., None] * x.reshape(-1) + b[..., None] * y.reshape(-1) + c[..., None]
    sx, sy = source.floor().long().unbind(1)
    inside = (sx >= 0) & (sx < width) & (sy >= 0) & (sy < height)
    index = (sy.clamp(0, height - 1) * width + sx.clamp(0, width - 1))[:, None].expand(-1, channels, -1)
    moved = images.reshape(batch, channels, -1).gather(2, index)
    return torch.where(inside[:, None], moved, torch.zeros_like(moved)).view(images.shape)


def _rotate(images: Tensor, v: Tensor) -> Tensor:
    angle = -torch.deg2rad(v.view(-1).double())  # counter-clockwise about the centre, as Pillow's rotate
    # rounded as Pillow's: at 45 degrees centres fall on edges, and the two may not differ by a last bit
    cos, sin = angle.cos().round(decimals=15), angle.sin().round(decimals=15)
    cx, cy = images.shape[3] / 2, images.shape[2] / 2
    return affine(images, (cos, sin, cx - cos * cx - sin * cy), (-sin, cos, cy + sin * cx - cos * cy))


def _grey(images: Tensor) -> Tensor:
    """Pillow's convert("L"), float (B, 1, H, W)."""
    weights = torch.tensor([19595, 38470, 7471], device=images.device, dtype=torch.int32).view(1, 3, 1, 1)
    return (((images.to(torch.int32) * weights).sum(1, keepdim=True) + 0x8000) >> 16).float()


def _blend(base: Tensor, images: Tensor, v: Tensor) -> Tensor:
    x = images.float()
    return (base + (x - base) * (1 + v)).clamp(0, 255).to(torch.uint8)  # Pillow truncates


def _sharpness(images: Tensor, v: Tensor) -> Tensor:
    kernel = torch.tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]], device=images.device) / 13
    smooth = images.float()
    inner = F.conv2d(smooth, kernel.expand(3, 1, 3, 3), groups=3)
    smooth[:, :, 1:-1, 1:-1] = torch.floor(inner + 0.5)  # the border is left as it is
    return _blend(smooth, images, v)


def _autocontrast(images: Tensor, v: Tensor) -> Tensor:
    x = images.flatten(2).double()
    low, high = x.amin(2, keepdim=True), x.amax(2, keepdim=True)
    scale = torch.full_like(low, 255).div(high - low)  # 255 / x would multiply by a rounded 1 / x
    stretched = (x * scale - low * scale).clamp(0, 255).to(torch.uint8)
    return torch.where(high > low, stretched, images.flatten(2)).view(images.shape)


def _equalize(images: Tensor, v: Tensor) -> Tensor:
    flat = images.reshape(-1, images.shape[2] * images.shape[3]).long()  # a row per channel of each picture
    counts = torch.zeros(len(flat), 256, dtype=torch.long, device=images.device)
    counts.scatter_add_(1, flat, torch.ones_like(flat))
    last = counts.gather(1, flat.amax(1, keepdim=True))
    step = (flat.shape[1] - last) // 255
    below = counts.cumsum(1) - counts
    table = ((below + step // 2) // step.clamp(min=1)).clamp(max=255)
    identity = torch.arange(256, device=images.device).expand_as(table)
    table = torch.where(step > 0, table, identity)
    return table.gather(1, flat).to(torch.uint8).view(images.shape)


OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "identity": lambda images, v: images,
    "shear_x": lambda images, v: affine(images, (1.0, v.view(-1), 0.0), (0.0, 1.0, 0.0)),
    "shear_y": lambda images, v: affine(images, (1.0, 0.0, 0.0), (v.view(-1), 1.0, 0.0)),
    "translate_x": lambda images, v: affine(images, (1.0, 0.0, v.view(-1)), (0.0, 1.0, 0.0)),
    "translate_y": lambda images, v: affine(images, (1.0, 0.0, 0.0), (0.0, 1.0, v.view(-1))),
    "rotate": _rotate,
    "brightness": lambda images, v: _blend(torch.zeros(1, device=images.device), images, v),
    "colour": lambda images, v: _blend(_grey(images), images, v),
    "contrast": lambda images, v: _blend(torch.floor(_grey(images).mean((2, 3), keepdim=True) + 0.5), images, v),
    "sharpness": _sharpness,
    "posterize": lambda images, v: images & (256 - torch.exp2(8 - v)).to(torch.uint8),
    "solarize": lambda images, v: torch.where(images.float() >= v, 255 - images, images),
    "autocontrast": _autocontrast,
    "equalize": _equalize,
}
UNSIGNED = frozenset({"identity", "posterize", "solarize", "autocontrast", "equalize"})
