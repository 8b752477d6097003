"""Several networks' predictions as one: averaging, choosing members on validation, and the gain with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..engine.scorer import Logits
from ..spec.choices import Combine
from ..spec.errors import UserError
from ..spec.rule import is_number
from .comparison import bootstrap_difference
from .metrics import correct, log_softmax, loss


@dataclass(frozen=True)
class Gain:
    """How much better an ensemble is than one of its members, in accuracy (0..1), with a 95 % interval."""

    top1: float
    interval: tuple[float, float]
    best: int  # which member it is compared with


def check_weights(weights: Sequence[float]) -> None:
    """Raise `UserError` unless the weights are finite, at least 0, and one of them more."""
    numbers = all(is_number(weight) and math.isfinite(weight) and weight >= 0 for weight in weights)
    if not numbers or not 0 < sum(weights) < math.inf:
        shown = ",".join(f"{weight:g}" if is_number(weight) else repr(weight) for weight in weights)
        raise UserError(f"weights are {shown}; they must be finite numbers of at least 0, and one of them more")


def combine_members(scores: Sequence[Logits], weights: Sequence[float], combine: Combine) -> NDArray[np.float64]:
    """(N, C) weighted mean of logits, or log of the weighted mean probability. Weights need not sum to one."""
    if len(scores) != len(weights) or not scores:
        raise UserError(f"{len(weights)} weights for {len(scores)} members")
    check_weights(weights)
    total = np.zeros(scores[0].shape)
    for part, weight in zip(scores, weights, strict=True):
        if weight > 0:
            total += (
                weight / sum(weights) * (np.asarray(part, float) if combine == "logits" else np.exp(log_softmax(part)))
            )
    with np.errstate(divide="ignore"):
        return total if combine == "logits" else np.log(total)


def select_greedily(scores: Sequence[Logits], labels: NDArray[np.int64], combine: Combine) -> list[int]:
    """How often each member is taken (0: left out), chosen one at a time to make the loss least.

    Forward selection with replacement (Caruana et al., ICML 2004): the counts are the weights. Stops when no further
    member lowers the loss, or after ten rounds per member.
    """
    counts = [0] * len(scores)
    least = np.inf
    for _ in range(10 * len(scores)):
        trials = []
        for i in range(len(scores)):
            weights = [count + (i == j) for j, count in enumerate(counts)]
            trials.append(loss(combine_members(scores, weights, combine), labels))
        best = int(np.argmin(trials))
        if not trials[best] < least - 1e-12:
            break
        least = trials[best]
        counts[best] += 1
    return counts


def gain_over(ensemble: NDArray[np.float64], scores: Sequence[Logits], labels: NDArray[np.int64], best: int) -> Gain:
    """The ensemble's accuracy less that of member `best`, with a paired bootstrap interval over pictures."""
    ours, theirs = correct(ensemble, labels), correct(scores[best], labels)
    difference, interval = bootstrap_difference(ours[None], theirs[None])
    return Gain(difference, interval, best)
