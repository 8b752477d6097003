"""What a network is: frozen values that say aloud everything codebases disagree about in silence.

`NetSpec` names any net of the residual family (plain, ResNet, pre-activation, ResNeXt, SE, wide); a variation is
`dataclasses.replace(spec, shortcut="A")`. `spec.blocks()` expands it into the list that `nets` builds from and
`spec.cost` counts. `VggSpec` names the baselines. No torch here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .errors import UserError, check_choice

Stem = Literal["imagenet", "cifar", "deep"]
Shortcut = Literal["A", "B", "C", "none"]
ShortcutKind = Literal["identity", "pad", "projection", "none"]


@dataclass(frozen=True)
class BlockSpec:
    """One residual block, fully resolved: y = shortcut(x) + transform(x)."""

    stage: int  # 0-based; printed as conv2_x, conv3_x, ... for an ImageNet stem
    index: int  # 0-based within its stage
    kind: Literal["basic", "bottleneck"]
    in_channels: int
    out_channels: int
    bottleneck_channels: int | None  # width of the 3x3 convolution; None in a basic block
    stride: int
    dilation: int
    groups: int
    shortcut: ShortcutKind
    shared_preactivation: bool  # pre-activation nets: the shortcut branches off after the first BN-ReLU
    own_preactivation: bool  # False in the very first pre-activation unit: the stem's BN-ReLU serves it
    drop_path: float  # probability of dropping the transform while training


@dataclass(frozen=True)
class NetSpec:
    """A network of the residual family. Sources: arXiv 1512.03385 (P1), 1603.05027 (P2), 1611.05431 (P3),
    1709.01507 (P4), 1605.07146 (P5). Defaults are P1's."""

    name: str
    stem: Stem  # imagenet: 7x7/2 + max-pool; cifar: one 3x3; deep: three 3x3 + max-pool
    stem_channels: int
    block: Literal["basic", "bottleneck"]
    stage_blocks: tuple[int, ...]  # blocks in each stage
    stage_channels: tuple[int, ...]  # output channels of each stage
    groups: int = 1  # cardinality (P3)
    group_width: int | None = None  # channels per group in the first stage's 3x3, doubled stage by stage (bottleneck)
    activation: Literal["post", "pre"] = "post"  # pre: BN-ReLU-conv (P2)
    first_norm: Literal["before_pool", "after_pool"] = "before_pool"  # pre-activation: where the stem's BN-ReLU sits
    shortcut: Shortcut = "B"  # P1 3.3: A pads with zeros, B projects where shapes change, C projects always
    pad_channels: Literal["both", "end"] = "both"  # option A: where the zero channels go
    projection_norm: bool = True  # BN after a projection; pre-activation nets have none
    stride_on: Literal["1x1", "3x3"] = "3x3"  # which convolution of a bottleneck carries the stride
    se_reduction: int | None = None  # P4's r; None means no gate
    se_bias: bool = True
    se_min_channels: int = 1  # timm rounds the gate's hidden width up to 8
    dropout: float = 0.0  # between the two convolutions of a basic block (P5)
    drop_path: float = 0.0  # stochastic depth: probability at the last block, rising linearly from 0
    zero_init_last_gamma: bool = False  # 1706.02677; not in P1-P5
    init: Literal["fan_in", "fan_out"] = "fan_out"  # 1502.01852, eq. 10 or 14
    output_stride: int = 32  # 16 or 8: the last stages dilate instead of striding (ImageNet stems)
    in_channels: int = 3
    num_classes: int = 1000
    published_depth: int | None = None  # where a paper counts otherwise (wide nets)
    variant: str | None = None  # a block of paper/variants.py that only an ablation needs

    def __post_init__(self) -> None:
        validate(self)

    @property
    def image_size(self) -> int:
        """Side of the picture this net is meant for: 32 for a CIFAR stem, else 224."""
        return 32 if self.stem == "cifar" else 224

    @property
    def depth(self) -> int:
        """Stem, main-path convolutions and FC (P1); a wide net keeps its published depth."""
        if self.published_depth is not None:
            return self.published_depth
        per_block = 2 if self.block == "basic" else 3
        return (3 if self.stem == "deep" else 1) + per_block * sum(self.stage_blocks) + 1

    def blocks(self) -> list[BlockSpec]:
        """Every block of the net in order, resolved: the one truth that building and costing share."""
        return list(expand(self))


def expand(spec: NetSpec) -> Iterator[BlockSpec]:
    """Yield the blocks of `spec`; strides beyond `output_stride` turn into dilation."""
    in_channels, total_stride, dilation = spec.stem_channels, 1 if spec.stem == "cifar" else 4, 1
    number, count = 0, sum(spec.stage_blocks)
    for stage, (blocks, out_channels) in enumerate(zip(spec.stage_blocks, spec.stage_channels, strict=True)):
        width = None if spec.block == "basic" else spec.groups * (spec.group_width or 0) * 2**stage
        for index in range(blocks):
            stride = 2 if stage > 0 and index == 0 else 1
            here = dilation
            if stride == 2 and spec.stem != "cifar" and total_stride >= spec.output_stride:
                dilation, stride = dilation * 2, 1
            total_stride *= stride
            changes = stride != 1 or in_channels != out_channels
            first = number == 0 and spec.first_norm == "before_pool"
            yield BlockSpec(
                stage=stage,
                index=index,
                kind=spec.block,
                in_channels=in_channels,
                out_channels=out_channels,
                bottleneck_channels=width,
                stride=stride,
                dilation=here if index == 0 else dilation,
                groups=spec.groups,
                shortcut=_shortcut_kind(spec.shortcut, changes),
                shared_preactivation=spec.activation == "pre" and (changes or index == 0),
                own_preactivation=spec.activation == "pre" and not first,
                drop_path=spec.drop_path * number / max(count - 1, 1),
            )
            in_channels, number = out_channels, number + 1


def _shortcut_kind(option: Shortcut, changes: bool) -> ShortcutKind:
    if option == "none":
        return "none"
    if option == "C" or (option == "B" and changes):
        return "projection"
    return "pad" if changes else "identity"


def validate(spec: NetSpec) -> None:
    """Raise `UserError` naming the field and its valid values when no such network can exist."""
    check_choice("stem", spec.stem, ("imagenet", "cifar", "deep"))
    check_choice("block", spec.block, ("basic", "bottleneck"))
    check_choice("activation", spec.activation, ("post", "pre"))
    check_choice("shortcut", spec.shortcut, ("A", "B", "C", "none"))
    check_choice("pad_channels", spec.pad_channels, ("both", "end"))
    check_choice("stride_on", spec.stride_on, ("1x1", "3x3"))
    check_choice("init", spec.init, ("fan_in", "fan_out"))
    check_choice("output_stride", spec.output_stride, (8, 16, 32))
    for field in ("in_channels", "num_classes", "stem_channels", "groups"):
        if getattr(spec, field) < 1:
            raise UserError(f"{field} is {getattr(spec, field)}; it must be at least 1")
    if len(spec.stage_blocks) != len(spec.stage_channels) or not spec.stage_blocks:
        raise UserError("stage_blocks and stage_channels must have one entry per stage")
    if spec.block == "bottleneck" and not spec.group_width:
        raise UserError("group_width must be at least 1 for a bottleneck block")


@dataclass(frozen=True)
class VggSpec:
    """A VGG baseline (arXiv 1409.1556, Table 1). `stage_channels` repeats per convolution; a pool ends each stage."""

    name: str
    stage_convs: tuple[int, ...]
    stage_channels: tuple[int, ...] = (64, 128, 256, 512, 512)
    batch_norm: bool = False
    head: Literal["imagenet", "cifar"] = "imagenet"  # two hidden FC layers of 4096, or one FC alone
    dropout: float = 0.5
    in_channels: int = 3
    num_classes: int = 1000

    @property
    def image_size(self) -> int:
        """Side of the picture this net is meant for."""
        return 32 if self.head == "cifar" else 224


Spec = NetSpec | VggSpec
