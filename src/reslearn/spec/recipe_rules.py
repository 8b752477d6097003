"""What no training can be: each field with the values that would do, as a table; then what fields say together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .errors import UserError, check_choice

if TYPE_CHECKING:
    from .recipe import Augment, Recipe

Rule = tuple[Callable[[Any], bool], str]  # what holds for a right value, and how a person says it

# Every comparison is false for NaN, and those without an upper bound name infinity: neither passes anywhere.
POSITIVE: Rule = (lambda v: 0 < v < math.inf, "positive")
NOT_NEGATIVE: Rule = (lambda v: 0 <= v < math.inf, "0 or more")
COUNT: Rule = (lambda v: 1 <= v < math.inf, "at least 1")
PAIR: Rule = (lambda v: 2 <= v < math.inf, "at least 2")
SHARE: Rule = (lambda v: 0 <= v <= 1, "in [0, 1]")
BELOW_ONE: Rule = (lambda v: 0 <= v < 1, "in [0, 1)")
INSIDE: Rule = (lambda v: 0 < v < 1, "in (0, 1)")
DECAY: Rule = (lambda v: 0 < v <= 1, "in (0, 1]")
PERCENT: Rule = (lambda v: 0 < v <= 100, "a percentage in (0, 100]")
MAGNITUDE: Rule = (lambda v: 0 <= v <= 30, "in 0..30")
RISING_INSIDE: Rule = (lambda v: all(0 < x < 1 for x in v) and _rising(v), "rising fractions of the budget in (0, 1)")
RISING: Rule = (lambda v: all(0 <= x <= 1 for x in v) and _rising(v), "rising fractions of the budget in [0, 1]")
BETAS: Rule = (lambda v: all(0 <= x < 1 for x in v), "two numbers in [0, 1)")
AREA: Rule = (lambda v: 0 < v[0] <= v[1] <= 1, "low, high with 0 < low <= high <= 1")
RANGE: Rule = (lambda v: 0 < v[0] <= v[1] < math.inf, "low, high with 0 < low <= high")

RECIPE: dict[str, Rule] = {
    "epochs": POSITIVE,
    "iterations": POSITIVE,
    "images": POSITIVE,
    "batch_size": COUNT,
    "accumulate": COUNT,
    "early_stop": POSITIVE,
    "lr": POSITIVE,
    "lr_batch": COUNT,
    "momentum": BELOW_ONE,
    "betas": BETAS,
    "weight_decay": NOT_NEGATIVE,
    "clip_norm": POSITIVE,
    "ema_decay": INSIDE,
    "unfreeze": RISING,
    "layer_decay": DECAY,
    "freeze_bn_below": COUNT,
    "milestones": RISING_INSIDE,
    "gamma": POSITIVE,
    "patience": POSITIVE,
    "warmup": BELOW_ONE,
    "final_lr": NOT_NEGATIVE,
    "hold_lr": POSITIVE,
    "hold_steps": NOT_NEGATIVE,
    "hold_error": PERCENT,
    "hold_depth": NOT_NEGATIVE,
    "label_smoothing": BELOW_ONE,
    "image_size": COUNT,
    "small_size": COUNT,
    "small_part": SHARE,
    "bn_batch": PAIR,
    "validate_every": POSITIVE,
    "checkpoint_every": POSITIVE,
}
AUGMENT: dict[str, Rule] = {
    "pad": NOT_NEGATIVE,
    "area": AREA,
    "ratio": RANGE,
    "scale": RANGE,
    "policy_ops": COUNT,
    "policy_magnitude": MAGNITUDE,
    "jitter": SHARE,
    "pca": NOT_NEGATIVE,
    "erase": SHARE,
    "mixup": NOT_NEGATIVE,
    "cutmix": NOT_NEGATIVE,
    "repeats": COUNT,
}
RECIPE_CHOICES = {
    "optimizer": ("sgd", "caffe-sgd", "adamw", "muon"),
    "decay": ("all", "weights"),
    "schedule": ("step", "plateau", "cosine", "one-cycle", "linear", "constant"),
    "class_weights": ("none", "balanced"),
    "input_mean": ("channel", "pixel"),
    "bn_statistics": ("moving", "exact"),
    "select": ("last", "best", "ema"),
}
AUGMENT_CHOICES = {
    "crop": ("none", "pad", "random-resized", "scale"),
    "border": ("zero", "reflect"),
    "resize": ("antialias", "aliased"),
    "flip": ("none", "random", "alternating"),
    "policy": ("none", "rand", "trivial"),
    "sampler": ("shuffle", "balanced"),
}


def validate_recipe(recipe: Recipe) -> None:
    """Raise `UserError` naming the field and what it must be when no training can follow `recipe`."""
    if sum(budget is not None for budget in (recipe.epochs, recipe.iterations, recipe.images)) != 1:
        raise UserError(f"recipe {recipe.name}: give exactly one of epochs, iterations, images")
    _check(recipe, RECIPE, RECIPE_CHOICES)
    if recipe.batch_size % recipe.accumulate:
        raise UserError(f"batch_size is {recipe.batch_size}; it must be a multiple of accumulate ({recipe.accumulate})")
    if recipe.select == "ema" and recipe.ema_decay is None:
        raise UserError("select is 'ema'; it needs ema_decay, e.g. 0.999")
    if recipe.fixed_norm and recipe.optimizer != "muon":
        raise UserError(f"fixed_norm is true; {recipe.optimizer} does not have it: use false, or optimizer=muon")
    if recipe.bn_batch is not None and recipe.bn_sync:
        raise UserError("bn_batch and bn_sync exclude each other; set one of them")


def validate_augment(augment: Augment) -> None:
    """Raise `UserError` naming the field, as `augment.field`, and what it must be."""
    _check(augment, AUGMENT, AUGMENT_CHOICES, "augment.")


def _check(value: object, rules: Mapping[str, Rule], choices: Mapping[str, tuple[str, ...]], prefix: str = "") -> None:
    for name, valid in choices.items():
        check_choice(prefix + name, getattr(value, name), valid)
    for name, (holds, words) in rules.items():
        given = getattr(value, name)
        if given is not None and not holds(given):
            raise UserError(f"{prefix}{name} is {_plain(given)}; it must be {words}")


def _rising(values: tuple[float, ...]) -> bool:
    return all(a < b for a, b in pairwise(values))


def _plain(value: object) -> str:
    """A tuple as it is typed, `0.5,0.75`."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
