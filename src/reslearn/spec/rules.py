"""What no residual network can be: each rule names the field and the values that would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import UserError
from .rule import check_fields, plain
from .variant import check as check_variant

if TYPE_CHECKING:
    from .net import NetSpec


DEEPEST = 10_000  # blocks or convolutions in all; beyond it a record alone could ask for hours of counting


def check_stages(name: str, counts: tuple[int, ...], channels: tuple[int, ...]) -> None:
    """Raise `UserError` unless each stage has something, and all together not more than any network has."""
    if len(counts) != len(channels) or not counts:
        raise UserError(f"{name} and stage_channels must have one entry per stage, and at least one stage")
    if min(counts) < 1 or sum(counts) > DEEPEST:
        raise UserError(
            f"{name} is {plain(counts)}; every entry must be at least 1, and all together at most {DEEPEST:,}"
        )
    if min(channels) < 1:
        raise UserError("every entry of stage_channels must be at least 1")


def validate(spec: NetSpec) -> None:
    """Raise `UserError` naming the field and its valid values when no such network can exist."""
    check_fields(spec)
    check_stages("stage_blocks", spec.stage_blocks, spec.stage_channels)
    _validate_together(spec)
    check_variant(spec)


def _validate_together(spec: NetSpec) -> None:
    """What single fields allow and their combination does not."""
    if (spec.block == "bottleneck") != (spec.group_width is not None):
        need = "at least 1 for a bottleneck" if spec.block == "bottleneck" else "None for a basic"
        raise UserError(f"group_width is {spec.group_width}; it must be {need} block")
    odd = [c for c in (spec.stem_channels, *spec.stage_channels) if c % spec.groups]
    if spec.block == "basic" and odd:
        raise UserError(
            f"groups is {spec.groups}; in a basic block it must divide every width, and {odd[0]} it does not"
        )
    if spec.block == "bottleneck" and spec.dropout:
        raise UserError(f"dropout is {spec.dropout}; it stands between the two convolutions of a basic block: use 0")
    stem = spec.resolved_stem
    if spec.block == "bottleneck" and spec.downsample == "pool":
        raise UserError("downsample is 'pool'; it follows the first 3x3 of a basic block: use 'stride'")
    if stem.stride < 4 and spec.output_stride != 32:
        raise UserError(f"output_stride is {spec.output_stride}; a cifar stem never reaches it: leave it at 32")
    if spec.activation == "post" and spec.first_norm == "after_pool":
        raise UserError("first_norm is 'after_pool'; only activation='pre' allows it, use 'before_pool'")
    if spec.shortcut == "none" and spec.drop_path:
        raise UserError(
            f"drop_path is {spec.drop_path}; without a shortcut nothing would be left of a dropped block: use 0"
        )
    shrinking = spec.shortcut == "A" and list(spec.stage_channels) != sorted(spec.stage_channels)
    if shrinking or (spec.shortcut == "A" and spec.stage_channels[0] < spec.stem_channels):
        raise UserError("shortcut is 'A'; it pads, so stage_channels may not shrink: use 'B' or 'C'")
    if spec.zero_init_last_gamma and (spec.activation == "pre" or spec.shortcut == "none"):
        raise UserError(
            "zero_init_last_gamma is true; only a post-activation net with shortcuts would still learn: use false"
        )
