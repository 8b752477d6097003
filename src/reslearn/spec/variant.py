"""What an ablation's block has for layers, as values: `spec.variant` by name, for building, costing and drawing.

What such a block computes stands in `nets/variants.py`, which has an entry for each of these names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from .errors import UserError, unknown
from .stem import ConvSpec

if TYPE_CHECKING:
    from .net import BlockSpec, NetSpec

# name -> how many numbers stand after its colon, at the least and at the most
NUMBERS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "constant_scaling": (2, 2),  # constant_scaling:0.5,1 (shortcut, transform)
        "exclusive_gate": (1, 1),  # exclusive_gate:-6 (initial bias)
        "shortcut_gate": (1, 1),
        "dropout_shortcut": (1, 1),
        "bn_after_addition": (0, 0),
        "relu_before_addition": (0, 0),
        "relu_only_preactivation": (0, 0),
        "one_layer": (0, 0),
        "kernels": (1, 4),  # kernels:3,1,3 (sides of the convolutions, all as wide as the block)
        "se_max": (0, 0),
        "se_no_squeeze": (0, 0),
        "se_relu": (0, 0),
        "se_tanh": (0, 0),
        "se_stage": (1, 1),  # se_stage:2 (conv2_x, the papers' count)
        "se_pre": (0, 0),
        "se_post": (0, 0),
        "se_identity": (0, 0),
        "se_3x3": (0, 0),
        "no_norm": (0, 0),
        "no_norm_init": (1, 1),
        "init": (1, 1),  # init:0.01 (std of every convolution's first weights)
        "no_affine": (0, 0),
    }
)


def parse(variant: str) -> tuple[str, list[float]]:
    """("exclusive_gate", [-6.0]) of "exclusive_gate:-6". Raises `UserError` naming what would be right."""
    name, _, text = variant.partition(":")
    if name not in NUMBERS:
        raise unknown("variant", name, NUMBERS)
    least, most = NUMBERS[name]
    try:
        numbers = [float(part) for part in text.split(",")] if text else []
    except ValueError:
        numbers = [0.0] * (most + 1)
    if not least <= len(numbers) <= most:
        form = name + (":" + ",".join(["NUMBER"] * least) if most else "")
        form += f", with up to {most} numbers" if most > least else ""
        raise UserError(f"variant is {variant!r}; it must be {form}")
    if name == "kernels" and any(side not in (1, 3, 5, 7) for side in numbers):
        raise UserError(f"variant is {variant!r}; a kernel's side is 1, 3, 5 or 7")
    if not all(math.isfinite(number) for number in numbers):
        raise UserError(f"variant is {variant!r}; its numbers must be finite")
    if name == "dropout_shortcut" and not 0 <= numbers[0] < 1:
        raise UserError(f"variant is {variant!r}; the share that is dropped is at least 0 and less than 1")
    if name in ("init", "no_norm_init") and numbers[0] <= 0:
        raise UserError(f"variant is {variant!r}; a standard deviation is greater than 0")
    return name, numbers


SHORTCUTS = ("constant_scaling", "exclusive_gate", "shortcut_gate", "dropout_shortcut", "se_identity")
POST = ("bn_after_addition", "relu_before_addition", "relu_only_preactivation", "se_pre", "se_post", "se_identity",
        "se_3x3")  # fmt: skip


def check(spec: NetSpec) -> None:
    """Raise `UserError` for an unknown variant, and for one of a net that lacks what it changes."""
    if spec.variant is None:
        return
    name, numbers = parse(spec.variant)
    what = f"the variant {spec.variant!r}"
    if spec.shortcut == "none" and name in SHORTCUTS:
        raise UserError(f"{what} changes the shortcut, and this net has none: set shortcut, e.g. to B")
    if name.startswith("se_") and not spec.se_reduction:
        raise UserError(f"{what} changes the gates, and this net has none: set se_reduction, e.g. to 16")
    stages = range(2, len(spec.stage_blocks) + 2)
    if name == "se_stage" and numbers[0] not in stages:
        raise UserError(f"{what} leaves no gate; its stages are {stages[0]} to {stages[-1]}")
    if name in POST and spec.activation != "post":
        raise UserError(f"{what} is defined for post-activation nets: use activation='post'")
    if name == "se_3x3" and spec.block != "bottleneck":
        raise UserError(f"{what} stands after the 3x3 of a bottleneck; this net has basic blocks")
    if name in ("one_layer", "kernels") and spec.block != "basic":
        raise UserError(f"{what} is made of a basic block; this net has bottlenecks")


def reshape(spec: NetSpec, block: BlockSpec) -> BlockSpec:
    """`block` with the layers that the variant of its network gives it; most variants change none."""
    name, numbers = parse(spec.variant) if spec.variant else ("", [])
    reduction = spec.se_reduction or 1
    if name == "one_layer":
        return replace(block, convs=block.convs[:1], norms=block.norms[:1])
    if name == "kernels":
        return _stacked(block, [int(side) for side in numbers])
    if name == "se_stage" and block.stage != numbers[0] - 2:
        return replace(block, gate_channels=None)
    if not block.gate_channels:
        return block
    if name == "se_no_squeeze":
        return replace(block, gate_everywhere=True)
    if name in ("se_pre", "se_3x3"):
        gated = block.in_channels if name == "se_pre" else block.convs[-2].out_channels
        return replace(block, gated_channels=gated, gate_channels=max(gated // reduction, spec.se_min_channels))
    return block


def _stacked(block: BlockSpec, kernels: list[int]) -> BlockSpec:
    """P5 section 3: convolutions of these sides in a row, all as wide as the block; the first carries the stride."""
    first, wide = block.convs[0], block.out_channels
    convs = tuple(
        replace(first, out_channels=wide, kernel=side, dilation=1)
        if i == 0
        else ConvSpec(wide, wide, side, groups=first.groups)
        for i, side in enumerate(kernels)
    )
    later = tuple(wide for _ in kernels[1:])
    return replace(block, convs=convs, norms=(block.norms[0], *later))
