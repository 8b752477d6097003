"""`crossval` as one call: resolve the recipe, choose the folds, train what is left of them, merge, report."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..data.care.splitting import named_groups
from ..data.dataset import Dataset
from ..data.loaders import readable
from ..data.memory import Subset
from ..data.sources import open_data
from ..runtime.environment import command_line, environment, now
from ..runtime.notes import say
from ..runtime.process_group import from_environment
from ..spec.errors import UserError
from ..spec.recipe import Recipe
from ..spec.voice import COMMAND, Voice
from ..train.crossval import Crossval, check_fold, proceed
from ..train.events import Watch
from ..train.fold_data import reopen_folds
from ..train.fold_models import MODEL
from ..train.folder import still_there
from ..train.folds import choose_folds
from ..train.origin import check_start
from ..train.records.crossval import RECORD, CrossvalRecord, check_recipe, read_record, start
from ..train.records.run import describe, labels_text
from .advice import ahead, before
from .choosing import Choice
from .pages.crossval import think_of_folds
from .pages.tables import FILE_NAME
from .resolve import Start, TrainRequest, asked_recipe, check_asked, complete, resolve_start


@dataclass(frozen=True)
class CrossvalPlan:
    """What a cross-validation resolves to; `left_out` are pictures that cannot be read, with the reasons."""

    record: CrossvalRecord
    dataset: Dataset
    start: Start
    left_out: dict[str, str]
    choice: Choice = field(default_factory=Choice)  # what was not asked for

    def lines(self) -> list[tuple[str, str]]:
        """(word, line) for a person: what every fold starts from, what stands still, what is left out."""
        return [
            *(("chosen", line) for line in self.choice.lines(each="fold")),
            *(("weights", line) for line in self.start.weights_lines()),
            *(("frozen", line) for line in self.start.frozen_lines(min(self.steps()))),
            *(("left out", reason) for reason in self.left_out.values()),
            *(("advice", line) for line in self.advice()),
        ]

    def advice(self, voice: Voice = COMMAND) -> list[str]:
        """What speaks against it, before its first step."""
        rows = {name: row for row, name in enumerate(self.dataset.ids)}
        learned = np.array([rows[name] for name, fold in self.record.folds.items() if fold != 1], np.int64)
        weights, start = self.record.weights, self.start
        known = ahead(start.recipe, Subset(self.dataset, learned), None, weights=weights, spec=start.spec)
        return before(known, voice)

    def steps(self) -> list[int]:
        """Optimiser steps of each fold."""
        sizes = self.held_out()
        return [self.record.recipe.total_steps(sum(sizes) - size) for size in sizes]

    def held_out(self) -> list[int]:
        """Pictures that each fold holds out."""
        return [sum(k == fold for k in self.record.folds.values()) for fold in range(1, self.record.count + 1)]

    @property
    def test_pictures(self) -> int:
        """Pictures of the test split, which is left alone."""
        return len(self.dataset.splits.get("test", ()))

    def to_json(self) -> dict[str, Any]:
        """What `--dry-run` prints."""
        record = self.record
        return {
            "data": record.data | {"pictures": len(record.folds), "test": self.test_pictures},
            "folds": record.count,
            "method": record.method,
            "held_out": self.held_out(),
            **self.start.to_json(min(self.steps())),
            "steps": self.steps(),
            "left_out": self.left_out,
            "chosen": self.choice.to_json(),
            "advice": self.advice(),
        }


def plan_crossval(
    request: TrainRequest, *, folds: int, group: str | None = None, only: int | None = None, begun: bool = False
) -> CrossvalPlan:
    """What a cross-validation resolves to, before anything is trained.

    `group` is a pattern whose first group, in a picture's name, names what must stay in one fold; without it the
    groups that the data declares are kept. `only` is the one fold that will be trained, checked here. Every fold
    starts from the request's weights. With `on_bad_file="skip"`, pictures that cannot be read stand in no fold.
    What was `begun` compares its pictures itself, with those that it began with.
    """
    check_fold(only, folds)
    if from_environment().size > 1:
        raise UserError("crossval runs in one process; spread folds over machines with --fold i and merge them after")
    check_asked(request)
    if request.model is not None and request.recipe is not None:  # known before anything is read
        _check_recipe(asked_recipe(request), request)
    dataset = open_data(request.data, on_bad_file=request.on_bad_file, stale=begun)
    left_out = readable(dataset)[1] if request.on_bad_file == "skip" else {}
    groups = named_groups(dataset, group, "--group")
    where, method = choose_folds(dataset, folds, split_seed=request.split_seed, groups=groups, left_out=left_out)
    request, choice = complete(request, _learned(dataset))
    if choice.recipe is not None:  # nobody asked for one that decides on the very pictures that a fold is scored on
        settled = asked_recipe(request).decides_on_validation
        request = replace(request, changes={**settled, **request.changes})
    recipe = asked_recipe(request)
    _check_recipe(recipe, request)
    first = resolve_start(request, recipe, len(dataset.classes), len(where) * (folds - 1) // folds)
    record = CrossvalRecord(
        **first.shared(),
        count=max(where.values()),
        folds=where,
        method=method,
        split_seed=request.split_seed,
        data=describe(dataset),
        environment=environment(),
        command=command_line(),
        created=now(),
        weights_sha256=None if first.origin is None else first.origin.sha256,
        labels=labels_text(label for name, label in zip(dataset.ids, dataset.labels, strict=True) if name in where),
        pictures=len(dataset),
    )
    return CrossvalPlan(record, dataset, first, left_out, choice)


def _check_recipe(recipe: Recipe, request: TrainRequest) -> None:
    check_start(recipe, request.weights)
    check_recipe(recipe)


def _learned(dataset: Dataset) -> Dataset:
    """What a fold trains on, nearly: all pictures but those of a test split."""
    rest = np.setdiff1d(np.arange(len(dataset)), dataset.splits.get("test", ()))
    return Subset(dataset, rest)


def run_crossval(
    plan: CrossvalPlan,
    *,
    out: str | os.PathLike[str],
    only: int | None = None,
    watch: Callable[[int], Watch] | None = None,
    voice: Voice = COMMAND,
) -> Crossval | None:
    """Begin or continue a cross-validation in `out`; None while folds are missing.

    What it thinks of the result it says in the words of `voice`.
    """
    folder, weights = Path(out), plan.record.weights
    start(folder, plan.record)

    def go() -> Crossval | None:
        return proceed(folder, plan.dataset, weights=weights, only=only, watch=watch, voice=voice)

    return _reported(folder, go, voice)


def resume_folds(
    folder: str | os.PathLike[str],
    *,
    data: str | None = None,
    allow_different_numerics: bool = False,
    watch: Callable[[int], Watch] | None = None,
    voice: Voice = COMMAND,
) -> Crossval:
    """Continue the cross-validation in `folder` to its end, from its `crossval.json` alone.

    `data` is where its data has moved to.
    """

    def go() -> Crossval | None:
        return proceed(folder, data=data, allow_different_numerics=allow_different_numerics, watch=watch, voice=voice)

    done = _reported(Path(folder), go, voice)
    if done is None:
        raise RuntimeError(f"{folder}: folds are missing although all were trained")
    return done


def _reported(folder: Path, go: Callable[[], Crossval | None], voice: Voice = COMMAND) -> Crossval | None:
    """What `go` returns, which trains what is left and merges; with a report and advice unless nothing is new."""
    sealed = _stamp(folder / MODEL)
    done = go()
    if done is not None and (_stamp(folder / MODEL) != sealed or not (folder / FILE_NAME).exists()):
        with still_there(folder, RECORD):
            for line in think_of_folds(done, voice):
                say(f"advice    {line}")
    return done


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def is_begun(out: str | os.PathLike[str]) -> bool:
    """Whether a cross-validation stands in `out` already, which is then gone on with."""
    return (Path(out) / RECORD).exists()


def as_begun(out: str | os.PathLike[str], plan: CrossvalPlan) -> CrossvalPlan:
    """`plan` with the settings of the cross-validation that `out` holds already, if any: nothing is decided anew.

    Its folds stand, too, where the data has gained pictures or names. Raises `UserError` for data that it did not begin
    with.
    """
    if not is_begun(out):
        return plan
    there = read_record(Path(out))
    record = replace(plan.record, settings=there.settings)
    if there.data["fingerprint"] != record.data["fingerprint"]:
        reopen_folds(Path(out), there, plan.dataset)
        record = replace(record, folds=there.folds)
    return replace(plan, record=record, start=replace(plan.start, settings=there.settings))
