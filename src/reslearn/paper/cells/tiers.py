"""How much of a published training is run: `smoke` (does it work), `short` (a stated fraction), `full` (as published).

full   the recipe as it stands, as many seeds as the paper
short  the schedule compressed: every budget and warm-up times the fraction, milestones keep their place
smoke  60 steps on small pictures in fp32 on one thread; says that everything works, and nothing about a claim
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, replace
from functools import cache
from typing import Any, get_args

from ...spec.choices import Tier
from ...spec.codec import to_json
from ...spec.cost import cost
from ...spec.errors import UserError, check_choice
from ...spec.net import Spec
from ...spec.recipe import Recipe
from ...spec.recipes import BUDGETS
from ..entry import Entry, Experiment
from ..recipes import REVISIONS

TIERS: tuple[Tier, ...] = get_args(Tier)
SHORT = 0.1  # the short tier's fraction, unless --fraction says otherwise
MOST_SEEDS = 1000
SMOKE_STEPS, SMOKE_BATCH = 60, 32
SMOKE_SIZE = {True: 8, False: 32}  # by whether the net has a CIFAR stem
SMOKE_MACS = 5e7  # larger nets (per picture, at smoke size) are run only when --rows names them


@dataclass(frozen=True)
class Cell:
    """One training: an entry at a tier with a seed."""

    entry: Entry
    tier: str
    fraction: float  # of the published budget; 0 at the smoke tier, which has its own
    seed: int
    start: Cell | None = None  # whose trained net this one is constructed from

    @property
    def recipe(self) -> Recipe:
        """The entry's recipe at this tier. It never selects on the pictures it is watched on."""
        recipe = self.entry.recipe
        if recipe.decides_on_validation:
            raise UserError(f"recipe {recipe.name} decides on validation; a paper's run only watches its test pictures")
        if self.tier == "smoke":
            return _smoke(recipe, self.image_size)
        return recipe if self.fraction == 1 else _compressed(recipe, self.fraction)

    @property
    def image_size(self) -> int:
        """Side of the pictures the net reads."""
        size = self.entry.spec.image_size
        return SMOKE_SIZE[size == 32] if self.tier == "smoke" else self.entry.recipe.image_size or size

    @property
    def protocols(self) -> tuple[str, ...]:
        """How the trained net is tested."""
        return ("1-crop",) if self.tier == "smoke" else self.entry.protocols

    @property
    def tier_label(self) -> str:
        """The tier as a person reads it: `short (1/10)`."""
        return tier_label(self.tier, self.fraction)

    @property
    def identity(self) -> str:
        """Ten hexadecimal digits that two cells share if they are the same training (seed, tier and data aside)."""
        return identity(self.entry, self.start.identity if self.start else "")

    @property
    def macs(self) -> int:
        """Multiply-adds of one picture forward."""
        return _macs(self.entry.spec, self.image_size)


@cache
def _macs(spec: Spec, image_size: int) -> int:
    """Seeds share it."""
    return cost(spec, image_size).macs


def tier_label(tier: str, fraction: float) -> str:
    """`short (1/10)`, `smoke`, `full`."""
    return f"short ({_ratio(fraction)})" if tier == "short" else tier


def identity(entry: Entry, start: str = "", revision: int | None = None) -> str:
    """Hash of what a training is: the network's fields that are not their defaults, and the recipe's name and revision
    (None: the one of today)."""
    spec = entry.spec
    own = {f.name: to_json(getattr(spec, f.name)) for f in fields(spec) if _differs(spec, f)}
    own = {key: value for key, value in own.items() if key not in ("name", "num_classes")}
    recipe = entry.recipe.name
    if (number := revision or REVISIONS.get(recipe, 1)) > 1:
        recipe += f"@{number}"
    text = json.dumps([own, recipe, start], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _differs(spec: Any, f: Any) -> bool:
    return f.default is MISSING or getattr(spec, f.name) != f.default


def cells(
    experiment: Experiment,
    tier: str,
    *,
    rows: list[str] | None = None,
    seeds: int | None = None,
    fraction: float | None = None,
) -> list[Cell]:
    """The trainings of an experiment at a tier, rows in order and seeds within a row.

    `rows` are labels; without them every row that has a network, at the smoke tier every small one. `seeds`: how many,
    0 first; without it as published at the full tier, else 1. Raises `UserError` for unknown rows, a row outside the
    catalogue, a fraction that is not in (0, 1] or at another tier, or fewer seeds than 1 or more than 1,000.
    """
    check_choice("--tier", tier, TIERS)
    part = {"smoke": 0.0, "short": fraction or SHORT, "full": 1.0}[tier]
    if fraction is not None and tier != "short":
        raise UserError(f"--fraction belongs to --tier short; the tier is {tier}")
    if fraction is not None and not 0 < fraction <= 1:
        raise UserError(f"--fraction is {fraction:g}; it is a share in (0, 1] of the published budget")
    if seeds is not None and not 1 <= seeds <= MOST_SEEDS:
        raise UserError(f"--seeds is {seeds}; it must be at least 1 and at most {MOST_SEEDS:,}")
    chosen = [experiment.entry(label) for label in rows] if rows else _runnable(experiment, tier)
    return [
        _cell(experiment, entry, tier, part, seed)
        for entry in chosen
        for seed in range(seeds if seeds is not None else entry.runs if tier == "full" else 1)
    ]


def _cell(experiment: Experiment, entry: Entry, tier: str, part: float, seed: int) -> Cell:
    start = _cell(experiment, experiment.entry(entry.start), tier, part, seed) if entry.start else None
    return Cell(entry, tier, part, seed, start)


def _runnable(experiment: Experiment, tier: str) -> list[Entry]:
    entries = [entry for entry in experiment.entries if entry.net is not None]
    return [entry for entry in entries if tier != "smoke" or not (too_large(entry) or entry.twin)]


def too_large(entry: Entry) -> bool:
    """Whether the smoke tier leaves this entry out unless it is named."""
    return entry.net is not None and Cell(entry, "smoke", 0.0, 0).macs > SMOKE_MACS


def shard(all_cells: list[Cell], text: str | None) -> Iterator[Cell]:
    """Every n-th cell from the i-th on, for `--shard i/n` with i from 1 to n."""
    try:
        i, n = (int(part) for part in (text or "1/1").split("/"))
    except ValueError:
        i, n = 0, 0
    if not 1 <= i <= n:
        raise UserError(f"--shard is '{text}'; it must be i/n with i from 1 to n, e.g. 2/4")
    return iter(all_cells[i - 1 :: n])


def _compressed(recipe: Recipe, fraction: float) -> Recipe:
    shorter: dict[str, Any] = {"hold_steps": round(recipe.hold_steps * fraction)}
    for name in BUDGETS:
        value = getattr(recipe, name)
        if value is not None:
            shorter[name] = value * fraction if name == "epochs" else max(round(value * fraction), 1)
    return replace(recipe, **shorter, departures=(*recipe.departures, f"{_ratio(fraction)} of the published budget"))


def _smoke(recipe: Recipe, size: int) -> Recipe:
    """The learning rate follows the batch (linear scaling), so that no recipe blows up on small batches."""
    budget: dict[str, Any] = dict.fromkeys(BUDGETS)
    return replace(
        recipe,
        **budget | {"iterations": SMOKE_STEPS},
        batch_size=SMOKE_BATCH,
        bn_batch=None,
        lr=recipe.lr * SMOKE_BATCH / recipe.batch_size,
        hold_lr=None,
        hold_error=None,
        hold_steps=0,
        image_size=size,
        augment=replace(recipe.augment, crop="pad", pad=1, flip="none"),
        bn_statistics="moving",
        departures=(*recipe.departures, f"smoke: {SMOKE_STEPS} steps of {SMOKE_BATCH} at {size} pixels"),
    )


def _ratio(fraction: float) -> str:
    return f"1/{1 / fraction:.3g}"
