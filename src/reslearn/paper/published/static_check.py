"""The papers' sizes and costs, checked by arithmetic: depth, parameters, multiply-adds, output sizes, block costs.

A count agrees when it rounds to the printed figure (within 5 % where the paper prints a tilde). Where the printed
figure is known to be counted otherwise, `REASONS` says how; anything else differs, and the test suite fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ...spec.catalogue import get_spec
from ...spec.cost import Cost, cost
from ...spec.net import NetSpec, Spec
from .claims import static
from .static_reasons import REASONS
from .static_statements import statements
from .tables import Claim

TILDE = 0.05  # how far from a "~" figure still agrees


@dataclass(frozen=True)
class Check:
    """One published figure beside the computed one."""

    table: str
    row: str
    column: str
    printed: str
    computed: float
    verdict: Literal["agrees", "known", "differs"]
    reason: str = ""

    @property
    def counted(self) -> str:
        """The computed figure as a person reads it: `3.8580 G`, `269,722`, `18.56`."""
        if self.computed >= 1e8 and self.printed.endswith("G"):
            return f"{self.computed / 1e9:.4f} G"
        return f"{self.computed:,.0f}" if self.computed == round(self.computed) else f"{self.computed:.4g}"


def check_all() -> list[Check]:
    """Every static figure whose network has a spec, and the derived statements of the papers' texts."""
    return [*_table_checks(), *_statement_checks()]


def not_checked() -> list[Claim]:
    """Static figures of networks outside the catalogue; their rows say why."""
    return [claim for claim in static() if claim.net is None]


def _table_checks() -> Iterator[Check]:
    for claim in static():
        if claim.net is None:
            continue
        computed = compute(claim)
        reason = REASONS.get((claim.table, claim.row, claim.column), "")
        if agrees(computed, claim):
            yield Check(claim.table, claim.row, claim.column, claim.printed, computed, "agrees")
        else:
            verdict: Literal["known", "differs"] = "known" if reason else "differs"
            yield Check(claim.table, claim.row, claim.column, claim.printed, computed, verdict, reason)


def _statement_checks() -> Iterator[Check]:
    for s in statements():
        same = abs(s.computed - s.value) <= s.tolerance
        verdict: Literal["agrees", "known", "differs"] = "agrees" if same else "known" if s.reason else "differs"
        yield Check(s.where, s.text, "", s.printed, s.computed, verdict, "" if same else s.reason)


def agrees(computed: float, claim: Claim) -> bool:
    """Whether a count is what the paper printed, at the precision it printed."""
    if claim.value is None:
        return False
    slack = TILDE * claim.value if claim.approximate else claim.half_digit
    return abs(computed - claim.value) <= slack * (1 + 1e-9)


def compute(claim: Claim) -> float:
    """The figure that a claim prints, counted from the spec of its network."""
    spec = get_spec(claim.net or "", **claim.changes)
    if claim.quantity == "depth":
        return _depth(spec, claim)
    if claim.quantity in ("blocks", "width", "output_size") or claim.part == "block":
        return _of_part(spec, claim)
    total = _cost(spec)
    return total.parameters if claim.quantity == "parameters" else total.macs


def _of_part(spec: Spec, claim: Claim) -> float:
    """A figure of one stage, or of the block that P3 table 2 prints: 256-d in and out on a 56x56 map."""
    if not isinstance(spec, NetSpec):
        raise ValueError(f"{claim.table}, {claim.row}: {spec.name} has no stages of blocks")
    if claim.quantity == "width":
        if (claim.part or "").startswith("gate"):
            stage = int((claim.part or "").removeprefix("gate")) - 2
            return next(block.gate_channels or 0 for block in spec.blocks() if block.stage == stage)
        width = spec.group_width or 0
        return width if claim.part == "group" else spec.groups * width
    layers = _cost(spec).layers
    if claim.part == "block":
        inside = [layer for layer in layers if layer.name.startswith("stages.0.1.conv")]
        return sum(layer.parameters if claim.quantity == "parameters" else layer.macs for layer in inside)
    if claim.part == "pool":
        return 1  # global
    stage = int((claim.part or "conv1").removeprefix("conv")) - 2
    if claim.quantity == "blocks":
        return spec.stage_blocks[stage]
    prefix = "stem.conv" if stage < 0 else f"stages.{stage}."
    return [layer.output_size for layer in layers if layer.name.startswith(prefix) and ".shortcut." not in layer.name][
        -1
    ]


@lru_cache(maxsize=256)
def _cost(spec: Spec) -> Cost:
    return cost(spec)


def _depth(spec: Spec, claim: Claim) -> int:
    """P5 counts every convolution, projections too, and no FC; the others stem, main path and FC."""
    if claim.paper == "P5":
        return sum(layer.kind == "conv" for layer in _cost(spec).layers)
    return spec.depth if isinstance(spec, NetSpec) else sum(layer.kind != "norm" for layer in _cost(spec).layers)
