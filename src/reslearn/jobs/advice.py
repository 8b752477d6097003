"""What somebody who has seen many trainings would say: of a plan before its first step, of a run after its last.

Advice is a sentence that says what is amiss, by which numbers, and what to do. Rules are functions of plain values, so
each can be tried without training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spec.recipe import Recipe
from ..train.schedule import learning_rate, start

FEW_STEPS = 200  # fewer teach a network from nothing little more than which class is the largest
CALM = 0.06  # rate of SGD with momentum at which few steps do no harm, for each 100 steps
FEW_A_CLASS = 100  # pictures, from nothing
GAP = 20.0  # points of error between training and validation that speak of learning by heart
ABSURD = 5.0  # times the loss of guessing; no working network is so sure and so wrong
STUCK = 0.95  # share of pictures that get one and the same answer


@dataclass(frozen=True)
class Ahead:
    """What is known of a training before its first step."""

    recipe: Recipe
    steps: int
    labels: NDArray[np.int64]  # of the pictures to train on
    classes: tuple[str, ...]
    validated: int  # pictures to validate on
    weights: str | None
    depth: int = 0


@dataclass(frozen=True)
class Outcome:
    """What is known of a finished training. Errors are percent, None where they were not measured."""

    train_error: float | None
    val_error: float | None
    val_loss: float | None
    confusion: NDArray[np.int64] | None  # (C, C) on the split that was looked at: rows truth, columns answer
    classes: int
    from_weights: bool


def before(ahead: Ahead) -> list[str]:
    """What speaks against a plan."""
    return [*_few_steps(ahead), *_rate(ahead), *_few_pictures(ahead), *_validation(ahead), *_singles(ahead)]


def after(outcome: Outcome) -> list[str]:
    """What a result is worth."""
    absurd = list(_absurd(outcome))  # what few steps explain is no learning by heart
    return [*absurd, *_no_better(outcome), *([] if absurd else _by_heart(outcome))]


def _few_steps(ahead: Ahead) -> Iterator[str]:
    if ahead.steps >= FEW_STEPS or ahead.weights is not None:
        return
    pictures = len(ahead.labels)
    epochs = math.ceil(FEW_STEPS * ahead.recipe.batch_size / max(pictures, 1))
    smaller = max(ahead.recipe.batch_size // 4, 8)
    other = f", or smaller batches (--set batch_size={smaller})" if smaller < ahead.recipe.batch_size else ""
    yield (
        f"{_count(ahead.steps, 'step')} in all: a network from nothing learns little in fewer than {FEW_STEPS}; "
        f"train longer (--epochs {epochs}){other}"
    )


def _rate(ahead: Ahead) -> Iterator[str]:
    """A peak that is reached in a few steps, and left in a few."""
    recipe, total = ahead.recipe, ahead.steps
    if recipe.optimizer not in ("sgd", "caffe-sgd") or ahead.weights is not None:
        return
    seen = start(recipe, ahead.depth)
    peak = max(learning_rate(recipe, step, total, seen) for step in range(min(total, 1000)))
    calm = CALM * max(total, 1) / 100
    if peak > max(calm, CALM):
        lower = float(f"{max(calm, CALM) * recipe.lr / recipe.peak_lr:.1g}")
        yield (
            f"a learning rate of {peak:.3g} is high for {_count(total, 'step')}: the loss may not come down from it; "
            f"train longer, or --set lr={lower:g} (reslearn plan DATA --find-lr shows what it bears)"
        )


def _few_pictures(ahead: Ahead) -> Iterator[str]:
    if ahead.weights is not None:
        return
    each = len(ahead.labels) / max(len(ahead.classes), 1)
    if each < FEW_A_CLASS:
        yield (
            f"{each:.0f} pictures a class are few to learn from nothing; start from trained weights: "
            "--weights default, or --weights FILE --model NETWORK (recipe finetune)"
        )


def _validation(ahead: Ahead) -> Iterator[str]:
    if not ahead.validated:
        yield (
            "nothing is validated, so nothing tells how it does on new pictures; hold some out (--val-fraction 0.2), "
            "or use reslearn crossval"
        )
    elif ahead.validated < 30:
        yield (
            f"{_count(ahead.validated, 'picture')} to validate on: one more right is {100 / ahead.validated:.0f} "
            "points; reslearn crossval scores every picture"
        )


def _singles(ahead: Ahead) -> Iterator[str]:
    counts = np.bincount(ahead.labels, minlength=len(ahead.classes))
    single = [name for name, count in zip(ahead.classes, counts, strict=True) if count == 1]
    if single:
        yield (
            f"one picture to learn from in {_listed(single)}: that cannot teach a class; add pictures, or leave "
            f"{'it' if len(single) == 1 else 'them'} out"
        )


def _absurd(outcome: Outcome) -> Iterator[str]:
    guessing = math.log(max(outcome.classes, 2))
    if outcome.val_loss is not None and not outcome.val_loss <= ABSURD * guessing:
        yield (
            f"a validation loss of {outcome.val_loss:.4g} is absurd, guessing costs {guessing:.2f}: the steps were too "
            "few or the rate too high for its batch norm to settle; train longer, or with a lower --set lr="
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
        what = "every picture" if most == count else f"{most:,} of {count:,} pictures"
        yield f"it gives {what} one and the same answer: it has learned nothing yet; train longer, or check the labels"
    elif present > 1 and right <= largest:
        yield (
            f"{right:,} of {count:,} right is no better than always naming the largest class, which has {largest:,}: "
            "it has learned nothing that helps yet"
        )


def _by_heart(outcome: Outcome) -> Iterator[str]:
    if outcome.train_error is None or outcome.val_error is None:
        return
    if outcome.val_error - outcome.train_error > GAP:
        remedy = "more pictures or stronger augmentation (--set augment.policy=trivial)"
        remedy += "" if outcome.from_weights else ", or start from trained weights (--weights FILE)"
        yield (
            f"training pictures are {100 - outcome.train_error:.1f} % right, those of validation "
            f"{100 - outcome.val_error:.1f} %: it learns its pictures by heart; {remedy}"
        )


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


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more classes"
