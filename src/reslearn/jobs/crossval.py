"""`crossval` as one call: resolve the recipe, choose the folds, train what is left of them, merge, report."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..data.care.splitting import named_groups
from ..data.dataset import Dataset
from ..data.loaders import readable
from ..data.sources import open_data
from ..runtime.choice import decide
from ..runtime.environment import command_line
from ..runtime.process_group import from_environment
from ..runtime.settings import Precision
from ..spec.catalogue import get_spec
from ..spec.choices import OnBadFile, Prefer
from ..spec.codec import set_fields, to_json
from ..spec.errors import UserError
from ..spec.net import spec_to_json
from ..spec.recipes import get_recipe
from ..train.batch_size import check_batch
from ..train.crossval import Crossval, check_fold, proceed
from ..train.crossval_record import RECORD, CrossvalRecord, new_record, read_record, start
from ..train.events import Watch
from ..train.execute import still_there
from ..train.fold_data import reopen_folds
from ..train.fold_models import MODEL
from ..train.folds import choose_folds
from ..train.origin import Origin, check_start, frozen_lines, read_origin, starting_preprocess
from ..train.setup import planned_workload
from .pages.crossval import write_crossval_report
from .pages.run import FILE_NAME
from .training import by_target, check_options, check_spec_changes, machine_settings


@dataclass(frozen=True)
class CrossvalPlan:
    """What a cross-validation resolves to; `left_out` are pictures that cannot be read, with the reasons."""

    record: CrossvalRecord
    dataset: Dataset
    origin: Origin | None
    left_out: dict[str, str]

    def lines(self) -> list[tuple[str, str]]:
        """(word, line) for a person: what every fold starts from, what stands still, what is left out."""
        record = self.record
        steps = min(self.steps())
        told = [] if self.origin is None else self.origin.lines(record.recipe, record.preprocess)
        return [
            *(("weights", line) for line in told),
            *(("frozen", line) for line in frozen_lines(record.spec, record.recipe, steps)),
            *(("left out", reason) for reason in self.left_out.values()),
        ]

    def steps(self) -> list[int]:
        """Optimiser steps of each fold."""
        sizes = self.held_out()
        return [self.record.recipe.total_steps(sum(sizes) - size) for size in sizes]

    def held_out(self) -> list[int]:
        """Pictures that each fold holds out."""
        return [sum(k == fold for k in self.record.folds.values()) for fold in range(1, self.record.count + 1)]

    def to_json(self) -> dict[str, Any]:
        """What `--dry-run` prints."""
        record, test = self.record, self.dataset.splits.get("test", ())
        return {
            "data": record.data | {"pictures": len(record.folds), "test": len(test)},
            "folds": record.count,
            "method": record.method,
            "held_out": self.held_out(),
            "spec": spec_to_json(record.spec),
            "recipe": to_json(record.recipe),
            "preprocess": to_json(record.preprocess),
            "settings": to_json(record.settings),
            "steps": self.steps(),
            "weights": None if self.origin is None else self.origin.to_json(record.recipe, record.preprocess),
            "frozen": frozen_lines(record.spec, record.recipe, min(self.steps())),
            "left_out": self.left_out,
        }


def plan_crossval(
    data: str | Dataset,
    *,
    model: str,
    recipe: str,
    folds: int,
    group: str | None = None,
    epochs: float | None = None,
    changes: Mapping[str, str] | None = None,
    image_size: int | None = None,
    seed: int = 0,
    split_seed: int = 0,
    precision: Precision | None = None,
    tuned_allocator: bool = False,
    only: int | None = None,
    weights: str | None = None,
    prefer: Prefer | None = None,
    on_bad_file: OnBadFile = "stop",
    forget_pictures: bool = False,
) -> CrossvalPlan:
    """What a cross-validation resolves to, before anything is trained; `changes` are `--set` assignments.

    `group` is a pattern whose first group, in a picture's name, names what must stay in one fold; without it the
    groups that the data declares are kept. `only` is the one fold that will be trained, checked here. Every fold
    starts from `weights`. With `on_bad_file="skip"`, pictures that cannot be read stand in no fold.
    """
    check_fold(only, folds)
    check_options(epochs, image_size)
    if from_environment().size > 1:
        raise UserError("crossval runs in one process; spread folds over machines with --fold i and merge them after")
    parts = by_target({**({} if epochs is None else {"epochs": str(epochs)}), **(changes or {})})
    chosen = set_fields(get_recipe(recipe), parts["recipe"])
    check_spec_changes(parts["spec"])
    if image_size is not None:
        chosen = replace(chosen, image_size=image_size)
    check_start(chosen, weights)
    dataset = open_data(data, on_bad_file=on_bad_file) if isinstance(data, str) else data
    left_out = readable(dataset)[1] if on_bad_file == "skip" else {}
    spec = set_fields(get_spec(model, num_classes=len(dataset.classes)), parts["spec"], prefix="spec.")
    groups = named_groups(dataset, group, "--group")
    where = choose_folds(dataset, folds, split_seed=split_seed, groups=groups, left_out=left_out)
    origin = read_origin(weights, spec, prefer)
    preprocess = starting_preprocess(chosen, spec, origin, parts["preprocess"])
    check_batch(spec, chosen, preprocess.size)
    work = planned_workload(spec, chosen, len(where[0]) * (folds - 1) // folds, preprocess.size)
    decided = decide(work, precision=precision, tuned_allocator=tuned_allocator)
    record = new_record(
        dataset,
        spec,
        chosen,
        folds=where,
        preprocess=preprocess,
        settings=machine_settings(decided, parts["settings"], "settings."),
        seed=seed,
        split_seed=split_seed,
        command=command_line(),
        origin=origin,
        on_bad_file=on_bad_file,
        forget_pictures=forget_pictures,
    )
    return CrossvalPlan(record, dataset, origin, left_out)


def run_crossval(
    plan: CrossvalPlan,
    *,
    out: str | os.PathLike[str],
    only: int | None = None,
    watch: Callable[[int], Watch] | None = None,
) -> Crossval | None:
    """Begin or continue a cross-validation in `out`; None while folds are missing."""
    start(out, plan.record)
    return finish(Path(out), plan.dataset, only, watch, plan.record.weights)


def resume_folds(
    folder: str | os.PathLike[str], *, data: str | None = None, watch: Callable[[int], Watch] | None = None
) -> Crossval:
    """Continue the cross-validation in `folder` to its end, from its `crossval.json` alone.

    `data` is where its data has moved to.
    """
    done = finish(Path(folder), None, None, watch, moved_to=data)
    if done is None:
        raise RuntimeError(f"{folder}: folds are missing although all were trained")
    return done


def finish(
    folder: Path,
    dataset: Dataset | None,
    only: int | None,
    watch: Callable[[int], Watch] | None,
    weights: str | None = None,
    *,
    moved_to: str | None = None,
) -> Crossval | None:
    """Train what is left, merge, and write the report unless nothing is new."""
    sealed = _stamp(folder / MODEL)
    done = proceed(folder, dataset, data=moved_to, weights=weights, only=only, watch=watch)
    if done is not None and (_stamp(folder / MODEL) != sealed or not (folder / FILE_NAME).exists()):
        with still_there(folder, RECORD):
            write_crossval_report(done)
    return done


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def as_begun(out: str | os.PathLike[str], plan: CrossvalPlan) -> CrossvalPlan:
    """`plan` with the settings of the cross-validation that `out` holds already, if any: nothing is decided anew.

    Its folds stand, too, where the data has gained pictures or names. Raises `UserError` for data that it did not begin
    with.
    """
    if not (Path(out) / RECORD).exists():
        return plan
    there, record = read_record(Path(out)), replace(plan.record, settings=read_record(Path(out)).settings)
    if there.data["fingerprint"] != record.data["fingerprint"]:
        reopen_folds(Path(out), there, plan.dataset)
        record = replace(record, folds=there.folds)
    return replace(plan, record=record)
