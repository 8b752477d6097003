"""May the probabilities be believed? Calibration, a temperature that mends it, and a threshold for saying `unknown`.

Temperature and threshold are chosen on validation pictures (1706.04599; 1705.08500) and stored in the sealed file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..spec.errors import UserError
from ..spec.rule import is_number
from .metrics import Floats, checked_pair, softmax

BINS = 15
# Temperatures that pictures may tell. At 1/10 a lead of one nat over one other class, 73 %, becomes 99.995 %, and only
# tens of thousands of pictures could bear that out. Beyond 1000 all classes are alike: no better than guessing.
FITTED = (0.1, 1000.0)


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy in equal bins of confidence, (bins,) each; NaN where a bin is empty."""

    edges: Floats  # (bins + 1,)
    confidence: Floats
    accuracy: Floats
    count: NDArray[np.int64]

    @property
    def ece(self) -> float:
        """Expected calibration error: the gap in each bin, weighted by the pictures in it."""
        filled = self.count > 0
        gap = np.abs(self.confidence - self.accuracy)[filled]
        return float((gap * self.count[filled]).sum() / self.count.sum())


def reliability(logits: ArrayLike, labels: ArrayLike, *, temperature: float = 1.0, bins: int = BINS) -> Reliability:
    """Bins (0, 1/bins], ... of the answer's probability."""
    confidence, right = _answers(logits, labels, temperature)
    edges = np.linspace(0.0, 1.0, bins + 1)
    at = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(at, minlength=bins)
    with np.errstate(invalid="ignore"):
        return Reliability(
            edges=edges,
            confidence=np.bincount(at, weights=confidence, minlength=bins) / count,
            accuracy=np.bincount(at, weights=right, minlength=bins) / count,
            count=count,
        )


def brier(logits: ArrayLike, labels: ArrayLike, temperature: float = 1.0) -> float:
    """Mean squared distance of the probabilities from the truth, summed over classes: 0 (sure and right) to 2."""
    x, y = checked_pair(logits, labels, finite=True)
    gap = softmax(x, temperature)
    gap[np.arange(len(y)), y] -= 1
    return float(np.square(gap).sum(axis=1).mean())


def risk_coverage(
    logits: ArrayLike, labels: ArrayLike, temperature: float = 1.0
) -> tuple[Floats, Floats, Floats, float]:
    """Answering only the surest share of pictures: (coverage, error share, threshold), (N,) each, and the area.

    Entry k answers the k + 1 surest pictures; the area is the mean error share over all coverages (AURC). Of equally
    sure ones no order is better than another: each counts with the share of errors among them.
    """
    confidence, right = _answers(logits, labels, temperature)
    order = np.argsort(-confidence, kind="stable")
    answered, sure = np.arange(1, len(order) + 1), confidence[order]
    last = np.append(sure[:-1] > sure[1:], True)  # of each run of equally sure ones
    errors = np.cumsum(~right[order])
    risk = np.interp(answered, np.append(0, answered[last]), np.append(0, errors[last])) / answered
    return answered / len(order), risk, sure, float(risk.mean())


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float | None:
    """The temperature that makes the loss least; a convex problem in its inverse, solved by bisection of the slope.

    None where the least does not lie within `FITTED`: a set without a mistake has none, its loss falls with the
    temperature to the end, and answers that are worse than guessing have none, either.
    """
    x, y = checked_pair(logits, labels, finite=True)
    own = x[np.arange(len(y)), y]

    def slope(log_inverse: float) -> float:
        return float(((softmax(x, float(np.exp(-log_inverse))) * x).sum(axis=1) - own).mean())

    low, high = -np.log(FITTED[1]), -np.log(FITTED[0])  # of the inverse temperature
    if not slope(low) < 0 < slope(high):
        return None
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return float(np.exp(-(low + high) / 2))


def choose_threshold(
    logits: ArrayLike, labels: ArrayLike, *, precision: float, temperature: float = 1.0
) -> tuple[float, float, float]:
    """The least probability to answer with so that answers are right with at least `precision` (0..1).

    Returns (threshold, coverage, precision reached) of the largest such coverage. Raises `UserError` with the best
    that can be reached when no share of the pictures is that precise.
    """
    if not (is_number(precision) and 0 < precision <= 1):
        raise UserError(f"the target precision is {precision!r}; it must lie in (0, 1]")
    coverage, risk, confidence, _ = risk_coverage(logits, labels, temperature)
    whole = np.append(confidence[:-1] > confidence[1:], True)  # equal confidences are answered together
    answered = np.arange(1, len(risk) + 1)
    right = np.rint((1 - risk) * answered) / answered  # 1 - 4/5 is a little less than 1/5
    good = np.flatnonzero((right >= precision) & whole)
    if len(good) == 0:
        best = float(right[whole].max())
        raise UserError(f"no threshold reaches a precision of {precision}; the best on these pictures is {best:.4f}")
    k = int(good[-1])
    return float(confidence[k]), float(coverage[k]), float(right[k])


def _answers(logits: ArrayLike, labels: ArrayLike, temperature: float) -> tuple[Floats, NDArray[np.bool_]]:
    """(N,) probability of the answer, and whether it is right."""
    x, y = checked_pair(logits, labels, finite=True)
    probabilities = softmax(x, temperature)
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == y
