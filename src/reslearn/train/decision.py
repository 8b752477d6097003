"""What a validation decides: a drop of the rate, a new best, an early end. One process decides, all are told."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from ..spec.recipe import Recipe
from ..train import schedule
from .checkpoint import Progress
from .schedule import RateState


@dataclass(frozen=True)
class Decision:
    """What follows from one validation, for every process alike."""

    loss: float
    error: float  # percent
    seen: RateState  # what the rate depends on from now on
    improved: bool  # the least error, or loss, so far
    stop: bool  # training ends here


def decide(recipe: Recipe, progress: Progress, *, epoch: float, loss: float, error: float) -> Decision:
    """What loss and error (percent) at `epoch` mean for a run that has come as far as `progress`; changes nothing."""
    seen = copy.copy(progress.seen)
    schedule.after_validation(recipe, seen, epoch, error)
    best, now = (progress.best_loss, loss) if recipe.best_by == "loss" else (progress.best_error, error)
    improved = best is None or now < best
    waited = epoch - (progress.best_epoch or 0)
    stop = not improved and recipe.early_stop is not None and waited >= recipe.early_stop
    return Decision(loss, error, seen, improved, stop)


def obey(progress: Progress, decision: Decision, epoch: float) -> None:
    """Enter a decision into `progress`."""
    progress.seen = decision.seen
    progress.stopped_early = decision.stop
    if decision.improved:
        progress.best_error, progress.best_loss, progress.best_epoch = decision.error, decision.loss, epoch
