"""What stands between the pixels and the first stage: convolutions, their norms and a max-pool, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .errors import UserError

Stem = Literal["imagenet", "cifar", "cifar-pool", "deep"]


@dataclass(frozen=True)
class ConvSpec:
    """A square convolution without bias, padded so that stride 1 keeps the size.

    Pooling shrinks the map in a stride's place: what a 3x3 gives to its largest values, what a 1x1 reads to its means.
    """

    in_channels: int
    out_channels: int
    kernel: int
    stride: int = 1
    groups: int = 1
    dilation: int = 1
    pool: int = 1  # how many times smaller: 1 or 2


@dataclass(frozen=True)
class StemSpec:
    """A stem, fully resolved: BN-ReLU follows each convolution, then the max-pool comes."""

    convs: tuple[ConvSpec, ...]
    norms: tuple[int | None, ...]  # channels of the BN after each; None: the first pre-activation unit has it instead
    window: int = 0  # side of the max-pool's window, at stride 2; 0: there is none

    @property
    def stride(self) -> int:
        """Input pixels per pixel of the stem's output."""
        total = 2 if self.window else 1
        for conv in self.convs:
            total *= conv.stride * conv.pool
        return total


def resolve_stem(name: Stem, in_channels: int, channels: int, *, last_norm: bool = True) -> StemSpec:
    """The stem of that name, `channels` wide at its end; without `last_norm` its last BN-ReLU is left out.

    imagenet: 7x7/2 and 3x3/2 max-pool (P1 Table 1); deep: three 3x3 in the 7x7's place (1812.01187, ResNet-C);
    cifar: one 3x3 (P1 4.2); cifar-pool: one 3x3 that pools.
    """
    convs: tuple[ConvSpec, ...]
    if name == "imagenet":
        convs, window = (ConvSpec(in_channels, channels, 7, stride=2),), 3
    elif name == "deep":
        half, rest = divmod(channels, 2)
        if rest:
            raise UserError(f"stem_channels is {channels}; a deep stem needs an even number")
        first = ConvSpec(in_channels, half, 3, stride=2)
        convs, window = (first, ConvSpec(half, half, 3), ConvSpec(half, channels, 3)), 3
    else:
        convs, window = (ConvSpec(in_channels, channels, 3, pool=2 if name == "cifar-pool" else 1),), 0
    norms: list[int | None] = [conv.out_channels for conv in convs]
    if not last_norm:
        norms[-1] = None
    return StemSpec(convs, tuple(norms), window)
