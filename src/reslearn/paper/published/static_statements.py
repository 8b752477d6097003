"""Figures that the papers state in their texts, not in tables, each computed from the specs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...spec.catalogue import get_spec
from ...spec.cost import LayerCost, cost
from ...spec.net import NetSpec


@dataclass(frozen=True)
class Statement:
    """One figure of a paper's text. `tolerance` is the rounding of the printed text."""

    where: str
    text: str
    printed: str
    value: float
    computed: float
    tolerance: float = 0.0
    reason: str = ""


def statements() -> Iterator[Statement]:
    """Every checked figure of the texts."""
    yield from _p1_imagenet()
    yield from _p1_blocks()
    yield from _p1_cifar()
    yield from _p1_no_extra_parameters()
    yield from _p2()
    yield from _p4()


def _p1_imagenet() -> Iterator[Statement]:
    vgg16, vgg19 = cost(get_spec("vgg16")), cost(get_spec("vgg19"))
    r34 = cost(get_spec("resnet34", shortcut="A")).macs
    yield Statement(
        "p1 4.1",
        "VGG-16, FLOPs of the convolutions alone",
        "15.3 G",
        15.3,
        sum(m.macs for m in _convs(vgg16.layers)) / 1e9,
        0.05,
    )
    yield Statement("p1 3.3", "VGG-19, FLOPs", "19.6 G", 19.6, vgg19.macs / 1e9, 0.05)
    yield Statement("p1 3.3", "34 layers, share of VGG-19's FLOPs", "18 %", 18, 100 * r34 / vgg19.macs, 0.5,
                    "18.56 %; the paper divides its rounded figures, 3.6 / 19.6 = 18.4 %")  # fmt: skip
    yield Statement("p1 1", "152 layers, times deeper than VGG-19", "8", 8, get_net("resnet152_v1").depth / 19, 0.5)
    r152 = cost(get_spec("resnet152_v1")).macs
    yield Statement("p1 4.1", "152 layers below VGG-16 in FLOPs", "yes", 1, float(r152 < vgg16.macs))
    yield Statement("p1 4.1", "152 layers below VGG-19 in FLOPs", "yes", 1, float(r152 < vgg19.macs))
    b, c = (len(_projections(get_net("resnet34", shortcut=s))) for s in ("B", "C"))
    yield Statement("p1 4.1", "extra projections of option C in 34 layers", "13", 13, c - b)


def _p1_blocks() -> Iterator[Statement]:
    """Cost in units of H W C^2 with C = 64: P1 figure 5, and its remark on projections in bottlenecks."""
    basic = _block_macs("resnet34", "stages.0.1")
    bottleneck = _block_macs("resnet50_v1", "stages.0.1")
    unit = 56 * 56 * 64 * 64
    yield Statement("p1 fig. 5", "two 3x3 layers, 64-d, in H W C^2", "18", 18, basic / unit)
    yield Statement("p1 fig. 5", "bottleneck, 256-d, in H W C^2", "17", 17, bottleneck / unit)
    projected = _block_macs("resnet50_v1", "stages.0.1", shortcut="C")
    yield Statement(
        "p1 4.1", "bottleneck with a projection instead of the identity", "doubled", 2, projected / bottleneck, 0.1
    )


def _p1_cifar() -> Iterator[Statement]:
    for n in (3, 5, 7, 9, 18, 200):
        spec = get_net(f"resnet{6 * n + 2}_cifar")
        weighted = [m for m in cost(spec).layers if m.kind != "norm" and ".shortcut." not in m.name]
        yield Statement("p1 4.2", f"6n+2 weighted layers, n = {n}", str(6 * n + 2), 6 * n + 2, len(weighted))
    layers = cost(get_net("resnet20_cifar")).layers
    for stage, size, filters in ((0, 32, 16), (1, 16, 32), (2, 8, 64)):
        inside = [m for m in _convs(layers) if m.name.startswith(f"stages.{stage}.")]
        yield Statement("p1 4.2", f"map of stage {stage + 1}", f"{size}x{size}", size, inside[-1].output_size)
        yield Statement("p1 4.2", f"filters of stage {stage + 1}", str(filters), filters, inside[-1].out_channels)


def _p1_no_extra_parameters() -> Iterator[Statement]:
    """Option A adds nothing to its plain counterpart (P1 4.1, 4.2)."""
    pairs = [(f"resnet{d}", f"plain{d}") for d in (18, 34)]
    pairs += [(f"resnet{d}_cifar", f"plain{d}_cifar") for d in (20, 32, 44, 56, 110)]
    for residual, plain in pairs:
        a, b = cost(get_spec(residual, shortcut="A")), cost(get_spec(plain))
        extra = (a.parameters - b.parameters) + (a.macs - b.macs)
        yield Statement("p1 4.1", f"{residual} (A) against {plain}: extra parameters and FLOPs", "0", 0, extra)


def _p2() -> Iterator[Statement]:
    more = [len(_stage(f"resnet{depth}", 1)) for depth in (200, 152)]
    yield Statement("p2 5", "ResNet-200: units more than 152 on the 28x28 map", "16", 16, more[0] - more[1])
    a, b = (cost(get_spec(name)).parameters for name in ("preact_resnet110_cifar", "resnet110_cifar"))
    yield Statement("p2 4", "pre-activation adds parameters to ResNet-110 (A)", "0", 0, a - b)


def _p4() -> Iterator[Statement]:
    base = cost(get_spec("resnet50_v1"))
    gated = cost(get_spec("se_resnet50", stride_on="1x1", se_bias=False))
    gates = [sum(m.parameters for m in gated.layers if m.name.startswith(f"stages.{s}.") and ".gate." in m.name)
             for s in range(4)]  # fmt: skip
    added = sum(gates)
    yield Statement("p4 4", "parameters that the gates add to ResNet-50", "2.5 M", 2.5, added / 1e6, 0.05)
    yield Statement("p4 4", "the same, in percent", "10 %", 10, 100 * added / base.parameters, 0.5)
    kept = 100 * (added - gates[3]) / base.parameters
    yield Statement("p4 4", "the same without the last stage's gates", "4 %", 4, kept, 0.5)
    relative = 100 * (gated.macs - base.macs) / base.macs
    yield Statement("p4 4", "relative increase of FLOPs by the gates", "0.26 %", 0.26, relative, 0.005,
                    "0.07 % in convolution and FC; the paper divides its rounded figures, 3.87 / 3.86")  # fmt: skip


def get_net(name: str, **changes: object) -> NetSpec:
    """A residual spec of the catalogue, changed."""
    spec = get_spec(name, **changes)
    if not isinstance(spec, NetSpec):
        raise ValueError(f"{name} is no residual net")
    return spec


def _convs(layers: tuple[LayerCost, ...]) -> list[LayerCost]:
    return [layer for layer in layers if layer.kind == "conv"]


def _projections(spec: NetSpec) -> list[LayerCost]:
    return [layer for layer in _convs(cost(spec).layers) if ".shortcut." in layer.name]


def _block_macs(net: str, block: str, **changes: object) -> int:
    return sum(m.macs for m in cost(get_net(net, **changes)).layers if m.name.startswith(block + "."))


def _stage(net: str, stage: int) -> list[int]:
    return [block.index for block in get_net(net).blocks() if block.stage == stage]
