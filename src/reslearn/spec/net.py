"""What a network is: frozen values that say aloud everything codebases disagree about in silence.

`NetSpec` names any net of the residual family (plain, ResNet, pre-activation, ResNeXt, SE, wide); a variation is
`dataclasses.replace(spec, shortcut="A")`. `spec.blocks()` expands it into the list that `nets` builds from and
`spec.cost` counts. `VggSpec` names the baselines. No torch here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from . import codec
from .errors import UserError, check_choice
from .rule import Count, Dropped
from .rules import validate
from .stem import ConvSpec as ConvSpec
from .stem import Stem, StemSpec, resolve_stem
from .variant import reshape
from .vgg import VggSpec as VggSpec

Shortcut = Literal["A", "B", "C", "none"]
ShortcutKind = Literal["identity", "pad", "projection", "none"]


@dataclass(frozen=True)
class NetSpec:
    """A network of the residual family. Sources: arXiv 1512.03385 (P1), 1603.05027 (P2), 1611.05431 (P3),
    1709.01507 (P4), 1605.07146 (P5). Defaults are P1's, with the stride on the 3x3."""

    name: str
    stem: Stem  # its name; `resolved_stem` says what it is, stem.py has them all
    stem_channels: Count
    block: Literal["basic", "bottleneck"]  # two 3x3, or 1x1-3x3-1x1
    stage_blocks: tuple[int, ...]  # blocks in each stage
    stage_channels: tuple[int, ...]  # output channels of each stage
    groups: Count = 1  # of the 3x3 convolutions: cardinality (P3)
    group_width: Count | None = None  # bottleneck: channels per group of the first stage's 3x3, doubling stage by stage
    activation: Literal["post", "pre"] = "post"  # pre: BN-ReLU-conv, and one BN-ReLU before the head (P2)
    first_norm: Literal["before_pool", "after_pool"] = "before_pool"  # pre: first BN in the stem, or in the first unit
    shortcut: Shortcut = "B"  # P1 3.3: A pads with zeros, B projects where shapes change, C projects always
    pad_channels: Literal["both", "end"] = "both"  # option A: where the zero channels go
    projection_norm: bool = True  # BN after a projection; pre-activation nets have none
    stride_on: Literal["1x1", "3x3"] = "3x3"  # which convolution of a bottleneck carries the stride; P1's is the 1x1
    first_stride: Literal[1, 2] = 1  # of the first stage; every later one halves the map
    downsample: Literal["stride", "pool"] = "stride"  # pool: a basic block's conv1 is max-pooled, its shortcut averaged
    se_reduction: Count | None = None  # P4's r; None means no gate
    se_bias: bool = True  # of the gate's two FC layers
    se_min_channels: Count = 1  # least hidden width of the gate; timm's is 8
    dropout: Dropped = 0.0  # between the two convolutions of a basic block (P5)
    drop_path: Dropped = 0.0  # stochastic depth (1603.09382): block l of L drops out with l / L times this
    zero_init_last_gamma: bool = False  # 1706.02677; not in P1-P5
    init: Literal["fan_in", "fan_out"] = "fan_out"  # 1502.01852, eq. 10 or 14
    output_stride: Literal[8, 16, 32] = 32  # 16 or 8: the last stages dilate instead of striding
    in_channels: Count = 3
    num_classes: Count = 1000
    published_depth: Count | None = None  # where a paper counts otherwise (wide nets)
    variant: str | None = None  # a block of nets/variants.py that only an ablation needs

    def __post_init__(self) -> None:
        validate(self)

    @property
    def resolved_stem(self) -> StemSpec:
        """The stem's convolutions, norms and max-pool."""
        last_norm = self.activation == "post" or self.first_norm == "before_pool"
        return resolve_stem(self.stem, self.in_channels, self.stem_channels, last_norm=last_norm)

    @property
    def image_size(self) -> int:
        """Side of the picture this net is meant for: 32 unless the stem makes it four times smaller, else 224."""
        return 32 if self.resolved_stem.stride < 4 else 224

    @property
    def depth(self) -> int:
        """Stem, main-path convolutions and FC (P1); a wide net keeps its published depth."""
        if self.published_depth is not None:
            return self.published_depth
        per_block = 2 if self.block == "basic" else 3
        return len(self.resolved_stem.convs) + per_block * sum(self.stage_blocks) + 1

    @property
    def stage_strides(self) -> tuple[int, ...]:
        """Input pixels per pixel of each stage's output."""
        total, strides = self.resolved_stem.stride, {}
        for block in self.blocks():
            strides[block.stage] = total = total * block.stride
        return tuple(strides.values())

    def _repr_html_(self) -> str:
        from .shown import network_html

        return network_html(self)

    def blocks(self) -> list[BlockSpec]:
        """Every block of the net in order, resolved: the one truth that building, costing and drawing share."""
        return [reshape(self, block) for block in expand(self)] if self.variant else list(expand(self))


@dataclass(frozen=True)
class BlockSpec:
    """One residual block, fully resolved: y = shortcut(x) + transform(x), with a ReLU around it in post-activation."""

    stage: int  # 0-based; conv2_x, conv3_x, ... in the papers
    index: int  # 0-based within its stage
    in_channels: int
    out_channels: int
    stride: int
    convs: tuple[ConvSpec, ...]  # the transform's convolutions: two or three, in a variant one to four
    norms: tuple[int | None, ...]  # channels of the BN after (pre-activation: before) each of them; None: no BN there
    activation: Literal["post", "pre"]
    shortcut: ShortcutKind
    shared_preactivation: bool  # the shortcut branches off after the first BN-ReLU, not before it
    projection_norm: bool
    pad_channels: Literal["both", "end"]
    gate_channels: int | None  # hidden width of the squeeze-and-excitation gate; None means no gate
    gate_bias: bool
    dropout: float
    drop_path: float  # probability of dropping the transform while training
    gated_channels: int | None = None  # what the gate rescales, where that is not the block's output
    gate_everywhere: bool = False  # a gate at each position, without a mean

    @property
    def name(self) -> str:
        """Where the block stands in the network and in its state dict, e.g. `stages.2.5`."""
        return f"stages.{self.stage}.{self.index}"

    @property
    def projection(self) -> ConvSpec:
        """The 1x1 convolution of a projection shortcut."""
        pool = self.convs[0].pool
        return ConvSpec(self.in_channels, self.out_channels, 1, stride=self.stride // pool, pool=pool)


def expand(spec: NetSpec) -> Iterator[BlockSpec]:
    """Yield the blocks of `spec`. A later stage halves the map, or dilates once `output_stride` is reached."""
    in_channels, total_stride, dilation, number = spec.stem_channels, spec.resolved_stem.stride, 1, 0
    for stage, (count, out_channels) in enumerate(zip(spec.stage_blocks, spec.stage_channels, strict=True)):
        for index in range(count):
            number += 1  # in the whole net
            stride = 1 if index > 0 else 2 if stage > 0 else spec.first_stride
            dilates = stride == 2 and total_stride >= spec.output_stride
            stride = 1 if dilates else stride
            convs = _convs(spec, stage, in_channels, stride, dilation)
            norms: list[int | None] = [c.out_channels if spec.activation == "post" else c.in_channels for c in convs]
            if spec.activation == "pre" and number == 1 and spec.first_norm == "before_pool":
                norms[0] = None  # P2: BN-ReLU comes before each convolution; the stem's own serves the very first unit
            shortcut = _shortcut(spec.shortcut, stride != 1 or in_channels != out_channels)
            yield BlockSpec(
                stage=stage,
                index=index,
                in_channels=in_channels,
                out_channels=out_channels,
                stride=stride,
                convs=convs,
                norms=tuple(norms),
                activation=spec.activation,
                shortcut=shortcut,
                shared_preactivation=spec.activation == "pre" and shortcut in ("pad", "projection"),
                projection_norm=spec.projection_norm,
                pad_channels=spec.pad_channels,
                gate_channels=spec.se_reduction and max(out_channels // spec.se_reduction, spec.se_min_channels),
                gate_bias=spec.se_bias,
                dropout=spec.dropout,
                drop_path=spec.drop_path * number / sum(spec.stage_blocks),
            )
            in_channels, total_stride = out_channels, total_stride * stride
            dilation *= 2 if dilates else 1  # the block in the stride's place still reads an undilated map


def _convs(spec: NetSpec, stage: int, in_channels: int, stride: int, dilation: int) -> tuple[ConvSpec, ...]:
    out_channels, groups = spec.stage_channels[stage], spec.groups
    if spec.block == "basic":
        step, pool = (1, stride) if spec.downsample == "pool" else (stride, 1)
        return (
            ConvSpec(in_channels, out_channels, 3, step, groups, dilation, pool),
            ConvSpec(out_channels, out_channels, 3, 1, groups, dilation),
        )
    width = groups * (spec.group_width or 0) * 2**stage  # as wide again at every halved map: equal cost (P1 3.3)
    first, second = (stride, 1) if spec.stride_on == "1x1" else (1, stride)
    return (
        ConvSpec(in_channels, width, 1, first),
        ConvSpec(width, width, 3, second, groups, dilation),
        ConvSpec(width, out_channels, 1),
    )


def _shortcut(option: Shortcut, changes: bool) -> ShortcutKind:
    if option == "none":
        return "none"
    if option == "C" or (option == "B" and changes):
        return "projection"
    return "pad" if changes else "identity"


Spec = NetSpec | VggSpec


def spec_to_json(spec: Spec) -> dict[str, Any]:
    """A spec as a JSON object; `kind` says which of the two it is."""
    return {"kind": "vgg" if isinstance(spec, VggSpec) else "residual", **codec.to_json(spec)}


def spec_from_json(data: Any, where: str) -> Spec:
    """The spec that `spec_to_json` wrote. `where` names the file in the error."""
    if not isinstance(data, Mapping) or "kind" not in data:
        raise UserError(f"{where}: a network spec is an object with kind 'residual' or 'vgg'")
    fields = {key: value for key, value in data.items() if key != "kind"}
    check_choice(f"{where}: kind", data["kind"], ("residual", "vgg"))
    if data["kind"] == "vgg":
        return codec.from_json(VggSpec, fields, where)
    return codec.from_json(NetSpec, fields, where)
