"""Every network by name. Each family is one function of its few free numbers; the papers' tables are the arguments."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from .errors import UserError, unknown
from .net import NetSpec, Spec
from .vgg import VggSpec

# P1 Table 1: blocks in conv2_x ... conv5_x; the 200-layer net is P2's. VGG Table 1: convolutions between pools.
BASIC_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}
VGG_CONVS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}

_BASIC: dict[str, Any] = {"block": "basic", "stage_channels": (64, 128, 256, 512)}
_BOTTLENECK: dict[str, Any] = {"block": "bottleneck", "stage_channels": (256, 512, 1024, 2048), "group_width": 64}
_IMAGENET: dict[str, Any] = {"stem": "imagenet", "stem_channels": 64}
_CIFAR: dict[str, Any] = {"stem": "cifar", "stem_channels": 16, "num_classes": 10}
_PRE: dict[str, Any] = {"activation": "pre", "projection_norm": False}  # P2, and its authors' code
_SE: dict[str, Any] = {"se_reduction": 16}  # P4


def imagenet_resnet(name: str, depth: int, **fields: Any) -> NetSpec:
    """P1 Table 1: a 7x7 stem and four stages; basic blocks at 18 and 34 layers, bottlenecks beyond."""
    blocks = BASIC_BLOCKS | BOTTLENECK_BLOCKS
    if depth not in blocks:
        raise UserError(f"depth is {depth}; an ImageNet residual net has one of {', '.join(map(str, sorted(blocks)))}")
    shape = _BASIC if depth in BASIC_BLOCKS else _BOTTLENECK
    return NetSpec(name, **_IMAGENET | {"stage_blocks": blocks[depth]} | shape | fields)


def cifar_resnet(name: str, depth: int, **fields: Any) -> NetSpec:
    """P1 4.2: a 3x3 stem of 16 and three stages of n basic blocks, depth 6n + 2, option A."""
    shape = {"block": "basic", "stage_channels": (16, 32, 64), "shortcut": "A"}
    return NetSpec(name, **_CIFAR | _thirds(depth, 6, 2) | shape | fields)


def cifar_bottleneck(name: str, depth: int, **fields: Any) -> NetSpec:
    """P2 appendix: three stages of n bottlenecks, depth 9n + 2, the stride on the first 1x1, option B."""
    shape = {"block": "bottleneck", "stage_channels": (64, 128, 256), "group_width": 16, "stride_on": "1x1"}
    return NetSpec(name, **_CIFAR | _thirds(depth, 9, 2) | shape | fields)


def cifar_resnext(name: str, groups: int, group_width: int) -> NetSpec:
    """P3 5.3: 29 layers, a stem of 64 and three stages of three bottlenecks."""
    shape = {"block": "bottleneck", "stage_channels": (256, 512, 1024), "groups": groups, "group_width": group_width}
    return NetSpec(name, **_CIFAR | _thirds(29, 9, 2) | shape | {"stem_channels": 64})


def cifar_wide(name: str, depth: int, k: int, **fields: Any) -> NetSpec:
    """P5 Table 1: pre-activation basic blocks, k times as wide. Depth 6n + 4 counts the projections but not the FC."""
    shape = {"block": "basic", "stage_channels": (16 * k, 32 * k, 64 * k), "init": "fan_in", "published_depth": depth}
    if k == 1:  # the first block changes no shape; in P5's code its identity reads the stem's raw output
        fields = {"first_norm": "after_pool", **fields}
    return NetSpec(name, **_CIFAR | _thirds(depth, 6, 4) | _PRE | shape | fields)


def _thirds(depth: int, step: int, extra: int) -> dict[str, Any]:
    """`stage_blocks` (n, n, n) of a net whose depth is step * n + extra."""
    n, rest = divmod(depth - extra, step)
    if rest or n < 1:
        near = " or ".join(str(step * m + extra) for m in range(max(n, 1), max(n, 1) + 2))
        raise UserError(f"depth is {depth}; it must be {step}n + {extra}, e.g. {near}")
    return {"stage_blocks": (n, n, n)}


def _imagenet() -> Iterator[NetSpec]:
    for d in (18, 34):
        yield imagenet_resnet(f"plain{d}", d, shortcut="none")
    for d in (18, 34, 50, 101, 152, 200):
        yield imagenet_resnet(f"resnet{d}", d)
        yield imagenet_resnet(f"preact_resnet{d}", d, **_PRE)
    for d in (50, 101, 152):
        yield imagenet_resnet(f"resnet{d}_v1", d, stride_on="1x1")
    for d in (18, 34, 50, 101, 152):
        yield imagenet_resnet(f"se_resnet{d}", d, **_SE)
    for d, shapes in {
        50: ["2x40", "4x24", "8x14", "32x4"],
        101: ["2x40", "4x24", "8x14", "32x4", "2x64", "64x4", "32x8"],
        152: ["32x4"],
    }.items():
        for shape in shapes:
            groups, group_width = map(int, shape.split("x"))
            yield imagenet_resnet(f"resnext{d}_{shape}d", d, groups=groups, group_width=group_width)
    for d in (50, 101):
        yield imagenet_resnet(f"se_resnext{d}_32x4d", d, groups=32, group_width=4, **_SE)
        yield imagenet_resnet(f"wide_resnet{d}_2", d, group_width=128)


def _cifar() -> Iterator[NetSpec]:
    for d in (20, 32, 44, 56, 110):
        yield cifar_resnet(f"plain{d}_cifar", d, shortcut="none")
    for d in (20, 32, 44, 56, 110, 1202):
        yield cifar_resnet(f"resnet{d}_cifar", d)
    for d in (164, 1001):
        yield cifar_bottleneck(f"resnet{d}_cifar", d)
        yield cifar_bottleneck(f"preact_resnet{d}_cifar", d, **_PRE)
    yield cifar_resnet("preact_resnet110_cifar", 110, **_PRE)
    for d in (20, 56, 110):
        yield cifar_resnet(f"se_resnet{d}_cifar", d, **_SE)
    yield cifar_resnet("se_preact_resnet110_cifar", 110, **_PRE, **_SE)
    yield cifar_bottleneck("se_preact_resnet164_cifar", 164, **_PRE, **_SE)
    for groups, width in ((1, 64), (2, 64), (4, 64), (8, 64), (16, 64), (32, 4)):
        yield cifar_resnext(f"resnext29_{groups}x{width}d_cifar", groups, width)
    for d, k in ((16, 4), (16, 8), (22, 8), (28, 10), (40, 1), (40, 2), (40, 4), (40, 8)):
        yield cifar_wide(f"wrn{d}_{k}_cifar", d, k)
    yield cifar_wide("se_wrn16_8_cifar", 16, 8, **_SE)
    for d in (18, 34, 50, 101, 152):  # ImageNet's stages behind a 3x3 stem: 64 wide, no max-pool
        yield imagenet_resnet(f"resnet{d}_w64_cifar", d, stem="cifar", num_classes=10)
    yield NetSpec(  # for the `speed-cifar` recipe: few layers, little work at full size
        "resnet_speed_cifar",
        stem="cifar-pool",
        stem_channels=64,
        block="basic",
        stage_blocks=(2, 2),
        stage_channels=(128, 256),
        first_stride=2,
        downsample="pool",
        num_classes=10,
    )


def _vgg() -> Iterator[VggSpec]:
    for d, convs in VGG_CONVS.items():
        yield VggSpec(f"vgg{d}", convs)
        yield VggSpec(f"vgg{d}_bn", convs, batch_norm=True)
    yield VggSpec("vgg16_cifar", VGG_CONVS[16], batch_norm=True, head="cifar", num_classes=10)


_ALL: list[Spec] = [*_imagenet(), *_cifar(), *_vgg()]
CATALOGUE: Mapping[str, Spec] = MappingProxyType({spec.name: spec for spec in _ALL})


def list_models(pattern: str = "*") -> list[str]:
    """Names in the catalogue that match a shell pattern such as `resnext*`, family by family."""
    return fnmatch.filter(CATALOGUE, pattern)


def get_spec(name_or_spec: str | Spec, **changes: Any) -> Spec:
    """The spec of that name (or the spec itself), with `changes` to its fields.

    Raises `UserError` for an unknown name or field (naming the nearest valid ones) and for values that no network has.
    """
    if isinstance(name_or_spec, str):
        if name_or_spec not in CATALOGUE:
            raise unknown("model", name_or_spec, CATALOGUE)
        spec = CATALOGUE[name_or_spec]
    elif dataclasses.is_dataclass(name_or_spec) and not isinstance(name_or_spec, type):
        spec = name_or_spec
    else:
        raise UserError(f"a network is a name of list_models() or a spec; found {type(name_or_spec).__name__}")
    fields = [field.name for field in dataclasses.fields(spec)]
    for key in changes:
        if key not in fields:
            raise unknown(f"field of {spec.name}", key, fields)
    return dataclasses.replace(spec, **changes) if changes else spec
