"""The learning rate as a function of the step and of what the run has seen, so that a resume cannot change it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..spec.recipe import Recipe


@dataclass
class RateState:
    """What a rate may depend on besides the step; stored in every checkpoint."""

    holding: bool = False  # the papers' warm-up is still on
    drops: int = 0  # plateau: how often the rate fell
    best: float | None = None  # plateau: best validation error, percent
    best_epoch: float = 0.0  # when it was seen, or when the rate fell last


def learning_rate(recipe: Recipe, step: int, total: int, seen: RateState | None = None) -> float:
    """Learning rate of optimiser step `step` (0-based) of `total`."""
    seen = seen or RateState()
    peak = recipe.peak_lr
    if seen.holding and recipe.hold_lr is not None:
        return recipe.hold_lr
    rising = recipe.warmup * total
    if step < rising:
        return peak * (step + 1) / math.ceil(rising)
    if recipe.schedule == "step":
        return peak * recipe.gamma ** sum(step >= round(milestone * total) for milestone in recipe.milestones)
    if recipe.schedule == "plateau":
        return peak * recipe.gamma**seen.drops
    done = (step - rising) / max(total - rising, 1)
    if recipe.schedule == "linear":
        return peak + (recipe.final_lr - peak) * done
    if recipe.schedule in ("cosine", "one-cycle"):  # with a warm-up, a cosine is 1708.07120's one cycle
        return recipe.final_lr + (peak - recipe.final_lr) * 0.5 * (1 + math.cos(math.pi * done))
    return peak


def start(recipe: Recipe, depth: int) -> RateState:
    """What is known before the first step of a net of `depth` layers."""
    return RateState(holding=recipe.hold_lr is not None and depth >= recipe.hold_depth)


def after_step(recipe: Recipe, seen: RateState, step: int, error: float) -> None:
    """End the papers' warm-up once its steps are done or the running training error (percent) is low enough.

    P1 4.2: 0.01 until the training error is below 80 %, about 400 iterations. P2: the first 400 iterations.
    """
    low_enough = recipe.hold_error is not None and error < recipe.hold_error
    long_enough = recipe.hold_error is None and step >= recipe.hold_steps
    if seen.holding and (low_enough or long_enough):
        seen.holding = False


def after_validation(recipe: Recipe, seen: RateState, epoch: float, error: float) -> None:
    """Drop the rate of a plateau schedule when the validation error has not improved for `patience` epochs."""
    if seen.best is None or error < seen.best:
        seen.best, seen.best_epoch = error, epoch
    elif recipe.schedule == "plateau" and epoch - seen.best_epoch >= recipe.patience:
        seen.drops, seen.best_epoch = seen.drops + 1, epoch
