"""The trial that comes out first: its files say on how many trials it was chosen, and it may be trained once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...bundle.file import known_of, read_bundle, read_tensors, write_sealed
from ...data.dataset import Dataset
from ...data.memory import Subset
from ...data.parts.splits import choose_splits
from ...runtime.container import FILE_NAME, read_safetensors
from ...runtime.files import write_atomic
from ...runtime.notes import say
from ...spec.errors import UserError
from ...spec.recipes import BUDGETS
from ...spec.seen import Seen, seen_from_json
from ...train.events import Watch
from ...train.fit import Run, begin, finished_run, resume, sealed_run
from ...train.pictures import read_pictures
from ...train.records.run import read_record as read_run
from ..resolve import TrainRequest, resolve
from .record import SweepRecord
from .result import Tried, compared, rank
from .trial import in_words

RETRAINED = "retrained"
TRIALS = "trials"  # in a sealed file's `data`: on so many it was chosen by validation


def choose_winner(tried: Sequence[Tried]) -> Tried:
    """The trial that is right most often on validation. Raises `UserError` where none came to its end."""
    done = [one for one in tried if one.top1 is not None]
    if not done:
        why = next((one.trial.why for one in tried if one.trial.why), "all were ended early")
        raise UserError(f"sweep: none of its {len(tried)} trials has a result; the first reason: {why}")
    return min(done, key=rank)


def mark_winner(folder: Path, tried: Sequence[Tried]) -> Tried:
    """Write into the winner's files that it was chosen on its validation pictures, and put it at the sweep's top."""
    best, count = choose_winner(tried), compared(one.trial for one in tried)
    for run in best.runs:
        _mark(run, count)
    write_atomic(folder / FILE_NAME, read_safetensors(best.runs[0].model)[0])
    return replace(best, runs=tuple(sealed_run(run.path) for run in best.runs))


def _mark(run: Run, count: int) -> None:
    bundle, tensors = read_tensors(run.model)
    data = bundle.data or {}
    if data.get(TRIALS) == count:
        return
    known = known_of(bundle, tensors)
    kept = read_pictures(run.path)
    if kept is not None and not known.forgotten:
        known = known.with_pictures(selected=kept.val)
    val = bundle.scores.get("val")
    scores = bundle.scores if val is None else {**bundle.scores, "val": _selected(val, count)}
    chosen = {"selected_on": data.get("selected_on") or "val", TRIALS: count}
    write_sealed(run.model, tensors, replace(bundle, data=data | chosen, scores=scores), known)


def _selected(val: dict[str, Any], count: int) -> dict[str, Any]:
    """A score on validation of the one among `count` trials that was best there."""
    seen = seen_from_json(val.get("seen"))
    if seen.known_by != "nothing":
        seen = Seen(seen.trained, val["images"], seen.known_by)
    return {**val, "seen": seen.to_json(), "selected_on_trials": count}


def retrain(folder: Path, record: SweepRecord, best: Tried, data: Dataset, watch: Watch) -> Run:
    """Train with the winner's values on training and validation pictures together, and put that at the sweep's top.

    What a recipe decides by validation it does not decide here: the last weights are kept, and where training ended
    early, it ends where the winner was best.
    """
    path, request = folder / RETRAINED, _without_validation(record, best)
    plan = resolve(request, data)
    if (path / "run.json").exists() and read_run(path).recipe == plan.start.recipe:
        run = finished_run(path) or resume(path, watch=watch, allow_different_numerics=True)
    else:
        say(f"retrained on training and validation pictures together: {in_words(best.trial.values)}")
        splits = choose_splits(data, val_fraction=request.val_fraction, split_seed=request.split_seed)
        every = Subset(data, np.sort(np.concatenate([splits["train"], splits["val"]])))
        run = begin(
            plan.start,
            every,
            None,
            out=path,
            origin=plan.start.origin,
            split_seed=request.split_seed,
            split_method="none",
            overwrite=True,
            watch=watch,
        )
    bundle, tensors = read_tensors(run.model)
    count = (read_bundle(best.runs[0].model).data or {})[TRIALS]
    if (bundle.data or {}).get(TRIALS) != count:
        chosen = {"selected_on": (bundle.data or {}).get("selected_on") or "val", TRIALS: count}
        write_sealed(run.model, tensors, replace(bundle, data=(bundle.data or {}) | chosen))
    write_atomic(folder / FILE_NAME, read_safetensors(run.model)[0])
    return run


def _without_validation(record: SweepRecord, best: Tried) -> TrainRequest:
    request = record.request(best.trial.values)
    recipe = read_run(best.folders[0]).recipe
    changes = {**request.changes, **recipe.decides_on_validation}
    epoch = best.runs[0].best_epoch
    if recipe.early_stop is not None and epoch:
        changes = {name: text for name, text in changes.items() if name not in BUDGETS} | {"epochs": repr(epoch)}
    return replace(request, changes=changes)
