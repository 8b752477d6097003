"""K-fold cross-validation: every picture is predicted once, by a network that has not seen it.

A folder: `crossval.json` (written first: which picture is held out in which fold, and everything a run needs),
`fold-1` ... `fold-K` (ordinary run folders), then `out-of-fold.safetensors`, and `model.safetensors`: the folds'
networks as one ensemble. The same command goes on from wherever it was left, on one machine or, fold by fold, on many.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle.ensemble import seal_ensemble
from ..bundle.file import load
from ..data.dataset import Dataset
from ..measure.evaluate import evaluate
from ..measure.evaluation import Evaluation, score
from ..measure.predictions import Predictions, merge_predictions, read_predictions, write_predictions
from ..runtime.files import exclusive_lock
from ..spec.codec import to_json
from ..spec.errors import UserError
from ..spec.seen import seen_from_json, summed
from ..spec.text import counted
from ..spec.voice import COMMAND, Voice
from .events import Watch
from .fit import Run, begin, finished_run, resume
from .fold_data import Again, follow, reopen_folds
from .fold_models import (
    MODEL,
    PREDICTIONS,
    check_own,
    digest_of,
    drop_foreign,
    drop_stale,
    fold_folder,
    predicted_by,
)
from .folder import still_there
from .numerics import followed
from .origin import read_origin, weights_sha256
from .records.belonging import split_digest
from .records.crossval import RECORD, CrossvalRecord, read_record, write_record
from .stopping import leading_on
from .together import digest


@dataclass(frozen=True)
class Crossval:
    """A finished cross-validation."""

    path: Path
    model: Path
    predictions: Path
    runs: tuple[Run, ...]
    out_of_fold: Evaluation  # every picture once, by the network that had not seen it

    def __fspath__(self) -> str:
        """Its folder, so that this goes wherever a model's path goes."""
        return str(self.path)

    def __repr__(self) -> str:
        whole = self.out_of_fold
        right = f"{100 * whole.top1:.2f} % of {counted(whole.images, 'picture')} right"
        return f"Crossval({self.path}: {right} out of {counted(len(self.runs), 'fold')})"

    @property
    def scores(self) -> list[dict[str, Any]]:
        """Each fold's `evaluate` object."""
        return [run.val or {} for run in self.runs]

    def spread(self) -> tuple[dict[str, float], dict[str, float]]:
        """Mean and standard deviation of each number over the folds."""
        scores = self.scores
        names = [name for name in ("top1", "top5", "top1_error", "top5_error", "loss") if scores[0][name] is not None]
        columns = {name: [score[name] for score in scores] for name in names}
        mean = {name: float(np.mean(column)) for name, column in columns.items()}
        return mean, {name: float(np.std(column, ddof=1)) for name, column in columns.items()}

    @property
    def seconds(self) -> float:
        """Of training, all folds together."""
        return sum(run.seconds for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        """Folders and files, each fold's scores, their mean and standard deviation, and the scores of all together."""
        mean, std = self.spread()
        return {
            "run": str(self.path),
            "model": str(self.model),
            "predictions": str(self.predictions),
            "folds": [run.to_json() for run in self.runs],
            "mean": mean,
            "std": std,
            "out_of_fold": self.out_of_fold.to_json(),
            "seconds": self.seconds,
        }


def proceed(
    out: str | os.PathLike[str],
    dataset: Dataset | None = None,
    *,
    data: str | None = None,
    weights: str | None = None,
    only: int | None = None,
    allow_different_numerics: bool = False,
    watch: Callable[[int], Watch] | None = None,
    voice: Voice = COMMAND,
) -> Crossval | None:
    """Train what is left of every fold, or of fold `only`; merge once all are there (None before that).

    `data` is where the data has moved to; `weights` is where this machine has the weights that the folds start from, if
    not where the first one had them. Raises `UserError` where pictures, labels or classes are not as they were.
    """
    folder = Path(out)
    record = read_record(folder)
    record = record if weights is None else replace(record, weights=weights)
    check_fold(only, record.count)
    again = reopen_folds(folder, record, dataset, data)
    with still_there(folder, RECORD), leading_on(folder, RECORD, data=again.data.path, voice=voice):
        if again.record.moved != record.moved:
            write_record(folder, replace(again.record, weights=read_record(folder).weights))
        for k in range(1, record.count + 1) if only is None else [only]:
            train_fold(folder, again, k, allow_different_numerics, watch=None if watch is None else watch(k))
        if any(not (fold_folder(folder, k) / PREDICTIONS).exists() for k in range(1, record.count + 1)):
            return None
        return merge(folder, again.record)


def check_fold(only: int | None, count: int) -> None:
    """Raise `UserError` for a fold that there is not."""
    if only is not None and not 1 <= only <= count:
        raise UserError(f"--fold is {only}; it must lie in 1..{count}")


def train_fold(
    folder: Path, again: Again, k: int, allow_different_numerics: bool = False, *, watch: Watch | None
) -> Run:
    """Train fold `k` (or go on with it) and predict the pictures it has not seen; a finished fold is only read.

    A fold begins with the settings of `crossval.json`, as far as this machine can follow them.
    """
    path, record = fold_folder(folder, k), again.record
    seen, held, names = again.parts(k)
    if (path / "run.json").exists():
        check_own(path, names, held)
        follow(path, record)
        drop_foreign(path)
        allowed = allow_different_numerics
        run = resume(path, train_data=seen, val_data=held, allow_different_numerics=allowed, watch=watch)
    else:
        if record.weights is not None and weights_sha256(record.weights) != record.weights_sha256:
            raise UserError(f"{record.weights}: not the weights that {folder} was begun with; bring those here")
        run = begin(
            replace(record, seed=record.seed + k - 1, settings=followed(record, len(seen))),
            seen,
            held,
            out=path,
            origin=read_origin(record.weights, record.spec, record.prefer),
            split_seed=record.split_seed,
            split_method=record.method,
            watch=watch,
        )
    model = load(path)
    weights = digest(model.net)
    if not predicted_by(path / PREDICTIONS, weights):
        scores = evaluate(model, held)
        fold = np.full(len(held), k, np.int64)
        write_predictions(
            path / PREDICTIONS, Predictions(names, scores.labels, scores.logits, held.classes, fold, weights)
        )
    return run


def merge(folder: Path, record: CrossvalRecord) -> Crossval:
    """Put the folds' predictions into one file and their networks into one sealed ensemble. Needs no pictures.

    Raises `UserError` where the folds' predictions do not cover every picture of `crossval.json` exactly once, or are
    those of other networks.
    """
    runs = [fold_folder(folder, k) for k in range(1, record.count + 1)]
    with exclusive_lock(folder / "lock"):
        parts = [read_predictions(run / PREDICTIONS) for run in runs]
        for run, part in zip(runs, parts, strict=True):
            if part.model is not None and part.model != digest(load(run).net):
                raise UserError(f"{run / PREDICTIONS}: another network's; reslearn resume {folder} predicts again")
        together = merge_predictions(parts)
        if together.fold is None or dict(zip(together.ids, together.fold.tolist(), strict=True)) != record.folds:
            raise UserError(f"{folder}: the folds hold out other pictures than its {RECORD} says; copy the right ones")
        drop_stale(folder, together)
        write_predictions(folder / PREDICTIONS, together)
        finished = [run for run in (finished_run(path) for path in runs) if run is not None]
        seen = summed([seen_from_json((run.val or {}).get("seen")) for run in finished])
        marked = any((run.val or {}).get("selected_on_test") for run in finished)
        whole = score(together.logits, together.labels, record.preprocess, seen=seen, selected_on_test=marked)
        if not (folder / MODEL).exists():
            seal_ensemble(
                folder / MODEL,
                runs,
                combine="softmax",
                recipe=to_json(record.recipe),
                forget=record.forget_pictures,
                data=record.data
                | {"folds": record.count, "split": split_digest(record.folds, ()), "predictions": digest_of(together)},
                scores={"out_of_fold": whole.to_json()},
            )
    return Crossval(folder, folder / MODEL, folder / PREDICTIONS, tuple(finished), whole)
