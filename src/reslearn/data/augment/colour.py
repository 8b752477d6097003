"""Colour augmentation of uint8 batches: jitter of brightness, contrast and saturation, and AlexNet's PCA noise."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...runtime.random import bits, uniform
from ...spec.recipe import Augment
from ..dataset import Indices

# Principal components of RGB over ImageNet, from fb.resnet.torch, for pixels in [0, 1]: the eigenvalues sum to 0.241.
# On 0..255 they would do nothing, and after division by std something else.
EIGENVALUES = (0.2175, 0.0188, 0.0045)
EIGENVECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))  # rows R, G, B
GREY = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow's convert("L")


def colour_batch(images: Tensor, positions: Indices, *, augment: Augment, seed: int) -> Tensor:
    """uint8 (B, 3, H, W) to the same: jitter in a drawn order, then PCA noise; rounded to uint8 once, at the end."""
    x = images.float()
    if augment.jitter > 0:
        x = _jitter(x, positions, augment.jitter, seed)
    if augment.pca > 0:
        shift = torch.from_numpy(pca_shift(positions, augment.pca, seed) * 255)
        x = x + shift.to(x.device)[:, :, None, None]
    return x.round().clamp(0, 255).to(torch.uint8)


def _jitter(x: Tensor, positions: Indices, strength: float, seed: int) -> Tensor:
    """Three rounds; in each every picture gets one of brightness, contrast, saturation, in an order of its own.

    All three blend with a base, f x + (1 - f) base: black, the mean grey of the picture, its grey pixels.
    """
    low = max(1 - strength, 0.0)
    factors = torch.from_numpy(low + uniform(seed, "jitter", positions, 3) * (1 + strength - low)).float().to(x.device)
    turns = torch.from_numpy(np.argsort(bits(seed, "jitter/order", positions, 3), axis=1)).to(x.device)
    for turn in range(3):
        which = turns[:, turn].view(-1, 1, 1, 1)
        f = factors[:, turn].view(-1, 1, 1, 1)
        grey = x[:, :1] * GREY[0] + x[:, 1:2] * GREY[1] + x[:, 2:] * GREY[2]
        mean = grey.mean((2, 3), keepdim=True, dtype=torch.float64).float()  # in float32 its order of adding shows
        base = torch.where(which == 2, grey, torch.where(which == 1, mean, 0.0))
        x = (x * f + base * (1 - f)).clamp(0, 255)
    return x


def pca_shift(positions: Indices, std: float, seed: int) -> NDArray[np.float32]:
    """(B, 3) shifts of R, G, B in units of [0, 1]: sum_i p_i alpha_i lambda_i with alpha_i ~ N(0, std) (AlexNet, 4.1).

    One draw per use of a picture; every pixel of it moves alike.
    """
    alpha = std * normal(seed, "pca", positions, 3)
    shift = (alpha * np.asarray(EIGENVALUES)) @ np.asarray(EIGENVECTORS).T
    return np.asarray(shift, dtype=np.float32)


def normal(seed: int, purpose: str, positions: Indices, k: int) -> NDArray[np.float64]:
    """(B, k) standard normal draws (Box-Muller on two uniform ones each)."""
    u = uniform(seed, purpose, positions, 2 * k)
    radius = np.sqrt(-2 * np.log1p(-u[:, :k]))
    return np.asarray(radius * np.cos(2 * np.pi * u[:, k:]))
