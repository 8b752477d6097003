"""K-fold cross-validation: every picture is predicted once, by a network that has not seen it.

A folder: `crossval.json` (written first: which picture is held out in which fold, and everything a run needs),
`fold-1` ... `fold-K` (ordinary run folders), then `out-of-fold.safetensors`, and `model.safetensors`: the folds'
networks as one ensemble. The same command goes on from wherever it was left, on one machine or, fold by fold, on many.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..bundle.ensemble import seal_ensemble
from ..bundle.file import load
from ..data.dataset import Dataset
from ..data.memory import Subset
from ..data.sources import open_data
from ..measure.evaluate import Evaluation, evaluate, score
from ..measure.predictions import Predictions, merge_predictions, read_predictions, write_predictions
from ..nets.finding import Prefer
from ..runtime.environment import environment
from ..runtime.files import exclusive_lock, is_leftover, write_json
from ..runtime.settings import Settings
from ..spec.catalogue import get_spec
from ..spec.codec import from_json, to_json
from ..spec.errors import UserError
from ..spec.net import Spec, spec_to_json
from ..spec.preprocess import Preprocess
from ..spec.recipe import Recipe
from ..spec.seen import seen_from_json, summed
from .execute import Build
from .fit import Run, finished_run, fit, resume
from .loop import Interrupted, Watch
from .origin import Origin, check_start, file_sha256
from .record import check_seed, read_parts

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
    weights: str | None = None  # what every fold starts from
    weights_sha256: str | None = None  # of that file, wherever a machine has it
    prefer: Prefer | None = None  # which of the plain and averaged weights in it
    on_bad_file: Literal["stop", "skip"] = "stop"
    forget_pictures: bool = False  # the sealed files do not say which pictures they have seen
    format: int = FORMAT

    def __post_init__(self) -> None:
        check_seed(self.seed)
        check_seed(self.seed + self.count)


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


def start(out: str | os.PathLike[str], record: CrossvalRecord) -> bool:
    """Write `crossval.json`, unless the same cross-validation is there already (True: it will be continued)."""
    folder = Path(out)
    if (folder / RECORD).exists():
        there = read_record(folder)
        free = (
            "environment",
            "command",
            "created",
            "settings",
            "data",
            "weights",
        )  # may differ from machine to machine
        changed = [
            f.name for f in fields(record) if f.name not in free and getattr(there, f.name) != getattr(record, f.name)
        ]
        changed += ["data"] if there.data["fingerprint"] != record.data["fingerprint"] else []
        if changed:
            raise UserError(f"{folder}: holds another cross-validation ({', '.join(changed)} differ); name a new --out")
        return True
    if folder.is_dir() and not all(is_leftover(entry.name) for entry in folder.iterdir()):
        raise UserError(f"{folder}: not empty and no cross-validation; name a new folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RECORD, {**to_json(record), "spec": spec_to_json(record.spec)})
    return False


def read_record(folder: Path) -> CrossvalRecord:
    """Read `crossval.json`. Raises `UserError` where `folder` holds no cross-validation, or one of a newer format."""
    path = folder / RECORD
    record = from_json(CrossvalRecord, read_parts(path, FORMAT), str(path))
    if not all(1 <= fold <= record.count for fold in record.folds.values()):
        raise UserError(f"{path}: a fold outside 1..{record.count}; the file is damaged, put a copy of it back")
    return record


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
    origin: Origin | None = None,
    on_bad_file: Literal["stop", "skip"] = "stop",
    forget_pictures: bool = False,
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
    check_start(recipe, None if origin is None else origin.path)
    return CrossvalRecord(
        spec=get_spec(spec, num_classes=len(dataset.classes)),  # as each fold will have it
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
        weights=None if origin is None else origin.path,
        weights_sha256=None if origin is None else origin.sha256,
        prefer=None if origin is None else origin.prefer,
        on_bad_file=on_bad_file,
        forget_pictures=forget_pictures,
    )


def proceed(
    out: str | os.PathLike[str],
    dataset: Dataset | None = None,
    *,
    weights: str | None = None,
    only: int | None = None,
    build: Build | None = None,
    watch: Callable[[int], Watch] | None = None,
) -> Crossval | None:
    """Train what is left of every fold, or of fold `only`; merge once all are there (None before that).

    `weights` is where this machine has the weights that the folds start from, if not where the first one had them.
    """
    folder = Path(out)
    record = read_record(folder)
    record = record if weights is None else replace(record, weights=weights)
    check_fold(only, record.count)
    dataset = dataset if dataset is not None else open_data(record.data["path"], on_bad_file=record.on_bad_file)
    if dataset.fingerprint() != record.data["fingerprint"]:
        raise UserError(f"{dataset.path}: these are not the pictures that {folder} was begun with")
    for k in range(1, record.count + 1) if only is None else [only]:
        try:
            train_fold(folder, record, dataset, k, build=build, watch=None if watch is None else watch(k))
        except Interrupted as stopped:
            raise Interrupted(folder, stopped.signum) from None  # it is all of this that is gone on with
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
        if record.weights is not None and file_sha256(record.weights) != record.weights_sha256:
            raise UserError(f"{record.weights}: not the weights that {folder} was begun with; bring those here")
        run = fit(
            record.spec,
            seen,
            held,
            record.recipe,
            out=path,
            seed=record.seed + k - 1,
            weights=record.weights,
            prefer=record.prefer,
            settings=record.settings,
            preprocess=record.preprocess,
            split_seed=record.split_seed,
            split_method=record.method,
            on_bad_file=record.on_bad_file,
            forget_pictures=record.forget_pictures,
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
        finished = [run for run in (finished_run(path, build) for path in runs) if run is not None]
        seen = summed([seen_from_json((run.val or {}).get("seen")) for run in finished])
        whole = score(together.logits, together.labels, record.preprocess, seen=seen)
        if not (folder / MODEL).exists():
            seal_ensemble(
                folder / MODEL,
                runs,
                combine="softmax",
                recipe=to_json(record.recipe),
                forget=record.forget_pictures,
                data=record.data | {"folds": record.count},
                scores={"out_of_fold": whole.to_json()},
            )
    return Crossval(folder, folder / MODEL, folder / PREDICTIONS, tuple(finished), whole)
