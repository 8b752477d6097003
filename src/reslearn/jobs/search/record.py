"""`sweep.json`: what a sweep is, written once before its first trial; whoever joins it reads it and decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ...runtime.environment import command_line, environment, now
from ...runtime.files import read_json, write_json
from ...spec.choices import OnBadFile, Prefer, Sampler
from ...spec.codec import from_json, to_json
from ...spec.errors import UserError
from ...spec.recipes import get_recipe
from ...spec.space import Axis, read_axis
from ..resolve import Plan, TrainRequest
from .axes import kind_of

RECORD = "sweep.json"
FORMAT = 1
ASKED = (  # the fields of a request that a record keeps as they are
    "data", "epochs", "image_size", "seed", "val_fraction", "split_seed", "precision", "on_bad_file",
    "forget_pictures", "weights", "prefer",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SweepRecord:
    """The contents of `sweep.json`: what every trial shares, and the space that they differ in."""

    space: dict[str, str]  # field -> what it may be, as it was typed
    trials: int
    seeds: int = 1  # runs of a trial
    sampler: Sampler = "quasi"
    prune: bool = True
    retrain: bool = False
    data: str
    fingerprint: str
    model: str | None = None  # None: that of the weights
    recipe: str
    fixed: dict[str, str]  # `--set` assignments that all trials share, and what was chosen
    epochs: float | None = None
    image_size: int | None = None
    seed: int = 0
    val_fraction: float = 0.1
    split_seed: int = 0
    precision: str | None = None
    on_bad_file: OnBadFile = "stop"
    forget_pictures: bool = False
    weights: str | None = None
    prefer: Prefer | None = None
    environment: dict[str, Any]
    command: str
    created: str
    format: int = FORMAT

    def axes(self) -> tuple[Axis, ...]:
        """The space."""
        request = self.request({})
        found = [read_axis(name, text, **kind_of(request, name)) for name, text in self.space.items()]
        return tuple(axis for axis in found if axis is not None)

    def request(self, values: Mapping[str, str], number: int = 0) -> TrainRequest:
        """What the run of this number, from 0, of the trial with these values is asked for."""
        shared = {name: getattr(self, name) for name in ASKED} | {"seed": self.seed + number}
        return TrainRequest(model=self.model, recipe=self.recipe, changes={**self.fixed, **values}, **shared)


def recorded(plan: Plan, space: Mapping[str, str], asked: Asked) -> SweepRecord:
    """The record of a sweep around `plan`, in which everything is chosen that nobody asked for."""
    request, chosen = plan.request, plan.choice
    fixed = {name: text for name, text in request.changes.items() if name not in space}
    own = {"lr", "lr_batch"} & (space.keys() | request.changes.keys() - chosen.changes.keys())
    if "batch_size" in space and chosen.recipe is not None and not own:  # the rate goes with each trial's batch
        published = get_recipe(chosen.recipe)
        fixed |= {"lr": f"{published.lr:g}", "lr_batch": str(published.batch_size)}
    return SweepRecord(
        space=dict(space),
        trials=asked.trials,
        seeds=asked.seeds,
        sampler=asked.sampler,
        prune=asked.prune,
        retrain=asked.retrain,
        fingerprint=plan.data.fingerprint(),
        model=request.model if isinstance(request.model, str) else None,
        recipe=str(request.recipe),
        fixed=fixed,
        environment=environment(),
        command=command_line(),
        created=now(),
        **{name: getattr(request, name) for name in ASKED},
    )


@dataclass(frozen=True)
class Asked:
    """How a space is to be searched."""

    trials: int = 20
    seeds: int = 1
    sampler: Sampler = "quasi"
    prune: bool = True
    retrain: bool = False


def read_record(folder: Path) -> SweepRecord:
    """The record of the sweep in `folder`. Raises `UserError` where there is none, or a damaged or newer one."""
    path = folder / RECORD
    if not path.exists():
        raise UserError(f"{folder}: no sweep here (no {RECORD}); begin one with `reslearn sweep DATA --set ... --out`")
    value = read_json(path)
    written = value.get("format") if isinstance(value, dict) else None
    if type(written) is int and written > FORMAT:
        raise UserError(f"{path}: format {written} is newer than this reslearn reads ({FORMAT}); update reslearn")
    return from_json(SweepRecord, value, str(path))


def write_record(folder: Path, record: SweepRecord) -> None:
    """Write `sweep.json`."""
    write_json(folder / RECORD, to_json(record))


def joined(folder: Path, there: SweepRecord, asked: SweepRecord) -> SweepRecord:
    """The record of a sweep that the same command joins; it may ask for more trials, or to retrain.

    Raises `UserError` that names what is asked for otherwise than the sweep was begun with.
    """
    free = ("trials", "retrain", "environment", "command", "created", "format")
    for name in (f.name for f in fields(SweepRecord) if f.name not in free):
        then, now_ = getattr(there, name), getattr(asked, name)
        if then != now_:
            what = "its data" if name == "fingerprint" else f"{name} {_short(then)} and not {_short(now_)}"
            raise UserError(
                f"{folder}: holds a sweep that was begun with {'other pictures' if name == 'fingerprint' else what}; "
                "give its own command, or another --out"
            )
    if asked.trials < there.trials:
        raise UserError(f"{folder}: a sweep of {there.trials} trials is there; --trials may be that or more")
    return replace(there, trials=asked.trials, retrain=there.retrain or asked.retrain)


def _short(value: object) -> str:
    text = " ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
    return text or "nothing"
