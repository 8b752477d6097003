"""`crossval` as one call: resolve the recipe, choose the folds, train what is left of them, merge, report."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..data.dataset import Dataset
from ..data.sources import open_data
from ..data.splitting import named_groups
from ..runtime.choice import decide
from ..runtime.environment import command_line
from ..runtime.process_group import from_environment
from ..runtime.settings import Precision
from ..spec.catalogue import get_spec
from ..spec.codec import set_fields, to_json
from ..spec.errors import UserError
from ..spec.net import spec_to_json
from ..spec.preprocess import default_preprocess
from ..spec.recipes import get_recipe
from ..train.crossval import (
    MODEL,
    RECORD,
    Crossval,
    CrossvalRecord,
    check_fold,
    choose_folds,
    new_record,
    proceed,
    read_record,
    start,
)
from ..train.loop import Watch
from ..train.setup import planned_workload
from .crossval_report import write_crossval_report
from .run_report import FILE_NAME
from .training import by_target, check_options, check_spec_changes, machine_settings


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
) -> tuple[CrossvalRecord, Dataset]:
    """What a cross-validation resolves to, before anything is trained; `changes` are `--set` assignments.

    `group` is a pattern whose first group, in a picture's name, names what must stay in one fold; without it the
    groups that the data declares are kept. `only` is the one fold that will be trained, checked here.
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
    dataset = open_data(data) if isinstance(data, str) else data
    spec = set_fields(get_spec(model, num_classes=len(dataset.classes)), parts["spec"], prefix="spec.")
    where = choose_folds(dataset, folds, split_seed=split_seed, groups=named_groups(dataset, group, "--group"))
    size = chosen.image_size or spec.image_size
    images = len(where[0]) * (folds - 1) // folds
    decided = decide(planned_workload(spec, chosen, images, size), precision=precision, tuned_allocator=tuned_allocator)
    record = new_record(
        dataset,
        spec,
        chosen,
        folds=where,
        preprocess=set_fields(default_preprocess(size), parts["preprocess"], prefix="preprocess."),
        settings=machine_settings(decided, parts["settings"], "settings."),
        seed=seed,
        split_seed=split_seed,
        command=command_line(),
    )
    return record, dataset


def run_crossval(
    record: CrossvalRecord,
    dataset: Dataset,
    *,
    out: str | os.PathLike[str],
    only: int | None = None,
    watch: Callable[[int], Watch] | None = None,
) -> Crossval | None:
    """Begin or continue a cross-validation in `out`; None while folds are missing."""
    start(out, record)
    return finish(Path(out), dataset, only, watch)


def resume_folds(folder: str | os.PathLike[str], *, watch: Callable[[int], Watch] | None = None) -> Crossval:
    """Continue the cross-validation in `folder` to its end, from its `crossval.json` alone."""
    done = finish(Path(folder), None, None, watch)
    if done is None:
        raise RuntimeError(f"{folder}: folds are missing although all were trained")
    return done


def finish(
    folder: Path, dataset: Dataset | None, only: int | None, watch: Callable[[int], Watch] | None
) -> Crossval | None:
    """Train what is left, merge, and write the report unless nothing is new."""
    finished = all((folder / name).exists() for name in (MODEL, FILE_NAME))
    done = proceed(folder, dataset, only=only, watch=watch)
    if done is not None and not finished:
        write_crossval_report(done)
    return done


def as_begun(out: str | os.PathLike[str], record: CrossvalRecord) -> CrossvalRecord:
    """`record` with the settings of the cross-validation that `out` holds already, if any: nothing is decided anew."""
    begun = (Path(out) / RECORD).exists()
    return replace(record, settings=read_record(Path(out)).settings) if begun else record


def describe_plan(record: CrossvalRecord, dataset: Dataset) -> dict[str, Any]:
    """What `--dry-run` prints."""
    sizes = [sum(k == fold for k in record.folds.values()) for fold in range(1, record.count + 1)]
    return {
        "data": record.data | {"pictures": len(record.folds), "test": len(dataset.splits.get("test", ()))},
        "folds": record.count,
        "method": record.method,
        "held_out": sizes,
        "spec": spec_to_json(record.spec),
        "recipe": to_json(record.recipe),
        "preprocess": to_json(record.preprocess),
        "settings": to_json(record.settings),
        "steps": [record.recipe.total_steps(len(record.folds) - size) for size in sizes],
    }
