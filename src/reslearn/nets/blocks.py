"""The one residual block: y = shortcut(x) + transform(x), with a ReLU around it in post-activation.

Plain, ResNet, pre-activation, ResNeXt, SE and wide nets differ in the values of its `BlockSpec`, never in its class.
"""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from ..spec.net import BlockSpec
from .layers import DropPath, SqueezeExcitation, conv, norm
from .shortcut import build_shortcut


class ResidualBlock(nn.Module):
    """(B, in, H, W) -> (B, out, H / stride, W / stride).

    post-activation (P1):  x -> conv -> BN -> ReLU -> conv -> BN -> + shortcut(x) -> ReLU -> y
    pre-activation (P2):   x -> BN -> ReLU -> conv -> BN -> ReLU -> conv -> + shortcut(x) -> y, where a shortcut that
                           pads or projects reads what the first BN-ReLU gives.
    A bottleneck has a third convolution. The gate (P4) rescales the transform before the addition.
    """

    conv1: nn.Module
    conv2: nn.Module
    conv3: nn.Module
    norm1: nn.Module
    norm2: nn.Module
    norm3: nn.Module

    def __init__(self, spec: BlockSpec):
        super().__init__()
        self.spec = spec
        for number, (layer, channels) in enumerate(zip(spec.convs, spec.norms, strict=True), 1):
            self.add_module(f"conv{number}", conv(layer))
            self.add_module(f"norm{number}", nn.Identity() if channels is None else norm(channels))
        self.bottleneck = len(spec.convs) == 3
        self.dropout = nn.Dropout(spec.dropout) if spec.dropout else nn.Identity()
        self.gate = SqueezeExcitation(spec) if spec.gate_channels else nn.Identity()
        self.drop_path = DropPath(spec.drop_path) if spec.drop_path else nn.Identity()
        self.shortcut = build_shortcut(spec)

    def forward(self, x: Tensor) -> Tensor:
        if self.spec.activation == "post":
            return F.relu(self.add(x, self.post_transform(x)))
        active = x if self.spec.norms[0] is None else F.relu(self.norm1(x))
        return self.add(active if self.spec.shared_preactivation else x, self.pre_transform(active))

    def post_transform(self, x: Tensor) -> Tensor:
        """BN after each convolution; the last ReLU waits until after the addition."""
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(self.dropout(y)))
        return cast(Tensor, self.norm3(self.conv3(F.relu(y))) if self.bottleneck else y)

    def pre_transform(self, active: Tensor) -> Tensor:
        """BN-ReLU before each convolution; `active` has had the first."""
        y = F.relu(self.norm2(self.conv1(active)))
        y = self.conv2(self.dropout(y))
        return cast(Tensor, self.conv3(F.relu(self.norm3(y))) if self.bottleneck else y)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """shortcut(x) + y; in a plain net y alone."""
        y = self.drop_path(self.gate(y))
        return y if self.shortcut is None else self.shortcut(x) + y

    def zero_last_gamma(self) -> None:
        """Start as the shortcut alone (1706.02677)."""
        last = self.norm3 if self.bottleneck else self.norm2
        nn.init.zeros_(cast(nn.BatchNorm2d, last).weight)
