"""`sweep` as one call: resolve, write the trials down, train what nobody trains, choose the winner on validation.

A folder: `sweep.json` (what it is), `journal.log` (Optuna's storage: the trials and how they stand), `trial-001`, ...
(ordinary runs), then `model.safetensors`, the winner or what was retrained like it, and `report.html`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from ...data.dataset import Dataset
from ...data.sources import open_data
from ...runtime.container import FILE_NAME
from ...runtime.files import is_leftover, waited_lock, writable_target
from ...runtime.notes import say
from ...runtime.process_group import from_environment
from ...spec.choices import Sampler, Tracker
from ...spec.errors import UserError, check_at_least, check_choice
from ...spec.space import Axis
from ...spec.text import counted
from ...spec.voice import COMMAND, Voice
from ...train.events import Watch
from ...train.fit import finished_run
from ...train.folder import still_there
from ...train.stopping import leading_on
from ...train.trackers.forward import Begin
from ..naming import RUNS, numbered_folders
from ..resolve import Plan, TrainRequest, resolve
from .axes import split_assignments, trials_of
from .record import RECORD, Asked, SweepRecord, joined, read_record, recorded, write_record
from .result import Sweep, gather
from .study import ENDED, Study, need_optuna
from .trial import Told, train_trial
from .winner import RETRAINED, choose_winner, mark_winner, retrain

LOCK = "lock"
MOST = 10_000  # trials, or runs of one: all trials are written down before the first
WAIT = 1.0  # seconds between two looks at what other processes do


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep resolves to before anything is trained; `first` is the plan of one of its trials."""

    record: SweepRecord
    axes: tuple[Axis, ...]
    first: Plan

    def to_json(self) -> dict[str, object]:
        """What `--dry-run` prints."""
        record = self.record
        told = {"space": record.space, "trials": record.trials, "seeds": record.seeds, "sampler": record.sampler}
        return told | {"prune": record.prune, "retrain": record.retrain} | self.first.to_json()


def plan_sweep(request: TrainRequest, asked: Asked) -> SweepPlan:
    """What a sweep resolves to. Every value of the space is tried on the recipe, none on the network.

    Raises `UserError` for a space that is none, and for data of which nothing is left to validate on.
    """
    if from_environment().size > 1:
        raise UserError("sweep runs in one process; start the same command as often as there are processors for it")
    for option, number in (("--trials", asked.trials), ("--seeds", asked.seeds)):
        check_at_least(option, number, 1, MOST)
    check_choice("--sampler", asked.sampler, get_args(Sampler))
    need_optuna()
    space, axes = split_assignments(request)
    first = resolve(replace(request, changes={**request.changes} | {axis.name: axis.trials()[0] for axis in axes}))
    if not len(first.val_data):
        raise UserError(
            f"{request.data}: no validation pictures, by which a sweep compares; give a --val-fraction above 0"
        )
    record = recorded(first, space, replace(asked, trials=trials_of(axes, asked.sampler, asked.trials, request.seed)))
    return SweepPlan(record, axes, first)


def begun_alike(record: SweepRecord, runs: Path = RUNS) -> Path | None:
    """The newest `runs/SET-sweep-N` that this same command began and that is not finished; None where there is none."""
    for folder in numbered_folders(record.data, runs, kind="-sweep"):
        with contextlib.suppress(UserError):
            joined(folder, read_record(folder), record)
            if not (folder / FILE_NAME).exists():
                return folder
    return None


def run_sweep(
    folder: str | os.PathLike[str],
    record: SweepRecord | None = None,
    *,
    watch: Watch,
    begins: Mapping[Tracker, Begin] | None = None,
    voice: Voice = COMMAND,
) -> Sweep:
    """Begin or join the sweep in `folder` and see it to its end; without a `record`, the one that is there goes on.

    Every process that does so trains trials that no other trains. The last one chooses the winner, and all return it.
    Each run is told to the boards of `begins`; how to go on is said in the words of `voice`.
    """
    folder = writable_target(folder, "folder", "--out")
    data = None
    if record is not None:
        record = _begin(folder, record)
    place = None if record is None else record.data
    with still_there(folder, RECORD), leading_on(folder, RECORD, data=place, voice=voice):
        record = record or read_record(folder)
        study = Study(folder, record)
        with waited_lock(folder / LOCK, WAIT / 10):
            study.fill()
        data = _open(record)
        _train_all(study, data, Told(watch, begins or {}))
        with waited_lock(folder / LOCK, WAIT / 10):
            return conclude(folder, study, data, watch)


def _begin(folder: Path, record: SweepRecord) -> SweepRecord:
    """Write `sweep.json`, or take what is there, where it is the same sweep."""
    names = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    if not (RECORD in names or all(name == LOCK or is_leftover(name) for name in names)):
        raise UserError(f"{folder}: not empty and no sweep; name a new folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    with waited_lock(folder / LOCK, WAIT / 10):
        if (folder / RECORD).exists():
            there = read_record(folder)
            together = joined(folder, there, record)
            if together == there:
                return there
            record = together
        write_record(folder, record)
    return record


def _open(record: SweepRecord) -> Dataset:
    """The pictures. Raises `UserError` where they are others than the sweep was begun with."""
    data = open_data(record.data, on_bad_file=record.on_bad_file, stale=True)
    if data.fingerprint() != record.fingerprint:
        raise UserError(f"{record.data}: other pictures than the sweep was begun with; put them back, or begin anew")
    return data


def _train_all(study: Study, data: Dataset, told: Told) -> None:
    """Train one trial after the other, until all have ended, those that other processes train, too."""
    waited = False
    while True:
        with study.claim() as trial:
            if trial is not None:
                train_trial(study, trial, data, told)
                continue
        with waited_lock(study.folder / LOCK, WAIT / 10):
            if study.propose():
                continue
        left = [one for one in study.trials() if one.state not in ENDED]
        if not left:
            return
        if not waited:
            say(f"waiting for {counted(len(left), 'trial')} that other processes train")
            waited = True
        time.sleep(WAIT)


def conclude(folder: Path, study: Study, data: Dataset, watch: Watch) -> Sweep:
    """Choose the winner, mark what it was chosen on, retrain it where that was asked for, and write the page."""
    from ..pages.sweep import write_sweep_report  # matplotlib: after the trials, not before the first

    best = mark_winner(folder, gather(folder, study.record, study.trials()))
    if study.record.retrain:
        retrain(folder, study.record, best, data, watch)
    done = finished_sweep(folder)
    write_sweep_report(done)
    return done


def finished_sweep(folder: Path) -> Sweep:
    """The finished sweep in `folder`, read from its files. Raises `UserError` where trials are left."""
    study = Study(folder, read_record(folder))
    trials = study.trials()
    left = [one for one in trials if one.state not in ENDED]
    if left or not (folder / FILE_NAME).exists():
        raise UserError(f"{folder}: this sweep is not finished; go on with: reslearn resume {folder}")
    tried = gather(folder, study.record, trials)
    again = finished_run(folder / RETRAINED) if study.record.retrain else None
    return Sweep(folder, study.record, tried, choose_winner(tried), study.importance(), again)
