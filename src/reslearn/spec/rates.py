"""A learning rate in words: as a recipe has it, and as steps are taken with it where `lr_batch` makes these two.

What `--set lr=` takes is the recipe's `lr`. Without `lr_batch` that is the rate at the peak; with it, the peak is
`lr` x batch_size / lr_batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .recipe import Recipe
from .recipes import RECIPES
from .rule import is_number


def rate_words(lr: float, batch_size: int, lr_batch: int | None) -> str:
    """`0.05`, or where its batch makes another rate of it, `0.4 at 128, so 0.05 at batches of 16`."""
    if lr_batch in (None, batch_size):
        return f"{lr:g}"
    return f"{lr:g} at {lr_batch}, so {lr * batch_size / lr_batch:.4g} at batches of {batch_size}"


def rate_of(recipe: Mapping[str, Any]) -> str:
    """`rate_words` of a recipe as a record holds it; the bare value where it holds no more than that, or `None`."""
    lr, batch_size, lr_batch = (recipe.get(name) for name in ("lr", "batch_size", "lr_batch"))
    if not (is_number(lr) and is_number(batch_size, whole=True)):
        return str(lr)
    return rate_words(lr, int(batch_size), int(lr_batch) if is_number(lr_batch) and lr_batch >= 1 else None)


def to_set(lr: float, batch_size: int, lr_batch: int | None) -> str:
    """What follows a value that `lr` is advised to be set to: nothing, or in brackets what it comes to."""
    return "" if lr_batch in (None, batch_size) else f" ({rate_words(lr, batch_size, lr_batch)})"


def for_batch(recipe: Recipe, batch_size: int) -> float:
    """The `lr` that goes with another batch (1706.02677): in proportion, unless `lr_batch` sees to it already."""
    return recipe.lr if recipe.lr_batch else float(f"{recipe.lr * batch_size / recipe.batch_size:.6g}")


def gentler(recipe: Recipe) -> float:
    """The `lr` to try where this one broke: a quarter, and at most the rate of the recipe as it is published.

    Of a batch smaller than the published one, at most that rate in proportion.
    """
    known = RECIPES.get(recipe.name) or Recipe(name="any", source="defaults", epochs=1)
    most = known.peak_lr * min(recipe.batch_size / known.batch_size, 1)
    share = recipe.batch_size / (recipe.lr_batch or recipe.batch_size)
    return min(recipe.lr / 4, most / share)
