"""The shortcut of a residual block: identity, A (pad with zeros), B and C (project), or none (P1 3.3)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ..spec.net import BlockSpec
from .layers import conv, norm


class PadShortcut(nn.Module):
    """Option A: keep every `stride`-th pixel and add channels of zeros. No parameters, no multiplications."""

    def __init__(self, stride: int, front: int, back: int):
        super().__init__()
        self.stride, self.front, self.back = stride, front, back

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, self.front, self.back))


class Projection(nn.Module):
    """Options B and C: a 1x1 convolution, then BN except in pre-activation nets."""

    def __init__(self, block: BlockSpec):
        super().__init__()
        self.conv = conv(block.projection)
        self.norm = norm(block.out_channels) if block.projection_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))  # type: ignore[no-any-return]


def build_shortcut(block: BlockSpec) -> nn.Module | None:
    """The shortcut that `block` names, (B, in, H, W) -> (B, out, H / stride, W / stride); None for a plain net."""
    if block.shortcut == "none":
        return None
    if block.shortcut == "identity":
        return nn.Identity()
    if block.shortcut == "projection":
        return Projection(block)
    zeros = block.out_channels - block.in_channels
    front = zeros // 2 if block.pad_channels == "both" else 0
    return PadShortcut(block.stride, front, zeros - front)
