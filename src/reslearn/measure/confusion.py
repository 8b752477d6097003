"""Which class is taken for which: confusion matrix, precision and recall of every class, and the worst mix-ups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..report.values import Confused, Counts
from .metrics import Floats, checked_pair, softmax


@dataclass(frozen=True)
class ClassScores:
    """Per class, (C,) each. Where nothing was predicted (or nothing is there) a ratio is 0, as in scikit-learn."""

    precision: Floats
    recall: Floats
    f1: Floats
    support: Counts
    seen: NDArray[np.bool_]  # classes that occur in the labels or in the answers

    def average(self, kind: str) -> dict[str, float]:
        """`macro`: every class that occurs or was predicted counts alike; `weighted`: by how often it occurs."""
        weight = self.support.astype(float) if kind == "weighted" else self.seen.astype(float)
        total = weight.sum()
        values = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {name: float((value * weight).sum() / total) for name, value in values.items()}


def confusion_matrix(logits: ArrayLike, labels: ArrayLike) -> Counts:
    """(C, C) counts: row the true class, column the answer."""
    x, y = checked_pair(logits, labels, finite=True)
    classes = x.shape[1]
    return np.bincount(y * classes + x.argmax(axis=1), minlength=classes**2).reshape(classes, classes)


def class_scores(confusion: Counts) -> ClassScores:
    """Precision, recall, F1 and support of every class of a confusion matrix."""
    right, answered, support = np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
    return ClassScores(
        precision=_ratio(right, answered),
        recall=_ratio(right, support),
        f1=_ratio(2 * right, answered + support),
        support=support,
        seen=(answered + support) > 0,
    )


def most_confused(confusion: Counts, names: Sequence[str], top: int = 10) -> tuple[Confused, ...]:
    """The largest off-diagonal counts, largest first."""
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:top]
    pairs = [(int(i) // len(wrong), int(i) % len(wrong)) for i in order]
    support = confusion.sum(axis=1)
    return tuple(
        Confused(truth=names[t], answer=names[a], count=int(wrong[t, a]), share=float(wrong[t, a] / support[t]))
        for t, a in pairs
        if wrong[t, a] > 0
    )


def roc_auc(logits: ArrayLike, labels: ArrayLike) -> Floats:
    """(C,) area under each class's ROC curve, one against the rest; NaN for a class that is absent or alone.

    The Mann-Whitney statistic of the class's probability, ties counted half.
    """
    x, y = checked_pair(logits, labels, finite=True)
    probabilities = softmax(x)
    areas = np.full(x.shape[1], np.nan)
    for c in range(x.shape[1]):
        positive = y == c
        n1, n0 = int(positive.sum()), int((~positive).sum())
        if n1 and n0:
            areas[c] = (_average_ranks(probabilities[:, c])[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0)
    return areas


def _ratio(above: Counts, below: Counts) -> Floats:
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)


def _average_ranks(values: Floats) -> Floats:
    """1-based ranks; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse])
