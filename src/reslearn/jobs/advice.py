"""What somebody who has seen many trainings would say of a plan before its first step (`worth`: of its result).

Advice is a sentence that says what is amiss, by which numbers, and what to do. Rules are functions of plain values, so
each can be tried without training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..data.loaders import shards_of
from ..data.loading.sampling import unmixed
from ..spec.net import Spec
from ..spec.rates import for_batch, to_set
from ..spec.recipe import Recipe
from ..spec.text import counted
from ..spec.voice import COMMAND, Voice
from ..train.schedule import learning_rate, start
from .choosing import SMALLEST_BATCH
from .worth import FEW_TO_SCORE

FEW_STEPS = 200  # fewer teach a network from nothing little more than which class is the largest
CALM = 0.06  # rate of SGD with momentum at which few steps do no harm, for each 100 steps
FEW_A_CLASS = 100  # pictures, from nothing
APART = 0.1  # of the pictures of a window of shards that stand for classes rarer or more frequent elsewhere


@dataclass(frozen=True)
class Ahead:
    """What is known of a training before its first step."""

    recipe: Recipe
    steps: int
    labels: NDArray[np.int64]  # of the pictures to train on
    classes: tuple[str, ...]
    validated: int | None  # pictures to validate on; None in a cross-validation, which scores every one
    weights: str | None
    depth: int = 0
    shards: NDArray[np.int64] | None = None  # in which each picture lies, where the recipe walks through them


def ahead(recipe: Recipe, train: Dataset, validated: int | None, *, weights: str | None, spec: Spec) -> Ahead:
    """What is known of a training on these pictures, of which so many `validated` ones are no part (`Ahead`)."""
    return Ahead(
        recipe=recipe,
        steps=recipe.total_steps(len(train)),
        labels=np.asarray(train.labels),
        classes=train.classes,
        validated=validated,
        weights=weights,
        depth=spec.depth,
        shards=shards_of(train) if recipe.augment.sampler == "shards" else None,
    )


def before(plan: Ahead, voice: Voice = COMMAND) -> list[str]:
    """What speaks against a plan, and what to change, in the words of `voice`."""
    return [
        *_few_steps(plan, voice),
        *_rate(plan, voice),
        *_few_pictures(plan, voice),
        *_validation(plan, voice),
        *_singles(plan),
        *_unmixed(plan, voice),
    ]


def _few_steps(plan: Ahead, voice: Voice) -> Iterator[str]:
    if plan.steps >= FEW_STEPS or plan.weights is not None:
        return
    recipe, smaller = plan.recipe, _smaller_batch(plan)
    if recipe.iterations is not None:
        longer = voice.field("iterations", FEW_STEPS)
    elif recipe.images is not None:
        longer = voice.field("images", FEW_STEPS * recipe.batch_size)
    else:
        longer = voice.option("epochs", math.ceil(FEW_STEPS * recipe.batch_size / max(len(plan.labels), 1)))
    other = ""
    if smaller is not None:  # the rate is named, too: of a recipe that was named it does not go with the batch
        lr = {} if recipe.lr_batch else {"lr": for_batch(recipe, smaller)}
        other = f", or in smaller batches ({voice.fields(batch_size=smaller, **lr)})"
    yield (
        f"{counted(plan.steps, 'step')} in all: a network from nothing learns little in fewer than {FEW_STEPS}; "
        f"train longer ({longer}){other}"
    )


def _smaller_batch(plan: Ahead) -> int | None:
    """The largest batch, a power of two, in which the same pictures make steps enough; None where none would do."""
    recipe = plan.recipe
    if recipe.iterations is not None:
        return None
    most = min(recipe.images or (recipe.epochs or 0) * len(plan.labels), recipe.batch_size * plan.steps) / FEW_STEPS
    most = min(most, len(plan.labels) / 4, recipe.batch_size - 1)
    found = 1 << int(most).bit_length() - 1 if most >= SMALLEST_BATCH else 0
    return found if found and found % recipe.accumulate == 0 else None


def _rate(plan: Ahead, voice: Voice) -> Iterator[str]:
    """A peak that is reached in a few steps, and left in a few."""
    recipe, total = plan.recipe, plan.steps
    if recipe.optimizer not in ("sgd", "caffe-sgd") or plan.weights is not None:
        return
    seen = start(recipe, plan.depth)
    peak = max(learning_rate(recipe, step, total, seen) for step in range(min(total, 1000)))
    calm = CALM * max(total, 1) / 100
    if peak > max(calm, CALM) * (1 + 1e-9):  # what is advised below must pass, too
        lower = _below(max(calm, CALM) * recipe.lr / recipe.peak_lr)
        comes_to = to_set(lower, recipe.batch_size, recipe.lr_batch)
        yield (
            f"a learning rate of {peak:.3g} is high for {counted(total, 'step')}: the loss may not come down from it; "
            f"train longer, or {voice.field('lr', lower)}{comes_to} "
            f"({'reslearn.find_lr(data)' if voice.python else 'reslearn plan DATA --find-lr'} shows what it bears)"
        )


def _below(rate: float) -> float:
    """The next number with one digit that is not above it."""
    unit = 10.0 ** math.floor(math.log10(rate))
    return float(f"{math.floor(rate / unit * (1 + 1e-9)) * unit:.1g}")


def _few_pictures(plan: Ahead, voice: Voice) -> Iterator[str]:
    if plan.weights is not None:
        return
    each = len(plan.labels) / max(len(plan.classes), 1)
    if each < FEW_A_CLASS:
        few = "1 picture a class is" if round(each) == 1 else f"{each:.0f} pictures a class are"
        yield (
            f"{few} few to learn from nothing; start from trained weights: "
            f"{voice.option('weights', 'default')}, or {voice.option('weights', 'FILE')}"
            f"{', ' if voice.python else ' '}{voice.option('model', 'NETWORK')} (recipe finetune)"
        )


def _validation(plan: Ahead, voice: Voice) -> Iterator[str]:
    if plan.validated is None:
        return
    if not plan.validated:
        yield (
            "nothing is validated, so nothing tells how it does on new pictures; hold some out "
            f"({voice.option('val_fraction', 0.2)}), or use {voice.call('crossval')}"
        )
    elif plan.validated < FEW_TO_SCORE:
        yield (
            f"{counted(plan.validated, 'picture')} to validate on: one more right is {100 / plan.validated:.0f} "
            f"points; {voice.call('crossval')} scores every picture"
        )


def _singles(plan: Ahead) -> Iterator[str]:
    counts = np.bincount(plan.labels, minlength=len(plan.classes))
    single = [name for name, count in zip(plan.classes, counts, strict=True) if count == 1]
    if single:
        yield (
            f"one picture to learn from in {_listed(single)}: that cannot teach a class; add pictures, or leave "
            f"{'it' if len(single) == 1 else 'them'} out"
        )


def _unmixed(plan: Ahead, voice: Voice) -> Iterator[str]:
    """Shards of another's making may hold a class each; a window of them then teaches these, and the next others."""
    if plan.shards is None:
        return
    window, count = plan.recipe.augment.shard_window, len(np.unique(plan.shards))
    apart = unmixed(plan.labels, plan.shards, window)
    if apart < APART:
        return
    wide = window
    while wide < count and unmixed(plan.labels, plan.shards, wide) >= APART:
        wide *= 2
    yield (
        f"the shards differ in their classes: {counted(min(window, count), 'shard')} that are shuffled together differ "
        f"from all {count} by {100 * apart:.0f} %, so each stretch of an epoch teaches other classes; write the shards "
        f"anew in an order that is drawn (reslearn data pack DATA --shards {count}), or widen the window: "
        f"{voice.field('augment.shard_window', min(wide, count))}"
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more classes"
