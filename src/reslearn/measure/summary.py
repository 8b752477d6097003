"""Everything there is to say about one set of predictions, as one value for JSON or a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Indices
from ..report.values import Confused
from ..spec.codec import fields_to_json
from .calibration import brier, reliability, risk_coverage
from .confusion import class_scores, confusion_matrix, most_confused, roc_auc
from .metrics import loss

COVERAGES = (0.5, 0.8, 0.9, 0.95, 1.0)


@dataclass(frozen=True)
class ClassSummary:
    """One class. Fractions in 0..1; None where a number is undefined."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    roc_auc: float | None


@dataclass(frozen=True)
class Summary:
    """Per-class scores, their averages, confusion, mix-ups, ROC-AUC, and how far the probabilities can be believed."""

    per_class: tuple[ClassSummary, ...]
    macro: dict[str, float | None]
    weighted: dict[str, float]
    confusion: list[list[int]]  # rows are truth
    most_confused: tuple[Confused, ...]
    temperature: float  # of all that follows
    ece: float
    nll: float
    brier: float
    aurc: float
    error_at_coverage: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return fields_to_json(self)


def summarise(
    logits: NDArray[np.float32], labels: Indices, classes: Sequence[str], *, temperature: float = 1.0
) -> Summary:
    """What there is to say about predictions (N, C) of pictures with these labels (N,)."""
    counts = confusion_matrix(logits, labels)
    scores, areas = class_scores(counts), roc_auc(logits, labels)
    _, risk, _, area = risk_coverage(logits, labels, temperature)
    diagram = reliability(logits, labels, temperature=temperature)
    return Summary(
        per_class=tuple(
            ClassSummary(
                label=name,
                precision=float(scores.precision[c]),
                recall=float(scores.recall[c]),
                f1=float(scores.f1[c]),
                support=int(scores.support[c]),
                roc_auc=float(areas[c]) if np.isfinite(areas[c]) else None,
            )
            for c, name in enumerate(classes)
        ),
        macro={**scores.average("macro"), "roc_auc": _mean(areas)},
        weighted=scores.average("weighted"),
        confusion=counts.tolist(),
        most_confused=most_confused(counts, classes),
        temperature=temperature,
        ece=diagram.ece,
        nll=loss(logits, labels, temperature),
        brier=brier(logits, labels, temperature),
        aurc=area,
        error_at_coverage={str(share): float(risk[max(int(np.ceil(share * len(risk))), 1) - 1]) for share in COVERAGES},
    )


def _mean(areas: NDArray[np.float64]) -> float | None:
    there = areas[np.isfinite(areas)]
    return float(there.mean()) if len(there) else None
