"""The trials of a sweep, in Optuna's journal storage: one file that many processes and machines append to.

Who trains a trial holds a lock on a file of its own, which the kernel drops at any death; whoever then runs the same
command takes the trial up where it is.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...runtime.files import Busy, exclusive_lock
from ...spec.errors import UserError
from ...spec.space import Axis, Choices, Point, Span
from .axes import as_number, points
from .journal import open_journal
from .record import SweepRecord

JOURNAL = "journal.log"
NAME = "sweep"  # of the one study in the journal
VALUES, WHY = "set", "why"  # what a trial is told besides: its values as they are set, and why it failed
State = Literal["waiting", "running", "done", "pruned", "failed"]
ENDED: tuple[State, ...] = ("done", "pruned", "failed")
BEFORE_PRUNING = 4  # trials that must be done, before any other is ended early


@dataclass(frozen=True)
class Trial:
    """One trial as it stands."""

    number: int  # from 1
    values: Point
    state: State
    error: float | None  # percent on validation, the mean over its runs; None until it is done
    reported: tuple[float, ...]  # percent at its first run's validations so far
    why: str = ""  # it failed


class Study:
    """The trials in `folder`, of the sweep that `record` says. Raises `UserError` where Optuna is not installed."""

    def __init__(self, folder: Path, record: SweepRecord) -> None:
        optuna = need_optuna()
        from optuna.storages import JournalStorage

        self.folder, self.record, self.axes = folder, record, record.axes()
        path = folder / JOURNAL
        try:
            self._journal = open_journal(path)
            storage = JournalStorage(self._journal)
        except OSError:
            raise
        except Exception as error:  # Optuna replays what the lines say, whatever that is
            raise UserError(f"{path}: damaged ({error}); put a copy of it back, or begin anew elsewhere") from None
        self._study: Any = optuna.create_study(
            storage=storage,
            study_name=NAME,
            direction="minimize",
            load_if_exists=True,
            sampler=optuna.samplers.TPESampler(seed=record.seed, constant_liar=True),
            pruner=_pruner(optuna, record.prune),
        )
        self._distributions = {axis.name: _distribution(optuna, axis) for axis in self.axes}

    def fill(self) -> None:
        """Write down all trials that the space tells beforehand. The caller holds the sweep's lock."""
        if self.record.sampler == "tpe":
            return
        there = {tuple(sorted(trial.values.items())) for trial in self.trials()}
        known = len(self.trials())
        wanted = points(self.axes, self.record.trials, self.record.seed)
        wanted = [one for one in wanted if tuple(sorted(one.items())) not in there]
        with self._journal.together():
            for point in wanted[: self.record.trials - known]:
                self._add(point)

    def _add(self, point: Point) -> None:
        from optuna.trial import TrialState, create_trial

        params = {axis.name: _param(axis, point[axis.name]) for axis in self.axes}
        self._study.add_trial(
            create_trial(
                state=TrialState.WAITING,
                params=params,
                distributions=self._distributions,
                user_attrs={VALUES: point},
            )
        )

    def propose(self) -> bool:
        """Write down one more trial, as Optuna proposes after those that have ended; whether there was one to come.

        The caller holds the lock.
        """
        if self.record.sampler != "tpe" or len(self.trials()) >= self.record.trials:
            return False
        trial = self._study.ask(self._distributions)
        self._storage.set_trial_user_attr(
            trial._trial_id, VALUES, {a.name: _text(trial.params[a.name]) for a in self.axes}
        )
        return True

    def trials(self) -> list[Trial]:
        """All of them, by number; one that was killed before its values were written down is none."""
        return [_read(one) for one in self._study.get_trials(deepcopy=False) if VALUES in one.user_attrs]

    @contextlib.contextmanager
    def claim(self) -> Iterator[Trial | None]:
        """The first trial that nobody trains, held for the block; None where there is none."""
        with contextlib.ExitStack() as stack:
            yield next((one for one in self.trials() if one.state not in ENDED and self._take(one, stack)), None)

    def _take(self, trial: Trial, stack: contextlib.ExitStack) -> bool:
        try:
            stack.enter_context(exclusive_lock(trial_folder(self.folder, trial.number).with_suffix(".lock")))
        except Busy:
            return False
        now = next(one for one in self.trials() if one.number == trial.number)
        if now.state in ENDED:  # it came to its end between our reading and our locking
            stack.close()
            return False
        if now.state == "waiting":
            self._set(trial.number, "RUNNING")
        return True

    def report(self, trial: Trial, at: int, error: float) -> bool:
        """Note the error at the trial's validation of this number; whether that is reason to end it.

        What was noted before the trial was killed is not noted again.
        """
        name = self._id(trial.number)
        if at in self._storage.get_trial(name).intermediate_values:
            return False
        self._storage.set_trial_intermediate_value(name, at, error)
        return bool(self._study.pruner.prune(self._study, self._storage.get_trial(name)))

    def finish(self, trial: Trial, error: float) -> None:
        """The trial is done, with this error."""
        self._set(trial.number, "COMPLETE", [error])

    def prune(self, trial: Trial) -> None:
        """The trial was ended early."""
        self._set(trial.number, "PRUNED")

    def fail(self, trial: Trial, why: str) -> None:
        """The trial has no result, for a reason that lies in its values."""
        self._storage.set_trial_user_attr(self._id(trial.number), WHY, why)
        self._set(trial.number, "FAIL")

    def importance(self) -> dict[str, float]:
        """How much of the differences between trials each field accounts for (fANOVA), summing to 1, largest first.

        Empty where there are too few trials to tell, or all ended alike.
        """
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances
        from optuna.trial import TrialState

        done = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(done) < 4 or len({trial.value for trial in done}) < 2:
            return {}
        found = get_param_importances(self._study, evaluator=FanovaImportanceEvaluator(seed=self.record.seed))
        return {name: float(share) for name, share in found.items()}

    @property
    def _storage(self) -> Any:
        return self._study._storage

    def _id(self, number: int) -> int:
        found: int = self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number - 1)
        return found

    def _set(self, number: int, state: str, values: list[float] | None = None) -> None:
        from optuna.trial import TrialState

        self._storage.set_trial_state_values(self._id(number), state=TrialState[state], values=values)


def trial_folder(folder: Path, number: int) -> Path:
    """Where the runs of a trial lie."""
    return folder / f"trial-{number:03d}"


def need_optuna() -> Any:
    """The package. Raises `UserError` where it is not installed."""
    try:
        with warnings.catch_warnings():  # in a notebook, of a progress bar that is not there
            warnings.simplefilter("ignore")
            import optuna
    except ImportError:
        raise UserError("sweep needs Optuna, which is not installed; run: pip install optuna") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # what it tells of each trial, a line of ours tells
    return optuna


def _pruner(optuna: Any, prune: bool) -> Any:
    """Ends a trial whose least error so far is above the median of what the others had then; never at the first."""
    if not prune:
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(n_startup_trials=BEFORE_PRUNING, n_warmup_steps=2)


def _distribution(optuna: Any, axis: Axis) -> Any:
    kinds = optuna.distributions
    if isinstance(axis, Choices):
        return kinds.CategoricalDistribution(axis.texts)
    if axis.whole:
        return kinds.IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return kinds.FloatDistribution(axis.low, axis.high, log=axis.log)


def _param(axis: Axis, text: str) -> str | float | int:
    """A text as Optuna's distribution of the axis holds it."""
    if isinstance(axis, Span):
        return int(text) if axis.whole else float(as_number(text) or 0.0)
    return text


def _text(param: object) -> str:
    return repr(param) if isinstance(param, float) else str(param)


def _read(found: Any) -> Trial:
    states: Mapping[str, State] = {"WAITING": "waiting", "RUNNING": "running", "COMPLETE": "done", "PRUNED": "pruned"}
    return Trial(
        number=found.number + 1,
        values=dict(found.user_attrs.get(VALUES, {})),
        state=states.get(found.state.name, "failed"),
        error=found.value if found.state.name == "COMPLETE" else None,
        reported=tuple(value for _, value in sorted(found.intermediate_values.items())),
        why=str(found.user_attrs.get(WHY, "")),
    )
