"""The learning rate as a pure function of the step, so that nothing needs saving and a resume cannot change it."""

from __future__ import annotations

import math

from ..spec.recipe import Recipe


def learning_rate(recipe: Recipe, step: int, total: int) -> float:
    """Learning rate of optimiser step `step` (0-based) of `total`."""
    if recipe.schedule == "constant":
        return recipe.lr
    if recipe.schedule == "step":
        passed = sum(step >= round(milestone * total) for milestone in recipe.milestones)
        return recipe.lr * recipe.gamma**passed
    return _one_cycle(recipe, step, total)


def _one_cycle(recipe: Recipe, step: int, total: int) -> float:
    """Linear up to the peak, then a cosine down to `final_lr` (1708.07120, in its usual two-phase form)."""
    peak = recipe.warmup * total
    if step < peak:
        return recipe.lr * (step + 1) / math.ceil(peak)
    done = (step - peak) / max(total - peak, 1)
    return recipe.final_lr + (recipe.lr - recipe.final_lr) * 0.5 * (1 + math.cos(math.pi * done))
