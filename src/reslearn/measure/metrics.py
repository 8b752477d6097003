"""Numbers made of per-sample logits, in float64: pure functions, the same for any batch size, process or order.

`logits` is (N, C), `labels` (N,) class indices. A logit that is not a number never counts as a right answer.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..spec.errors import UserError

Floats = NDArray[np.float64]
ROWS = 8192  # samples at a time: a million of 1,000 classes would not fit in memory in float64
Z95 = 1.959963984540054  # the normal distribution's 97.5 % quantile


def ranks(logits: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """(N,) place of the true class among the answers, 0 for the first. Equal logits rank by class index."""
    x, y = checked_pair(logits, labels)
    own = x[np.arange(len(y)), y][:, None]
    above = ~(x <= own)  # a NaN on either side counts as above: a diverged network is wrong, not right
    ties = (x == own) & (np.arange(x.shape[1]) < y[:, None])
    return np.asarray((above | ties).sum(axis=1), dtype=np.int64)


class NotFinite(UserError):
    """Answers that are no numbers."""


def check_answers(logits: ArrayLike, precision: str) -> None:
    """Raise `NotFinite` where a network answers with NaN or infinity; a logarithm of no probability at all is none."""
    x = np.asarray(logits)
    bad = int((np.isnan(x) | (x == np.inf)).any(axis=1).sum())
    if bad:
        why = "its weights are too large" if precision == "fp32" else f"{precision} is too narrow, try fp32"
        raise NotFinite(f"for {bad:,} of {len(x):,} pictures the network answers with NaN or infinity; {why}")


def correct(logits: ArrayLike, labels: ArrayLike, k: int = 1) -> NDArray[np.bool_]:
    """(N,) whether the true class is among the first `k` answers."""
    return ranks(logits, labels) < k


def accuracy(logits: ArrayLike, labels: ArrayLike, k: int = 1) -> float:
    """Share of samples whose true class is among the first `k` answers, in 0..1."""
    return float(correct(logits, labels, k).mean())


def log_softmax(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """(N, C) logarithms of the probabilities."""
    x = np.asarray(logits, dtype=np.float64) / temperature
    x = x - x.max(axis=1, keepdims=True)
    return np.asarray(x - np.log(np.exp(x).sum(axis=1, keepdims=True)))


def softmax(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """(N, C) probabilities."""
    return np.asarray(np.exp(log_softmax(logits, temperature)))


def losses(logits: ArrayLike, labels: ArrayLike, temperature: float = 1.0) -> Floats:
    """(N,) cross-entropy of each sample, in nats."""
    x, y = checked_pair(logits, labels)
    parts = (slice(start, start + ROWS) for start in range(0, len(y), ROWS))
    return np.concatenate([-log_softmax(x[at], temperature)[np.arange(len(y[at])), y[at]] for at in parts])


def loss(logits: ArrayLike, labels: ArrayLike, temperature: float = 1.0) -> float:
    """Mean cross-entropy (negative log likelihood), in nats."""
    return float(losses(logits, labels, temperature).mean())


def wilson_interval(successes: int, total: int) -> tuple[float, float]:
    """Wilson's score interval of a proportion, 95 % (E. B. Wilson, JASA 22, 1927)."""
    if total < 1:
        raise UserError("an interval needs at least one picture")
    share, z = successes / total, Z95
    centre = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    low, high = (centre - half) / scale, (centre + half) / scale
    return (0.0 if successes == 0 else low), (1.0 if successes == total else high)


def checked_pair(
    logits: ArrayLike, labels: ArrayLike, *, finite: bool = False
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Both as arrays that fit each other, at least one sample, every label a class; else `UserError`."""
    x, y = np.asarray(logits), np.asarray(labels, dtype=np.int64)
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise UserError(f"logits must be (N, C) and labels (N,), found {x.shape} and {y.shape}")
    if len(y) == 0:
        raise UserError("no pictures to score: the split is empty")
    if y.min() < 0 or y.max() >= x.shape[1]:
        raise UserError(f"labels run from {y.min()} to {y.max()}, the network has {x.shape[1]} classes")
    if finite and not np.isfinite(x).all():
        bad = int((~np.isfinite(x).all(axis=1)).sum())
        raise UserError(f"{bad} of {len(x)} pictures got logits that are no numbers: the network has diverged")
    return x, y
