"""K-fold cross-validation: every picture is predicted once, by a network that has not seen it.

A folder: `crossval.json` (written first: which picture is held out in which fold, and everything a run needs),
`fold-1` ... `fold-K` (ordinary run folders), then `out-of-fold.safetensors`, and `model.safetensors`: the folds'
networks as one ensemble. The same command goes on from wherever it was left, on one machine or, fold by fold, on many.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle.ensemble import seal_ensemble
from ..bundle.file import load
from ..data.dataset import Dataset, Indices
from ..data.grouping import twins
from ..data.memory import Subset
from ..data.sources import open_data
from ..data.splits import assign, check_folds, check_parts
from ..measure.evaluate import Evaluation, evaluate, score
from ..measure.predictions import Predictions, merge_predictions, read_predictions, write_predictions
from ..runtime.environment import environment
from ..runtime.files import exclusive_lock, read_json, write_json
from ..runtime.settings import Settings
from ..spec.codec import from_json, to_json
from ..spec.errors import UserError
from ..spec.net import Spec, spec_from_json, spec_to_json
from ..spec.preprocess import Preprocess
from ..spec.recipe import Recipe
from .execute import Build
from .fit import Run, finished_run, fit, resume
from .loop import Watch

FORMAT = 1
RECORD, PREDICTIONS, MODEL = "crossval.json", "out-of-fold.safetensors", "model.safetensors"


@dataclass(frozen=True)
class CrossvalRecord:
    """The contents of `crossval.json`."""

    spec: Spec
    recipe: Recipe
    preprocess: Preprocess
    settings: Settings
    count: int  # K
    folds: dict[str, int]  # identity of each picture -> the fold, 1 ... K, in which it is held out
    method: str  # stratified, grouped or declared
    split_seed: int
    seed: int
    data: dict[str, Any]  # path, fingerprint, classes
    environment: dict[str, Any]
    command: str
    created: str
    format: int = FORMAT


@dataclass(frozen=True)
class Crossval:
    """A finished cross-validation."""

    path: Path
    model: Path
    predictions: Path
    runs: tuple[Run, ...]
    out_of_fold: Evaluation  # every picture once, by the network that had not seen it

    def to_json(self) -> dict[str, Any]:
        """Folders and files, each fold's scores, their mean and standard deviation, and the scores of all together."""
        scores = [run.val or {} for run in self.runs]
        numbers = [name for name in ("top1", "top5", "top1_error", "top5_error", "loss") if scores[0][name] is not None]
        return {
            "run": str(self.path),
            "model": str(self.model),
            "predictions": str(self.predictions),
            "folds": [run.to_json() for run in self.runs],
            "mean": {name: float(np.mean([s[name] for s in scores])) for name in numbers},
            "std": {name: float(np.std([s[name] for s in scores], ddof=1)) for name in numbers},
            "out_of_fold": self.out_of_fold.to_json(),
            "seconds": sum(run.seconds for run in self.runs),
        }


def choose_folds(
    dataset: Dataset, count: int, *, split_seed: int = 0, groups: Sequence[str] | None = None
) -> tuple[dict[str, int], str]:
    """Identity -> fold 1 ... `count` of every picture outside `test`, and how: declared, grouped or stratified.

    Splits named fold0, fold1, ... that the data declares are taken as they are. `groups` (one name per picture) and
    exact duplicates are not torn apart. Raises `UserError` where a fold or a training part would lack a class.
    """
    declared = [dataset.splits.get(f"fold{k}") for k in range(count)]
    pool: Indices = np.setdiff1d(np.arange(len(dataset)), dataset.splits.get("test", []))
    if any(name.startswith("fold") for name in dataset.splits):
        if any(part is None for part in declared) or f"fold{count}" in dataset.splits:
            there = sum(name.startswith("fold") for name in dataset.splits)
            raise UserError(f"{dataset.path}: it declares {there} folds; give --folds {there}")
        where = np.zeros(len(dataset), np.int64)
        for k, part in enumerate(declared):
            where[part] = k + 1
        where, method = where[pool], "declared"
        pool, where = pool[where > 0], where[where > 0]
    else:
        whole = Subset(dataset, pool)
        check_folds(whole, count)
        chosen = None if groups is None else [groups[int(i)] for i in pool]
        shares = {f"fold{k}": 1 / count for k in range(count)}
        where = assign(whole, shares, seed=split_seed, groups=chosen, alike=twins(whole)) + 1
        method = "stratified" if groups is None else "grouped"
    check_parts(Subset(dataset, pool), where - 1, [f"fold {k + 1}" for k in range(count)])
    return {dataset.ids[int(i)]: int(k) for i, k in zip(pool, where, strict=True)}, method


def start(out: str | os.PathLike[str], record: CrossvalRecord) -> bool:
    """Write `crossval.json`, unless the same cross-validation is there already (True: it will be continued)."""
    folder = Path(out)
    if (folder / RECORD).exists():
        there = read_record(folder)
        free = ("environment", "command", "created", "settings", "data")  # may differ from machine to machine
        changed = [
            f.name for f in fields(record) if f.name not in free and getattr(there, f.name) != getattr(record, f.name)
        ]
        changed += ["data"] if there.data["fingerprint"] != record.data["fingerprint"] else []
        if changed:
            raise UserError(f"{folder}: holds another cross-validation ({', '.join(changed)} differ); name a new --out")
        return True
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder}: not empty and no cross-validation; name a new folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RECORD, {**to_json(record), "spec": spec_to_json(record.spec)})
    return False


def read_record(folder: Path) -> CrossvalRecord:
    """Read `crossval.json`. Raises `UserError` where `folder` holds no cross-validation, or one of a newer format."""
    path = folder / RECORD
    data = read_json(path)
    if data.get("format", 0) > FORMAT:
        raise UserError(
            f"{path}: format {data['format']} is newer than this reslearn reads ({FORMAT}); update reslearn"
        )
    plain = ("count", "folds", "method", "split_seed", "seed", "data", "environment", "command", "created", "format")
    return CrossvalRecord(
        spec=spec_from_json(data["spec"], str(path)),
        recipe=from_json(Recipe, data["recipe"], str(path)),
        preprocess=from_json(Preprocess, data["preprocess"], str(path)),
        settings=from_json(Settings, data["settings"], str(path)),
        **{name: data[name] for name in plain},
    )


def new_record(
    dataset: Dataset,
    spec: Spec,
    recipe: Recipe,
    *,
    folds: tuple[dict[str, int], str],
    preprocess: Preprocess,
    settings: Settings,
    seed: int,
    split_seed: int,
    command: str,
) -> CrossvalRecord:
    """Everything a cross-validation is, before anything is trained."""
    if recipe.input_mean == "pixel":
        raise UserError("a mean image differs from fold to fold, and one file holds one; add --set input_mean=channel")
    if recipe.decides_on_validation:
        instead = " ".join(f"--set {name}={value}" for name, value in recipe.decides_on_validation.items())
        raise UserError(
            f"recipe {recipe.name} decides on validation by {', '.join(recipe.decides_on_validation)}: "
            f"that would be the very pictures each fold is scored on; add {instead}"
        )
    return CrossvalRecord(
        spec=spec,
        recipe=recipe,
        preprocess=preprocess,
        settings=settings,
        count=max(folds[0].values()),
        folds=folds[0],
        method=folds[1],
        split_seed=split_seed,
        seed=seed,
        data={"path": dataset.path, "fingerprint": dataset.fingerprint(), "classes": list(dataset.classes)},
        environment=environment(),
        command=command,
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )


def proceed(
    out: str | os.PathLike[str],
    dataset: Dataset | None = None,
    *,
    only: int | None = None,
    build: Build | None = None,
    watch: Callable[[int], Watch] | None = None,
) -> Crossval | None:
    """Train what is left of every fold, or of fold `only`; merge once all are there (None before that)."""
    folder = Path(out)
    record = read_record(folder)
    check_fold(only, record.count)
    dataset = dataset if dataset is not None else open_data(record.data["path"])
    if dataset.fingerprint() != record.data["fingerprint"]:
        raise UserError(f"{dataset.path}: these are not the pictures that {folder} was begun with")
    for k in range(1, record.count + 1) if only is None else [only]:
        train_fold(folder, record, dataset, k, build=build, watch=None if watch is None else watch(k))
    if any(not (fold_folder(folder, k) / PREDICTIONS).exists() for k in range(1, record.count + 1)):
        return None
    return merge(folder, record, build=build)


def check_fold(only: int | None, count: int) -> None:
    """Raise `UserError` for a fold that there is not."""
    if only is not None and not 1 <= only <= count:
        raise UserError(f"--fold is {only}; it must lie in 1..{count}")


def fold_folder(folder: Path, k: int) -> Path:
    """The run folder of fold `k`, 1 ... K."""
    return folder / f"fold-{k}"


def train_fold(
    folder: Path, record: CrossvalRecord, dataset: Dataset, k: int, *, build: Build | None, watch: Watch | None
) -> Run:
    """Train fold `k` (or go on with it) and predict the pictures it has not seen; a finished fold is only read."""
    path = fold_folder(folder, k)
    where = np.array([record.folds.get(identity, 0) for identity in dataset.ids])
    seen, held = (
        Subset(dataset, np.flatnonzero((where > 0) & (where != k))),
        Subset(dataset, np.flatnonzero(where == k)),
    )
    if (path / "run.json").exists():
        run = resume(path, train_data=seen, val_data=held, build=build, watch=watch)
    else:
        run = fit(
            record.spec,
            seen,
            held,
            record.recipe,
            out=path,
            seed=record.seed + k - 1,
            settings=record.settings,
            preprocess=record.preprocess,
            split_seed=record.split_seed,
            split_method=record.method,
            build=build,
            watch=watch,
        )
    if not (path / PREDICTIONS).exists():
        scores = evaluate(load(path, build=build), held)
        fold = np.full(len(held), k, np.int64)
        write_predictions(
            path / PREDICTIONS, Predictions(tuple(held.ids), scores.labels, scores.logits, dataset.classes, fold)
        )
    return run


def merge(folder: Path, record: CrossvalRecord, *, build: Build | None = None) -> Crossval:
    """Put the folds' predictions into one file and their networks into one sealed ensemble. Needs no pictures.

    Raises `UserError` where the folds' predictions do not cover every picture of `crossval.json` exactly once.
    """
    runs = [fold_folder(folder, k) for k in range(1, record.count + 1)]
    with exclusive_lock(folder / "lock"):
        together = merge_predictions([read_predictions(run / PREDICTIONS) for run in runs])
        if together.fold is None or dict(zip(together.ids, together.fold.tolist(), strict=True)) != record.folds:
            raise UserError(f"{folder}: the folds hold out other pictures than its {RECORD} says; copy the right ones")
        write_predictions(folder / PREDICTIONS, together)
        whole = score(together.logits, together.labels, record.preprocess)
        if not (folder / MODEL).exists():
            seal_ensemble(
                folder / MODEL,
                runs,
                combine="softmax",
                recipe=to_json(record.recipe),
                data=record.data | {"folds": record.count},
                scores={"out_of_fold": whole.to_json()},
            )
    finished = [finished_run(run, build) for run in runs]
    return Crossval(folder, folder / MODEL, folder / PREDICTIONS, tuple(run for run in finished if run), whole)
