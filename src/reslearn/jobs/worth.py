"""What a result is worth: of a training, a cross-validation, a temperature. Sentences, as in `advice`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..measure.calibration import FITTED
from ..measure.metrics import wilson_interval
from ..spec.text import counted
from ..spec.voice import COMMAND, Voice

GAP = 20.0  # points of error between training and validation that speak of learning by heart
ABSURD = 5.0  # times the loss of guessing; no working network is so sure and so wrong
FEW_TO_JUDGE = 20  # pictures of a fold; on fewer it fails to beat the largest class by chance
FEW_TO_SCORE = 30  # pictures, on which one is 3 points and more
FEW_TO_CALIBRATE = 30
SURELY = 3.84  # twice the gain in log-likelihood by which one fitted number is told from another: chi-square, 95 %
STUCK = 0.95  # share of pictures that get one and the same answer


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


def calibrated(confusion: NDArray[np.int64], *, gain: float, temperature: float | None) -> list[str]:
    """What a temperature is worth that was fitted on these pictures, each of whose losses fell by `gain` nats by it.

    None is one that could not be fitted.
    """
    count, wrong = int(confusion.sum()), int(confusion.sum() - np.trace(confusion))
    learned = list(_no_better(Outcome(None, None, None, confusion, len(confusion), from_weights=False)))
    if learned:
        return [f"{line}; a temperature cannot mend that" for line in learned]
    more = "fit it on more: a larger val, or other labelled pictures"
    if temperature is None and not wrong:
        known = wilson_interval(count, count)[0]
        return [
            f"{counted(count, 'picture')} and no mistake among them: any lower temperature would fit them better, so "
            f"none is fitted; of new pictures {100 * known:.1f} % or more are right, says that many (95 %); {more}"
        ]
    if temperature is None:
        within = f"{FITTED[0]:g}..{FITTED[1]:g}"
        return [
            f"{counted(count, 'picture')}, {wrong:,} of them wrong, have no best temperature in {within}, so none is "
            f"fitted; {more}"
        ]
    if count < FEW_TO_CALIBRATE or 2 * count * gain < SURELY:
        return [
            f"{counted(count, 'picture')}, {wrong:,} of them wrong, do not tell the temperature {temperature:.3g} "
            f"from 1, which changes nothing: on other pictures it may do harm; {more}"
        ]
    return []


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
