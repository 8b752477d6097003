"""What somebody who has seen many trainings would say: of a plan before its first step, of a run after its last.

Advice is a sentence that says what is amiss, by which numbers, and what to do. Rules are functions of plain values, so
each can be tried without training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset
from ..data.loaders import shards_of
from ..data.loading.sampling import unmixed
from ..measure.metrics import wilson_interval
from ..spec.net import Spec
from ..spec.recipe import Recipe
from ..spec.text import counted
from ..spec.voice import COMMAND, Voice
from ..train.schedule import learning_rate, start

FEW_STEPS = 200  # fewer teach a network from nothing little more than which class is the largest
CALM = 0.06  # rate of SGD with momentum at which few steps do no harm, for each 100 steps
FEW_A_CLASS = 100  # pictures, from nothing
GAP = 20.0  # points of error between training and validation that speak of learning by heart
ABSURD = 5.0  # times the loss of guessing; no working network is so sure and so wrong
APART = 0.1  # of the pictures of a window of shards that stand for classes rarer or more frequent elsewhere
FEW_TO_JUDGE = 20  # pictures of a fold; on fewer it fails to beat the largest class by chance
FEW_TO_SCORE = 30  # pictures, on which one is 3 points and more
FEW_TO_CALIBRATE = 30
SURELY = 3.84  # twice the gain in log-likelihood by which one fitted number is told from another: chi-square, 95 %
STUCK = 0.95  # share of pictures that get one and the same answer


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


@dataclass(frozen=True)
class Outcome:
    """What is known of a finished training. Errors are percent, None where they were not measured."""

    train_error: float | None
    val_error: float | None
    val_loss: float | None
    confusion: NDArray[np.int64] | None  # (C, C) on the split that was looked at: rows truth, columns answer
    classes: int
    from_weights: bool
    every: bool = False  # picture was scored, each by a network that had not seen it


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


def after(outcome: Outcome, voice: Voice = COMMAND) -> list[str]:
    """What a result is worth, and what to change, in the words of `voice`."""
    absurd = list(_absurd(outcome, voice))  # what few steps explain is no learning by heart
    nothing = [*absurd, *_no_better(outcome)]
    return [*nothing, *([] if absurd else _by_heart(outcome, voice)), *([] if nothing else _by_few(outcome, voice))]


def after_folds(whole: Outcome, folds: Sequence[Outcome], voice: Voice = COMMAND) -> list[str]:
    """The same of a cross-validation: of all pictures together, or else of single folds."""
    lines = after(replace(whole, every=True), voice)
    lost = [
        str(k)
        for k, fold in enumerate(folds, 1)
        if fold.confusion is not None
        and fold.confusion.sum() >= FEW_TO_JUDGE
        and [*_absurd(fold, voice), *_no_better(fold)]
    ]
    if lost and not [*_absurd(whole, voice), *_no_better(whole)]:
        lines.append(
            f"fold{'' if len(lost) == 1 else 's'} {', '.join(lost)} of {len(folds)}: no better there than always "
            f"naming one class, so the result hangs on luck; train longer, or with a lower rate ({voice.field('lr')})"
        )
    return lines


def calibrated(confusion: NDArray[np.int64], *, gain: float, temperature: float) -> list[str]:
    """What a temperature is worth that was fitted on these pictures, each of whose losses fell by `gain` nats by it."""
    count, wrong = int(confusion.sum()), int(confusion.sum() - np.trace(confusion))
    learned = list(_no_better(Outcome(None, None, None, confusion, len(confusion), from_weights=False)))
    if learned:
        return [f"{line}; a temperature cannot mend that" for line in learned]
    more = "fit it on more: a larger val, or other labelled pictures"
    if not wrong:
        return [
            f"{counted(count, 'picture')} and no mistake among them: nothing says how sure it may be, and the "
            f"temperature {temperature:.3g} makes it surer than it can know; {more}"
        ]
    if count < FEW_TO_CALIBRATE or 2 * count * gain < SURELY:
        return [
            f"{counted(count, 'picture')}, {wrong:,} of them wrong, do not tell the temperature {temperature:.3g} "
            f"from 1, which changes nothing: on other pictures it may do harm; {more}"
        ]
    return []


def _few_steps(plan: Ahead, voice: Voice) -> Iterator[str]:
    if plan.steps >= FEW_STEPS or plan.weights is not None:
        return
    pictures = len(plan.labels)
    epochs = math.ceil(FEW_STEPS * plan.recipe.batch_size / max(pictures, 1))
    smaller = max(plan.recipe.batch_size // 4, 8)
    field = voice.field("batch_size", smaller)
    other = f", or smaller batches ({field})" if smaller < plan.recipe.batch_size else ""
    yield (
        f"{counted(plan.steps, 'step')} in all: a network from nothing learns little in fewer than {FEW_STEPS}; "
        f"train longer ({voice.option('epochs', epochs)}){other}"
    )


def _rate(plan: Ahead, voice: Voice) -> Iterator[str]:
    """A peak that is reached in a few steps, and left in a few."""
    recipe, total = plan.recipe, plan.steps
    if recipe.optimizer not in ("sgd", "caffe-sgd") or plan.weights is not None:
        return
    seen = start(recipe, plan.depth)
    peak = max(learning_rate(recipe, step, total, seen) for step in range(min(total, 1000)))
    calm = CALM * max(total, 1) / 100
    if peak > max(calm, CALM):
        lower = float(f"{max(calm, CALM) * recipe.lr / recipe.peak_lr:.1g}")
        share = recipe.peak_lr / recipe.lr  # what the batch size makes of the recipe's rate
        at_batch = "" if math.isclose(share, 1) else f", which is {lower * share:.2g} in batches of {recipe.batch_size}"
        yield (
            f"a learning rate of {peak:.3g} is high for {counted(total, 'step')}: the loss may not come down from it; "
            f"train longer, or {voice.field('lr', lower)}{at_batch} "
            "(reslearn plan DATA --find-lr shows what it bears)"
        )


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
        f"the shards differ in their classes: {_count(min(window, count), 'shard')} that are shuffled together differ "
        f"from all {count} by {100 * apart:.0f} %, so each stretch of an epoch teaches other classes; write the shards "
        f"anew in an order that is drawn (reslearn data pack DATA --shards {count}), or widen the window: "
        f"{voice.field('augment.shard_window', min(wide, count))}"
    )


def _absurd(outcome: Outcome, voice: Voice) -> Iterator[str]:
    guessing = math.log(max(outcome.classes, 2))
    if outcome.val_loss is not None and not outcome.val_loss <= ABSURD * guessing:
        yield (
            f"a validation loss of {outcome.val_loss:.4g} is absurd, guessing costs {guessing:.2f}: the steps were too "
            "few or the rate too high for its batch norm to settle; train longer, or with a lower rate "
            f"({voice.field('lr')})"
        )


def _no_better(outcome: Outcome) -> Iterator[str]:
    """One answer for everything, or no better than the largest class."""
    if outcome.confusion is None or not outcome.confusion.sum():
        return
    count = int(outcome.confusion.sum())
    right = int(np.trace(outcome.confusion))
    largest = int(outcome.confusion.sum(axis=1).max())
    most = int(outcome.confusion.sum(axis=0).max())
    present = int((outcome.confusion.sum(axis=1) > 0).sum())
    if present > 1 and most >= STUCK * count:
        what = "every picture" if most == count else f"{most:,} of {counted(count, 'picture')}"
        yield f"it gives {what} one and the same answer: it has learned nothing yet; train longer, or check the labels"
    elif present > 1 and right <= largest:
        yield (
            f"{right:,} of {count:,} right is no better than always naming the largest class, which has {largest:,}: "
            "it has learned nothing that helps yet"
        )


def _by_heart(outcome: Outcome, voice: Voice) -> Iterator[str]:
    if outcome.train_error is None or outcome.val_error is None:
        return
    if outcome.val_error - outcome.train_error > GAP:
        remedy = f"more pictures or stronger augmentation ({voice.field('augment.policy', 'trivial')})"
        remedy += "" if outcome.from_weights else f", or start from trained weights ({voice.option('weights', 'FILE')})"
        yield (
            f"training pictures are {100 - outcome.train_error:.1f} % right, those of validation "
            f"{100 - outcome.val_error:.1f} %: it learns its pictures by heart; {remedy}"
        )


def _by_few(outcome: Outcome, voice: Voice) -> Iterator[str]:
    """A share of few pictures says little of others."""
    if outcome.confusion is None or not 0 < (count := int(outcome.confusion.sum())) < FEW_TO_SCORE:
        return
    right = int(np.trace(outcome.confusion))
    low, high = (100 * share for share in wilson_interval(right, count))
    more = "more pictures would tell" if outcome.every else f"{voice.call('crossval')} scores every picture"
    yield f"{right} of {count} right: of new pictures it may be anything from {low:.0f} to {high:.0f} % (95 %); {more}"


def outcome_of(
    epochs: Sequence[Mapping[str, Any]],
    val: Mapping[str, Any] | None,
    confusion: NDArray[np.int64] | None,
    *,
    classes: int,
    from_weights: bool,
) -> Outcome:
    """From the journal's `epoch` lines, the sealed validation score, and what a closer look at a split found."""
    train_error = epochs[-1].get("train_error") if epochs else None
    return Outcome(
        train_error=train_error,
        val_error=None if val is None else 100 * (1 - val["top1"]),
        val_loss=None if val is None or val["loss"] is None else float(val["loss"]),
        confusion=confusion,
        classes=classes,
        from_weights=from_weights,
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more classes"
