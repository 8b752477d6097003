"""One trial: its runs, one a seed, begun or gone on with, and ended early where others did better by then."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...data.dataset import Dataset
from ...runtime.notes import say
from ...spec.choices import Tracker
from ...spec.codec import field_paths, set_fields
from ...spec.errors import UserError
from ...train.events import Listener, Reading, Tick, Watch
from ...train.fit import Run, begin, finished_run, resume
from ...train.loop import Diverged
from ...train.records.run import read_record as read_run
from ...train.trackers.forward import Begin, forwarded
from ..resolve import asked_recipe, resolve
from .record import SweepRecord
from .study import Study, Trial, trial_folder


class Impossible(UserError):
    """Values that each may be, and not together: no training follows them."""


class _Pruned(Exception):
    """A run was ended early: at its validations it was worse than most of the others."""


@dataclass(frozen=True)
class Told:
    """Who is told of a run: who watches, and boards."""

    watch: Watch
    begins: Mapping[Tracker, Begin]


def run_folders(folder: Path, number: int, seeds: int) -> list[Path]:
    """The runs of a trial: its own folder, or one a seed in it."""
    whole = trial_folder(folder, number)
    return [whole] if seeds == 1 else [whole / f"seed-{k}" for k in range(seeds)]


def runs_of(folder: Path, trial: Trial, seeds: int) -> list[Run]:
    """The finished runs of a trial, in the order of their seeds."""
    paths = [path for path in run_folders(folder, trial.number, seeds) if (path / "run.json").exists()]
    for path in paths:
        check_values(path, trial.values)
    found = map(finished_run, paths)
    return [run for run in found if run is not None]


def check_values(path: Path, values: Mapping[str, str]) -> None:
    """Raise `UserError` for a run that was begun with other values than those of its trial.

    The journal tells which trial has which number; where lines of it are lost, another's run would be taken for it.
    """
    record = read_run(path)
    own: dict[str, Any] = {"recipe": record.recipe, "spec": record.spec, "preprocess": record.preprocess}
    for name, text in values.items():
        prefix, dot, rest = name.partition(".")
        whose, field = (prefix, rest) if dot and prefix in own else ("recipe", name)
        if whose in own and field in field_paths(own[whose]) and set_fields(own[whose], {field: text}) != own[whose]:
            raise UserError(
                f"{path}: this run was not begun with {name}={text}, as the sweep's journal says; put a copy of the "
                "journal back, or begin the sweep anew"
            )


def train_trial(study: Study, trial: Trial, data: Dataset, told: Told) -> None:
    """Train what is left of a trial, and enter its end into the study. A signal raises `Interrupted` for the sweep."""
    record, folder = study.record, study.folder
    say(f"trial {trial.number} of {record.trials}: {in_words(trial.values)}")
    try:
        for number, path in enumerate(run_folders(folder, trial.number, record.seeds)):
            watch = _judged(study, trial, told.watch) if number == 0 else told.watch
            with forwarded(told.begins, path, watch) as watch:
                _train(path, record, trial.values, number, data, watch)
    except _Pruned:
        study.prune(trial)
        say(f"trial {trial.number} ended early: worse than most by then")
        return
    except (Diverged, Impossible) as error:
        study.fail(trial, str(error))
        say(f"trial {trial.number} failed: {error}")
        return
    errors = [validation(run)["top1_error"] for run in runs_of(folder, trial, record.seeds)]
    study.finish(trial, float(np.mean(errors)))
    say(f"trial {trial.number} of {record.trials}: {100 - float(np.mean(errors)):.2f} % right")


def validation(run: Run) -> dict[str, Any]:
    """What a finished run scored on validation."""
    if run.val is None:
        raise UserError(f"{run.path}: it was not validated, so it cannot be compared; begin the sweep anew")
    return run.val


def in_words(values: Mapping[str, str]) -> str:
    """`lr=0.03 weight_decay=1e-4`."""
    return " ".join(f"{name}={text}" for name, text in values.items())


def _train(
    path: Path, record: SweepRecord, values: Mapping[str, str], number: int, data: Dataset, watch: Watch
) -> None:
    if finished_run(path) is not None:
        return
    if (path / "run.json").exists():
        check_values(path, values)
        resume(path, watch=watch, allow_different_numerics=True)
        return
    try:
        plan = resolve(record.request(values, number), data)
    except UserError as error:
        raise Impossible(str(error)) from None
    begin(
        plan.start,
        plan.train_data,
        plan.val_data,
        out=path,
        origin=plan.start.origin,
        split_seed=record.split_seed,
        split_method=plan.split_method,
        watch=watch,
    )


def _judged(study: Study, trial: Trial, watch: Watch) -> Watch:
    """`watch`, with every validation noted in the study. The last one ends no trial: it is whole by then."""
    every = asked_recipe(study.record.request(trial.values)).validate_every
    total = 0

    def stepped(event: Tick | Reading) -> None:
        nonlocal total
        if isinstance(event, Tick):
            total = event.total
        watch(event)

    def line(values: Mapping[str, Any]) -> None:
        if values["kind"] != "epoch" or values["val_error"] is None:
            return
        at = math.ceil(values["epoch"] / every - 1e-9) if values["step"] == total else int(values["epoch"] / every)
        if study.report(trial, at, values["val_error"]) and values["step"] < total:
            raise _Pruned

    return Listener(stepped, line)
