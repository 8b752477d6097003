"""What happens to normalised batches: MixUp, CutMix, random erasing.

A position p is mixed with its neighbour p XOR 1 in the same batch, so no random pairing needs storing; both members
of a pair use the pair's draws.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...runtime.random import uniform
from ...spec.recipe import Augment
from ..dataset import Indices


def mix(x: Tensor, positions: Indices, *, augment: Augment, seed: int) -> tuple[Tensor, Tensor]:
    """Float (B, 3, H, W) and positions (B,), B even and the first position even, to (mixed, share).

    `share` (B,) is the weight of a picture's own label. MixUp (1710.09412): lambda x_p + (1 - lambda) x_(p XOR 1).
    CutMix (1905.04899): a box of area 1 - lambda comes from the neighbour; `share` counts the pixels that are left.
    With both alphas given, a fair coin per pair chooses.
    """
    from scipy.special import betaincinv

    pairs = positions & ~np.int64(1)
    draws = uniform(seed, "mix", pairs, 4)
    cut = np.full(len(pairs), augment.mixup == 0)
    if augment.mixup > 0 and augment.cutmix > 0:
        cut = draws[:, 0] < 0.5
    alpha = np.where(cut, augment.cutmix, augment.mixup)
    kept = np.asarray(betaincinv(alpha, alpha, draws[:, 1]))  # Beta by inversion, so that one draw decides one lambda
    other = x.view(-1, 2, *x.shape[1:]).flip(1).reshape(x.shape) if x.is_contiguous() else x[torch.arange(len(x)) ^ 1]
    share = kept.copy()
    weight = torch.from_numpy(np.where(cut, 1.0, kept)).to(x)[:, None, None, None]
    mixed = x * weight + other * (1 - weight)
    if cut.any():
        inside = _boxes(1 - kept, draws[:, 2:4], x.shape[2], x.shape[3]) & cut[:, None, None]
        share = np.where(cut, 1 - inside.mean(axis=(1, 2)), kept)
        mixed = torch.where(torch.from_numpy(inside).to(x.device)[:, None], other, mixed)
    return mixed, torch.from_numpy(share).to(x)


def _boxes(area: NDArray[np.float64], centre: NDArray[np.float64], height: int, width: int) -> NDArray[np.bool_]:
    """(B, H, W) true inside boxes of the given area share and uniform centre, cut off at the border."""
    side = np.sqrt(area)
    masks = []
    for k, length in enumerate((height, width)):
        middle = np.floor(centre[:, k] * length)
        half = np.floor(side * length) / 2
        low, high = np.floor(middle - half), np.floor(middle + half)
        index = np.arange(length)
        masks.append((index >= low[:, None]) & (index < high[:, None]))
    return np.asarray(masks[0][:, :, None] & masks[1][:, None, :])


def erase(x: Tensor, positions: Indices, *, probability: float, seed: int) -> Tensor:
    """Random erasing (1708.04896): with `probability`, a box of 2 to 33 % of the area and aspect ratio 0.3 to 3.3
    becomes 0, which is the mean colour of normalised pictures."""
    height, width = x.shape[2:]
    draws = uniform(seed, "erase", positions, 5)
    area = height * width * (0.02 + draws[:, 1] * (0.33 - 0.02))
    ratio = np.exp(np.log(0.3) + draws[:, 2] * (np.log(3.3) - np.log(0.3)))
    h = np.clip(np.round(np.sqrt(area * ratio)), 1, height)
    w = np.clip(np.round(np.sqrt(area / ratio)), 1, width)
    top, left = np.floor(draws[:, 3] * (height - h + 1)), np.floor(draws[:, 4] * (width - w + 1))
    rows, columns = np.arange(height), np.arange(width)
    inside = ((rows >= top[:, None]) & (rows < (top + h)[:, None]))[:, :, None]
    inside = inside & ((columns >= left[:, None]) & (columns < (left + w)[:, None]))[:, None, :]
    inside &= (draws[:, 0] < probability)[:, None, None]
    return x.masked_fill(torch.from_numpy(inside).to(x.device)[:, None], 0.0)
