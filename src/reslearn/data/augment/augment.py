"""What training does to a batch of equal-sized pictures. Both loaders come through `augment_batch`.

Every draw is `uniform(seed, purpose, position, k)`, so a picture's fate depends on its position in the endless
sequence alone: not on the batch, the process, the worker, or what was drawn before.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...runtime.random import bits, integers, uniform
from ...spec.recipe import Augment
from ..dataset import Indices
from .colour import colour_batch
from .policies import policy_batch


def augment_batch(
    images: Tensor,
    positions: Indices,
    *,
    augment: Augment,
    seed: int,
    samples: Indices | None = None,
    epochs: Indices | None = None,
) -> Tensor:
    """uint8 (B, 3, H, W) on any device to the same shape: pad-crop and flip.

    `positions`, `samples` and `epochs` are int64 (B,); the last two say which sample stands at a position and in
    which epoch, and are needed by the alternating flip alone.
    """
    flips = _flips(positions, samples, epochs, augment, seed)
    if augment.crop == "pad" and _padding(images, augment) > 0:
        images = _pad_crop_flip(images, positions, flips, augment, seed)
    elif flips is not None:
        images = torch.where(_to(flips, images)[:, None, None, None], images.flip(3), images)
    if augment.policy != "none":
        images = policy_batch(images, positions, augment=augment, seed=seed)
    if augment.jitter > 0 or augment.pca > 0:
        images = colour_batch(images, positions, augment=augment, seed=seed)
    return images


def _flips(
    positions: Indices, samples: Indices | None, epochs: Indices | None, augment: Augment, seed: int
) -> NDArray[np.bool_] | None:
    if augment.flip == "none":
        return None
    if augment.flip == "random" or samples is None or epochs is None:
        return np.asarray(uniform(seed, "flip", positions)[:, 0] < 0.5)
    # alternating (airbench, 2404.00498 section 3.6): a coin per sample decides epoch 0, then every epoch turns it over
    coin = (bits(seed, "flip/alternating", samples)[:, 0] >> np.uint64(63)).astype(np.int64)
    return np.asarray((coin + epochs) % 2 == 1)


def _padding(images: Tensor, augment: Augment) -> int:
    """Pixels on each side before a `pad` crop."""
    return max(augment.pad, round(augment.pad_share * min(images.shape[2:])))


def _pad_crop_flip(
    images: Tensor, positions: Indices, flips: NDArray[np.bool_] | None, augment: Augment, seed: int
) -> Tensor:
    """Pad, cut (H, W) at one of (2 pad + 1)^2 offsets, mirror: one gather for the whole batch."""
    batch, channels, height, width = images.shape
    pad = _padding(images, augment)
    offsets = _to(integers(seed, "crop", positions, 2 * pad + 1, k=2), images)  # (B, 2): all 2 pad + 1 values occur
    if augment.border == "reflect":
        # uint8 has no reflection padding everywhere; indices that bounce at the border do the same without a copy
        ys = _reflect(offsets[:, :1] - pad + torch.arange(height, device=images.device), height)
        xs = offsets[:, 1:] - pad + _columns(flips, batch, width, images)
        xs, stride = _reflect(xs, width), width
        source = images
    else:
        source = F.pad(images, (pad, pad, pad, pad))
        ys = offsets[:, :1] + torch.arange(height, device=images.device)
        xs, stride = offsets[:, 1:] + _columns(flips, batch, width, images), width + 2 * pad
    where = (ys[:, :, None] * stride + xs[:, None, :]).view(batch, 1, -1).expand(-1, channels, -1)
    return source.reshape(batch, channels, -1).gather(2, where).view(batch, channels, height, width)


def _columns(flips: NDArray[np.bool_] | None, batch: int, width: int, like: Tensor) -> Tensor:
    """(B, W): 0 ... W - 1, or W - 1 ... 0 for pictures to be mirrored."""
    columns = torch.arange(width, device=like.device).expand(batch, width)
    if flips is None:
        return columns
    return torch.where(_to(flips, like)[:, None], width - 1 - columns, columns)


def _reflect(index: Tensor, length: int) -> Tensor:
    """Bounce indices at 0 and length - 1 without repeating the edge, as numpy's mode `reflect` does."""
    if length == 1:
        return torch.zeros_like(index)
    period = 2 * (length - 1)
    index = index.remainder(period)
    return torch.minimum(index, period - index)


def _to(values: NDArray[np.int64] | NDArray[np.bool_], like: Tensor) -> Tensor:
    return torch.from_numpy(values).to(like.device, non_blocking=True)
