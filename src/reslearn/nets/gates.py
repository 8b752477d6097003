"""P4's other gates (1709.01507 section 6): other squeezes, other functions, other places in the block.

`nets/variants.py` names them; the gate as P4 recommends it stands in `layers.py`.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..spec.net import BlockSpec
from .blocks import ResidualBlock
from .layers import SqueezeExcitation


class MaxGate(SqueezeExcitation):
    """Table 11: the largest value of each channel instead of its mean."""

    def squeeze(self, x: Tensor) -> Tensor:
        return x.amax(dim=(2, 3))


class PointwiseGate(SqueezeExcitation):
    """Table 16, NoSqueeze: a gate at each position from that position alone; the two FC layers are 1x1 convolutions."""

    def forward(self, x: Tensor) -> Tensor:
        return x * self.excitation(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ReluGate(SqueezeExcitation):
    """Table 12: a second ReLU instead of the sigmoid."""

    def excitation(self, squeezed: Tensor) -> Tensor:
        return F.relu(self.fc2(F.relu(self.fc1(squeezed))))


class TanhGate(SqueezeExcitation):
    """Table 12: tanh instead of the sigmoid; it can turn a channel's sign."""

    def excitation(self, squeezed: Tensor) -> Tensor:
        return torch.tanh(self.fc2(F.relu(self.fc1(squeezed))))


class OtherGate(ResidualBlock):
    """The usual block with a gate of another kind."""

    kind = SqueezeExcitation

    def __init__(self, spec: BlockSpec):
        super().__init__(spec)
        if spec.gate_channels:
            self.gate = self.kind(spec)


class Max(OtherGate):
    kind = MaxGate


class NoSqueeze(OtherGate):
    kind = PointwiseGate


class Relu(OtherGate):
    kind = ReluGate


class Tanh(OtherGate):
    kind = TanhGate


class MovedGate(ResidualBlock):
    """A post-activation block whose gate stands elsewhere than before the addition; subclasses say where."""

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        y = self.drop_path(y)
        return y if self.shortcut is None else self.shortcut(x) + y


class Before(MovedGate):
    """SE-PRE (figure 5): the transform reads the gated input, the shortcut the input itself."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.add(x, self.post_transform(self.gate(x))))


class After(MovedGate):
    """SE-POST: the gate rescales the sum, after its ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        return self.gate(F.relu(self.add(x, self.post_transform(x))))  # type: ignore[no-any-return]


class OnShortcut(MovedGate):
    """SE-Identity: the gate rescales the shortcut."""

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        shortcut = cast(nn.Module, self.shortcut)  # there is one, as `build_variant` has checked
        return self.gate(shortcut(x)) + self.drop_path(y)  # type: ignore[no-any-return]


class Inside(MovedGate):
    """SE_3x3 (table 15): the gate rescales what the 3x3 convolution of a bottleneck gives, after its BN-ReLU."""

    def post_transform(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.gate(F.relu(self.norm2(self.conv2(y))))
        return self.norm3(self.conv3(y))  # type: ignore[no-any-return]
