"""Blocks that only a paper's ablation needs, named by a spec's `variant`; `blocks.py`, whose block stays one, has none.

P2 is arXiv 1603.05027; its sections 3 (shortcuts) and 4 (activations) define most of them.

P2's 1x1 shortcut is option C and its full pre-activation is a spec field: neither needs a variant. What P4 does with
its gates stands in `gates.py`. The layers that each variant has are `spec.variant`'s to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..spec.errors import UserError
from ..spec.net import BlockSpec, NetSpec
from ..spec.variant import parse
from . import gates
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


class Stacked(ResidualBlock):
    """One to four convolutions in a row: P2 table 3 ("1-layer skip"), P5 tables 2 and 3. BN-ReLU stands between them,
    and dropout before the last."""

    def post_transform(self, x: Tensor) -> Tensor:
        for number in range(1, len(self.spec.convs) + 1):
            x = self.spaced(x, number)
            x = self.get_submodule(f"norm{number}")(self.get_submodule(f"conv{number}")(x))
            x = F.relu(x) if number < len(self.spec.convs) else x
        return x

    def pre_transform(self, active: Tensor) -> Tensor:
        y = active
        for number in range(1, len(self.spec.convs) + 1):
            y = y if number == 1 else F.relu(self.get_submodule(f"norm{number}")(y))
            y = self.get_submodule(f"conv{number}")(self.spaced(y, number))
        return y

    def spaced(self, x: Tensor, number: int) -> Tensor:
        """`x` with the dropout that stands before the last of several convolutions."""
        return self.dropout(x) if number == len(self.spec.convs) > 1 else x

    def zero_last_gamma(self) -> None:
        nn.init.zeros_(getattr(self, f"norm{len(self.spec.convs)}").weight)


Block = Callable[..., ResidualBlock]  # of a BlockSpec and the numbers behind the variant's colon
BLOCKS: Mapping[str, Block] = MappingProxyType(
    {
        "constant_scaling": ConstantScaling,
        "exclusive_gate": ExclusiveGate,
        "shortcut_gate": ShortcutGate,
        "dropout_shortcut": DropoutShortcut,
        "bn_after_addition": BnAfterAddition,
        "relu_before_addition": ReluBeforeAddition,
        "relu_only_preactivation": ReluOnlyPreactivation,
        "one_layer": Stacked,
        "kernels": lambda spec, *_: Stacked(spec),
        "se_max": gates.Max,
        "se_no_squeeze": gates.NoSqueeze,
        "se_relu": gates.Relu,
        "se_tanh": gates.Tanh,
        "se_stage": lambda spec, *_: ResidualBlock(spec),
        "se_pre": gates.Before,
        "se_post": gates.After,
        "se_identity": gates.OnShortcut,
        "se_3x3": gates.Inside,
    }
)
WHOLE_NET = ("no_norm", "no_norm_init", "init", "no_affine")


def build_variant(spec: NetSpec, variant: str) -> ResNet:
    """The network of a spec with the block or the change that `variant` names. Raises `UserError` for an unknown
    variant and for a wrong count of numbers after its colon; a spec whose net lacks what is changed there is none."""
    name, numbers = parse(variant)
    if name in WHOLE_NET:
        return _whole_net(spec, name, numbers)
    make = BLOCKS[name]
    net = ResNet(spec, block=lambda block: make(block, *numbers))
    last = net.blocks()[-1]
    if isinstance(last, ReluOnlyPreactivation):
        last.last = True
    return net


def _whole_net(spec: NetSpec, name: str, numbers: list[float]) -> ResNet:
    net = ResNet(spec)
    if name.startswith("no_norm"):
        remove_norms(net)
    if name == "no_affine":
        fix_affine(net)
    if numbers:
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=numbers[0])
    return net


def fix_affine(net: nn.Module) -> None:
    """Turn every BN's gamma and beta, in place, into constants 1 and 0 that no training moves."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for name in ("weight", "bias"):
                fixed = getattr(module, name).detach()
                delattr(module, name)
                module.register_buffer(name, fixed)


def remove_norms(net: nn.Module) -> None:
    """Take every BN out of `net` in place and give each convolution the bias that BN's shift made superfluous."""
    for module in net.modules():
        for name, child in list(module.named_children()):
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                setattr(module, name, nn.Identity())
        if isinstance(module, nn.Conv2d) and module.bias is None:
            module.bias = nn.Parameter(torch.zeros(module.out_channels))
