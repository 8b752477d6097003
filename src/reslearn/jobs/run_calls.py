"""The commands that train, as functions of `reslearn`: many runs at once, what one would cost, and going on with one.

`fit` is in `fitting`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path as File
from typing import Any

import numpy as np

from ..data.anything import Range, as_dataset
from ..data.augment.foreign import Transform
from ..runtime.notes import say
from ..runtime.replacing import PAGE, replaceable
from ..runtime.settings import Precision
from ..spec.choices import OnBadFile, Prefer, Sampler, Tracker
from ..spec.errors import UserError, path_text
from ..spec.net import Spec
from ..spec.recipe import Recipe
from ..spec.voice import PYTHON
from ..train.crossval import Crossval
from ..train.events import Watch
from ..train.fit import Run
from ..train.records.crossval import RECORD as CROSSVAL
from ..train.stopping import naming_remedies
from ..train.trackers.forward import boards, forwarded
from .crossval import CrossvalPlan, is_begun, plan_crossval, resume_folds, run_crossval
from .find_lr import RangeTest, write_page
from .find_lr import find_lr as range_test
from .naming import chosen_folder
from .plan import PROBE_SECONDS, Forecast, check_seconds, forecast
from .progress import watching
from .resolve import Plan, TrainRequest, resolve
from .search.record import RECORD as SWEEP
from .search.record import Asked
from .search.result import Sweep
from .search.sweep import begun_alike, plan_sweep, run_sweep
from .training import resume as resume_job

Path = str | os.PathLike[str]


def resume(
    run: Path,
    *,
    data: Path | None = None,
    train_data: object = None,
    val_data: object = None,
    transform: Transform | None = None,
    value_range: Range | None = None,
    report: bool = True,
    log_to: Sequence[Tracker] = (),
    watch: Watch | None = None,
    allow_different_numerics: bool = False,
) -> Run | Crossval | Sweep:
    """Go on with the run, cross-validation or sweep in the folder `run` to its end; a finished one is only read.

    Everything is taken from its record; data given to `fit` as objects must be given again, as `train_data` and
    `val_data`, and so must a `transform`. `data` is where the data has moved to, which is noted in the record. The
    page is written, too, unless `report` is false; `log_to` names boards that a run or the trials of a sweep are told
    to. On a machine that computes otherwise it goes on only with
    `allow_different_numerics`, and its record says so.

    Raises `UserError`, in every process and before anything is written, where classes, labels or pictures are not
    those that it began with.
    """
    folder = File(path_text(run, "resume takes the folder of a run, a cross-validation or a sweep"))
    whole = None if train_data is None else as_dataset(train_data, value_range)
    val = None if val_data is None or whole is None else as_dataset(val_data, value_range, classes=whole.classes)
    moved = None if data is None else path_text(data, "data is the path where the data has moved to")
    kind = "cross-validation" if (folder / CROSSVAL).exists() else "sweep" if (folder / SWEEP).exists() else ""
    of_a_run = not (train_data is val_data is transform is None and report)
    if (kind and of_a_run) or (kind == "cross-validation" and log_to):
        raise UserError(f"{folder}: a {kind} has its pictures and its page itself; leave all but data out")
    begins = boards(log_to)
    with contextlib.nullcontext(watch) if watch is not None else watching() as told:
        if kind == "cross-validation":
            return resume_folds(
                folder, data=moved, allow_different_numerics=allow_different_numerics, watch=lambda fold: told,
                voice=PYTHON,
            )  # fmt: skip
        if kind == "sweep":
            if moved is not None:
                raise UserError(f"{folder}: a sweep finds its data where it was; leave data out, or put them back")
            return run_sweep(folder, watch=told, begins=begins, voice=PYTHON)
        with forwarded(begins, folder, told) as both:
            return resume_job(
                folder, data=moved, train_data=whole, val_data=val, transform=transform, report=report, watch=both,
                allow_different_numerics=allow_different_numerics, voice=PYTHON,
            )[0]  # fmt: skip


def crossval(
    data: Path,
    folds: int = 5,
    *,
    model: str | Spec | None = None,
    recipe: str | Recipe | None = None,
    out: Path | None = None,
    epochs: float | None = None,
    image_size: int | None = None,
    group: str | None = None,
    seed: int = 0,
    split_seed: int = 0,
    weights: Path | None = None,
    prefer: Prefer | None = None,
    precision: Precision | None = None,
    on_bad_file: OnBadFile = "stop",
    forget_pictures: bool = False,
) -> Crossval:
    """Train `folds` networks, each without one part of the pictures, and score every picture by the one that has not
    seen it.

    What of `model`, `recipe`, `image_size` and `epochs` is not given is chosen as by `fit`; all start from `weights`,
    if some are named. `split_seed` draws the folds. `data` is a path, so that a run that was stopped can be continued:
    the same call with the same `out` goes on. `group` is a pattern whose first group, in a picture's name, names what
    must stay together. The networks end as one sealed ensemble in the folder `out` (`runs/SET-crossval-1`, ... unless
    given).
    """
    place = path_text(data, "crossval takes the path of its pictures, so that it can be continued")
    request = TrainRequest(
        place, model, recipe, epochs=epochs, image_size=image_size, seed=seed, split_seed=split_seed,
        precision=precision, on_bad_file=on_bad_file, forget_pictures=forget_pictures,
        weights=None if weights is None else os.fspath(weights), prefer=prefer,
    )  # fmt: skip
    folder = os.fspath(out if out is not None else chosen_folder(data, kind="-crossval"))
    plan = plan_crossval(request, folds=folds, group=group, begun=is_begun(folder))
    _tell(plan, "fold")
    with watching() as watch:
        done = run_crossval(plan, out=folder, watch=lambda fold: watch, voice=PYTHON)
    if done is None:
        raise RuntimeError(f"{folder}: folds are missing although all were trained")
    return done


def sweep(
    data: Path,
    space: Mapping[str, object],
    *,
    trials: int = 20,
    seeds: int = 1,
    model: str | Spec | None = None,  # a name: what is not one is told how to go about it
    recipe: str | Recipe | None = None,
    out: Path | None = None,
    epochs: float | None = None,
    image_size: int | None = None,
    val_fraction: float = 0.1,
    sampler: Sampler = "quasi",
    prune: bool = True,
    retrain: bool = False,
    seed: int = 0,
    split_seed: int = 0,
    weights: Path | None = None,
    prefer: Prefer | None = None,
    precision: Precision | None = None,
    on_bad_file: OnBadFile = "stop",
    forget_pictures: bool = False,
    log_to: Sequence[Tracker] = (),
) -> Sweep:
    """Train many times with other settings, and find on validation which are best; test pictures are left alone.

    `space` says what is tried: a field of the recipe (or `spec.FIELD` of the network) to a span such as
    `"log:0.01..1"` or `"16..64"`, or to a list of values; one value is the same in all trials. At most `trials` are
    trained, each with so many `seeds`; a `sampler` that is "quasi" spreads them evenly, "tpe" proposes each after
    those before. `prune` ends early what is worse than most, and `retrain` trains the winner again on training and
    validation pictures together. What of `model`, `recipe`, `image_size` and `epochs` is not given is chosen as by
    `fit`, and `val_fraction` of `train`, drawn by `split_seed`, is held out where the data has no val; all start from
    `weights`, if some are named, and are told to the boards of `log_to`. The same call, in other processes too, shares
    the trials of the folder `out` (`runs/SET-sweep-1`, ... unless given), and goes on with it where it was stopped.
    """
    place = path_text(data, "sweep takes the path of its pictures, so that it can be continued")
    if not isinstance(space, Mapping):
        raise UserError(f"space is a mapping, such as {{'lr': 'log:0.01..1'}}; found {type(space).__name__}")
    for name, given in (("model", model), ("recipe", recipe)):
        if not isinstance(given, (str, type(None))):
            raise UserError(
                f"{name} is a name, whose fields `space` changes for all trials or some; found {type(given).__name__}"
            )
    request = TrainRequest(
        place, model, recipe, changes={str(name): _typed(name, value) for name, value in space.items()},
        epochs=epochs, image_size=image_size, val_fraction=val_fraction, seed=seed, split_seed=split_seed,
        precision=precision, on_bad_file=on_bad_file, forget_pictures=forget_pictures,
        weights=None if weights is None else os.fspath(weights), prefer=prefer,
    )  # fmt: skip
    begins = boards(log_to)
    plan = plan_sweep(request, Asked(trials, seeds, sampler, prune, retrain))
    _tell(plan.first)
    folder = out or begun_alike(plan.record) or chosen_folder(data, kind="-sweep")
    with watching() as watch:
        return run_sweep(folder, plan.record, watch=watch, begins=begins, voice=PYTHON)


def plan(
    data: Path,
    *,
    model: str | Spec | None = None,
    recipe: str | Recipe | None = None,
    epochs: float | None = None,
    image_size: int | None = None,
    val_fraction: float = 0.1,
    weights: Path | None = None,
    precision: Precision | None = None,
    seconds: float = PROBE_SECONDS,
) -> Forecast:
    """Load and train for `seconds` each, and say what the whole would cost: speed, memory, time, disk.

    `data` is a path; `model`, `recipe`, `epochs`, `image_size`, `val_fraction`, `weights` and `precision` are what
    `fit` would be given. Writes nothing.
    """
    check_seconds(seconds)
    found = _resolved("plan", data, model, recipe, epochs, image_size, val_fraction, weights, precision)
    with naming_remedies(os.fspath(data), PYTHON):
        return forecast(found, seconds=seconds)


def find_lr(
    data: Path,
    *,
    model: str | Spec | None = None,
    recipe: str | Recipe | None = None,
    epochs: float | None = None,
    image_size: int | None = None,
    val_fraction: float = 0.1,
    weights: Path | None = None,
    precision: Precision | None = None,
    out: Path | None = None,
) -> RangeTest:
    """A learning-rate range test (1506.01186): the loss while the rate grows, from a seeded probe.

    `data` is a path; `model`, `recipe`, `epochs`, `image_size`, `val_fraction` and `weights` are what `fit` would be
    given. Writes nothing but the curve as a page, to the file `out`, where one is named.
    """
    page = None if out is None else replaceable(path_text(out, "out is the page to write"), PAGE, "out")
    found = _resolved("find_lr", data, model, recipe, epochs, image_size, val_fraction, weights, precision)
    with naming_remedies(os.fspath(data), PYTHON):
        test = range_test(found)
    if page is not None:
        write_page(str(page), test, found)
    return test


def _resolved(
    call: str,
    data: Path,
    model: str | Spec | None,
    recipe: str | Recipe | None,
    epochs: float | None,
    image_size: int | None,
    val_fraction: float,
    weights: Path | None,
    precision: Precision | None,
) -> Plan:
    """What `fit` would do with these, said as it says it."""
    place = path_text(data, f"{call} takes the path of its pictures")
    request = TrainRequest(
        place, model, recipe, epochs=epochs, image_size=image_size, val_fraction=val_fraction, precision=precision,
        weights=None if weights is None else os.fspath(weights),
    )  # fmt: skip
    plan = resolve(request)
    _tell(plan)
    return plan


def _tell(plan: Plan | CrossvalPlan, each: str = "training") -> None:
    plan.choice.tell(PYTHON, each)
    for line in plan.advice(PYTHON):
        say(f"advice    {line}")


def _typed(name: object, value: object) -> str:
    """What `--set NAME=...` would be given: a text as it is, a list with commas, anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return ",".join(one if isinstance(one, str) else _json(name, one) for one in value)
    return _json(name, value)


def _json(name: object, value: Any) -> str:
    try:
        return json.dumps(value.item() if isinstance(value, np.generic) else value)
    except TypeError:
        raise UserError(
            f"{name} is {type(value).__name__}; it must be a span such as 'log:0.01..1', a value, or a list of values"
        ) from None
