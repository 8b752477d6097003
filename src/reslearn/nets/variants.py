"""Blocks that only a paper's ablation needs, named by a spec's `variant`; `blocks.py`, whose block stays one, has none.

P2 is arXiv 1603.05027; its sections 3 (shortcuts) and 4 (activations) define most of them.

P2's 1x1 shortcut is option C and its full pre-activation is a spec field: neither needs a variant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..spec.errors import UserError, unknown
from ..spec.net import BlockSpec, NetSpec
from .blocks import ResidualBlock
from .resnet import ResNet


class ChangedShortcut(ResidualBlock):
    """A block whose shortcut and transform meet otherwise than by plain addition; `combine` says how."""

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        if self.shortcut is None:
            raise UserError("this variant changes the shortcut, and the net has none")
        return self.combine(x, self.shortcut(x), self.drop_path(self.gate(y)))

    def combine(self, x: Tensor, shortcut: Tensor, y: Tensor) -> Tensor:
        """x (B, in, H, W); shortcut(x) and the transform y (B, out, H / stride, W / stride), as is the result."""
        raise NotImplementedError


class ConstantScaling(ChangedShortcut):
    """P2 3.1: a * shortcut(x) + b * transform(x), with constants a and b."""

    def __init__(self, spec: BlockSpec, on_shortcut: float, on_transform: float):
        super().__init__(spec)
        self.on_shortcut, self.on_transform = on_shortcut, on_transform

    def combine(self, x: Tensor, shortcut: Tensor, y: Tensor) -> Tensor:
        return self.on_shortcut * shortcut + self.on_transform * y


class ExclusiveGate(ChangedShortcut):
    """P2 3.2, after highway networks: (1 - g(x)) * shortcut(x) + g(x) * transform(x), with g a 1x1 convolution and a
    sigmoid. The gate's bias starts at `bias`: the lower, the more open the shortcut."""

    def __init__(self, spec: BlockSpec, bias: float):
        super().__init__(spec)
        self.gate_conv = nn.Conv2d(spec.in_channels, spec.out_channels, 1, stride=spec.stride)
        nn.init.constant_(self.gate_conv.bias, bias)  # type: ignore[arg-type]

    def openness(self, x: Tensor) -> Tensor:
        """1 - g(x) in 0..1, (B, out, H / stride, W / stride): the share of the shortcut that is let through."""
        return torch.sigmoid(-self.gate_conv(x))

    def combine(self, x: Tensor, shortcut: Tensor, y: Tensor) -> Tensor:
        opened = self.openness(x)
        return opened * shortcut + (1 - opened) * y


class ShortcutGate(ExclusiveGate):
    """P2 3.3: (1 - g(x)) * shortcut(x) + transform(x)."""

    def combine(self, x: Tensor, shortcut: Tensor, y: Tensor) -> Tensor:
        return self.openness(x) * shortcut + y


class DropoutShortcut(ChangedShortcut):
    """P2 3.5: dropout(shortcut(x)) + transform(x)."""

    def __init__(self, spec: BlockSpec, p: float):
        super().__init__(spec)
        self.p = p

    def combine(self, x: Tensor, shortcut: Tensor, y: Tensor) -> Tensor:
        return F.dropout(shortcut, self.p, self.training) + y


class BnAfterAddition(ResidualBlock):
    """P2 figure 4 (b): the last BN comes after the addition, so that the signal on the shortcut is normalised too."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.relu(self.norm1(self.conv1(x))))
        last = self.norm2
        if self.bottleneck:
            y, last = self.conv3(F.relu(self.norm2(y))), self.norm3
        return F.relu(last(self.add(x, y)))


class ReluBeforeAddition(ResidualBlock):
    """P2 figure 4 (c): shortcut(x) + relu(transform(x)), a transform that can only add."""

    def forward(self, x: Tensor) -> Tensor:
        return self.add(x, F.relu(self.post_transform(x)))


class ReluOnlyPreactivation(ResidualBlock):
    """P2 figure 4 (d): the last ReLU moves to the front of the next block; BN stays after each convolution.

    As in full pre-activation, a shortcut that changes the shape reads the activated signal, and the signal that leaves
    the last block is activated once more.
    """

    last = False

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(x)
        changes = self.spec.stride != 1 or self.spec.in_channels != self.spec.out_channels
        y = self.add(active if changes else x, self.post_transform(active))
        return F.relu(y) if self.last else y


class OneLayer(ResidualBlock):
    """P2 table 3, "1-layer skip": a transform of a single 3x3 convolution."""

    def __init__(self, spec: BlockSpec):
        super().__init__(spec)
        del self.conv2, self.norm2

    def post_transform(self, x: Tensor) -> Tensor:
        return self.norm1(self.conv1(x))  # type: ignore[no-any-return]

    def pre_transform(self, active: Tensor) -> Tensor:
        return self.conv1(active)  # type: ignore[no-any-return]


Block = Callable[..., ResidualBlock]
# name -> (block, how many numbers follow the colon)
BLOCKS: Mapping[str, tuple[Block, int]] = MappingProxyType(
    {
        "constant_scaling": (ConstantScaling, 2),  # constant_scaling:0.5,1 (shortcut, transform)
        "exclusive_gate": (ExclusiveGate, 1),  # exclusive_gate:-6 (initial bias)
        "shortcut_gate": (ShortcutGate, 1),
        "dropout_shortcut": (DropoutShortcut, 1),
        "bn_after_addition": (BnAfterAddition, 0),
        "relu_before_addition": (ReluBeforeAddition, 0),
        "relu_only_preactivation": (ReluOnlyPreactivation, 0),
        "one_layer": (OneLayer, 0),
    }
)
WHOLE_NET = {"no_norm": 0, "no_norm_init": 1, "init": 1}  # init:0.01 (std of every convolution's first weights)
NAMES = (*BLOCKS, *WHOLE_NET)


def build_variant(spec: NetSpec, variant: str) -> ResNet:
    """The network of a spec with the block or the change that `variant` names.

    Raises `UserError` for an unknown variant, for a wrong count of numbers after its colon, and for a shortcut's
    variant in a net that has no shortcuts.
    """
    name, numbers = parse(variant)
    if name in WHOLE_NET:
        return _whole_net(spec, name, numbers)
    make, _ = BLOCKS[name]
    if spec.shortcut == "none" and isinstance(make, type) and issubclass(make, ChangedShortcut):
        raise UserError(f"{spec.name}: the variant {variant!r} changes the shortcut, and this net has none")
    net = ResNet(spec, block=lambda block: make(block, *numbers))
    last = net.blocks()[-1]
    if isinstance(last, ReluOnlyPreactivation):
        last.last = True
    return net


def parse(variant: str) -> tuple[str, list[float]]:
    """("exclusive_gate", [-6.0]) of "exclusive_gate:-6". Raises `UserError` naming what would be right."""
    name, _, text = variant.partition(":")
    if name not in NAMES:
        raise unknown("variant", name, NAMES)
    count = BLOCKS[name][1] if name in BLOCKS else WHOLE_NET[name]
    try:
        numbers = [float(part) for part in text.split(",")] if text else []
    except ValueError:
        numbers = [0.0] * (count + 1)
    if len(numbers) != count:
        form = name + (":" + ",".join(["NUMBER"] * count) if count else "")
        raise UserError(f"variant is {variant!r}; it must be {form}")
    return name, numbers


def _whole_net(spec: NetSpec, name: str, numbers: list[float]) -> ResNet:
    net = ResNet(spec)
    if name.startswith("no_norm"):
        remove_norms(net)
    if numbers:
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=numbers[0])
    return net


def remove_norms(net: nn.Module) -> None:
    """Take every BN out of `net` in place and give each convolution the bias that BN's shift made superfluous."""
    for module in net.modules():
        for name, child in list(module.named_children()):
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                setattr(module, name, nn.Identity())
        if isinstance(module, nn.Conv2d) and module.bias is None:
            module.bias = nn.Parameter(torch.zeros(module.out_channels))
