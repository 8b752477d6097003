"""What a sweep has found: every trial with its runs, the winner, and how far it stands out from the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...runtime.container import FILE_NAME
from ...spec.errors import UserError
from ...train.fit import Run
from .record import SweepRecord
from .study import Trial, trial_folder
from .trial import in_words, run_folders, runs_of, validation


@dataclass(frozen=True)
class Spread:
    """The mean of a number over the runs of a trial, and its standard deviation; None of one run."""

    mean: float
    std: float | None = None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None)

    def percent(self) -> str:
        """`93.12 ± 0.40 %`, of a fraction."""
        spread = "" if self.std is None else f" ± {100 * self.std:.2f}"
        return f"{100 * self.mean:.2f}{spread} %"


@dataclass(frozen=True)
class Tried:
    """A trial that has ended, or not yet, with its finished runs. `top1` and `loss` are None unless it is done."""

    trial: Trial
    folders: tuple[Path, ...]
    runs: tuple[Run, ...]
    top1: Spread | None = None
    loss: Spread | None = None

    def to_json(self) -> dict[str, Any]:
        """Values as they are set, how it ended, its folders, and its scores on validation."""
        trial = self.trial
        return {
            "number": trial.number,
            "set": trial.values,
            "state": trial.state,
            "runs": [str(path) for path in self.folders],
            "top1": None if self.top1 is None else vars(self.top1),
            "loss": None if self.loss is None else vars(self.loss),
            "top1_error": trial.error,
            "provisional": list(trial.reported),
            "why": trial.why or None,
        }


@dataclass(frozen=True)
class Sweep:
    """A finished sweep."""

    path: Path
    record: SweepRecord
    tried: tuple[Tried, ...]
    best: Tried
    importance: Mapping[str, float]  # empty where it cannot be told
    retrained: Run | None = None

    def __fspath__(self) -> str:
        """Its folder, so that this goes wherever a model's path goes."""
        return str(self.path)

    def __repr__(self) -> str:
        best = f"best {in_words(self.best.trial.values)}"
        score = "" if self.best.top1 is None else f", {self.best.top1.percent()} of validation right"
        return f"Sweep({self.path}: {len(self.tried)} trials, {best}{score})"

    @property
    def model(self) -> Path:
        """The winner's network, or that which was retrained like it."""
        return self.path / FILE_NAME

    @property
    def compared(self) -> int:
        """Trials that the winner was chosen among, by their validation."""
        return compared(one.trial for one in self.tried)

    @property
    def seconds(self) -> float:
        """Of training, all finished runs together."""
        runs = [run for one in self.tried for run in one.runs] + ([self.retrained] if self.retrained else [])
        return sum(run.seconds for run in runs)

    @property
    def verdict(self) -> str:
        """How far the winner stands out, in words."""
        done = sorted((one for one in self.tried if one.top1 is not None), key=rank)
        best, others = self.best, [one for one in done if one is not self.best]
        if best.top1 is None or not others:
            return "One trial alone is done: there is nothing to compare it with."
        like = [one for one in others if not _apart(best, one)]
        if not like:
            rest = "the other" if len(others) == 1 else f"all {len(others)} others"
            return f"{in_words(best.trial.values)} is better than {rest}, beyond what chance makes."
        by = "their seeds make" if self.record.seeds > 1 else "so few pictures can tell"
        if len(others) == 1:
            which, one = "the other is", "it"
        else:
            some = f"{len(like)} of the" if len(like) < len(others) else "all"
            which = f"{some} {len(others)} others {'is' if len(like) == 1 else 'are'}"
            one = "it" if len(like) == 1 else "any of them"
        first = f"{in_words(best.trial.values)} came out first"
        return f"{first}; {which} no further from it than {by}, so {one} may be as good."

    def to_json(self) -> dict[str, Any]:
        """What `sweep --json` prints."""
        best = self.best
        return {
            "sweep": str(self.path),
            "model": str(self.model),
            "trials": [one.to_json() for one in self.tried],
            "best": best.to_json() | {"run": str(best.folders[0]), "val": best.runs[0].val},
            "compared": self.compared,
            "importance": dict(self.importance),
            "retrained": None if self.retrained is None else self.retrained.to_json(),
            "verdict": self.verdict,
            "seconds": self.seconds,
        }


def gather(folder: Path, record: SweepRecord, trials: Sequence[Trial]) -> tuple[Tried, ...]:
    """Every trial with what its runs say of themselves."""
    return tuple(_tried(folder, record, trial) for trial in trials)


def _tried(folder: Path, record: SweepRecord, trial: Trial) -> Tried:
    runs = tuple(runs_of(folder, trial, record.seeds))
    folders = tuple(path for path in run_folders(folder, trial.number, record.seeds) if path.exists())
    if trial.state != "done":
        return Tried(trial, folders, runs)
    if len(runs) < record.seeds:
        lost = trial_folder(folder, trial.number)
        raise UserError(f"{lost}: this trial is done, and its files are gone; put them back, or begin the sweep anew")
    scores = [validation(run) for run in runs]
    return Tried(trial, folders, runs, *(Spread.of([score[name] for score in scores]) for name in ("top1", "loss")))


def compared(trials: Any) -> int:
    """Of these, the trials that were validated and compared: those that are done, and those ended early for it."""
    return sum(trial.state in ("done", "pruned") for trial in trials)


def rank(one: Tried) -> tuple[float, float, int]:
    """What trials are ordered by: right answers, then the loss, then who came first."""
    top1 = -math.inf if one.top1 is None else one.top1.mean
    return -top1, math.inf if one.loss is None else one.loss.mean, one.trial.number


def _apart(best: Tried, other: Tried) -> bool:
    """Whether they differ by more than chance makes: of seeds where there are several, else of the pictures."""
    if best.top1 is None or other.top1 is None:
        return True
    if best.top1.std is not None and other.top1.std is not None:
        error = math.sqrt((best.top1.std**2 + other.top1.std**2) / len(best.runs))
        return best.top1.mean - other.top1.mean > 2 * error
    low, _ = validation(best.runs[0])["top1_interval"]
    return bool(other.top1.mean < low)
