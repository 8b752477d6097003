"""Pictures as the network sees them, by the features that its last layer reads: which are most alike?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..data.dataset import Indices
from ..engine.scorer import TorchScorer
from ..measure.features import Pooled
from .class_maps import members_of

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Extremes:
    """Of one class the pictures that are most and least like its mean, by their places, most and least first."""

    label: int
    most: tuple[int, ...]
    least: tuple[int, ...]
    likeness: dict[int, float]  # of those: the cosine to the mean of the class, -1..1


def likeness_features(scorer: TorchScorer, batches: Iterable[Tensor]) -> Floats:
    """(N, channels) of Euclidean norm 1: what the last layer reads of prepared pictures, uint8 (B, 3, S, S) a batch; of
    an ensemble its members' side by side, each as far as its weight goes."""
    members = [
        (weight, TorchScorer(Pooled(net), scorer.normalise, device=scorer.device, batch_size=scorer.batch_size))
        for weight, net in members_of(scorer.net)
    ]
    rows = [
        np.concatenate([weight**0.5 * unit(pooled(images)) for weight, pooled in members], axis=1) for images in batches
    ]
    return np.concatenate(rows).astype(np.float32)


def unit(rows: Floats) -> Floats:
    """Rows at norm 1; a row of zeros stays."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-12), np.float32)


def extremes(features: Floats, labels: Indices, *, each: int) -> list[Extremes]:
    """For every class that has pictures: `each` most and least like the mean of their class."""
    found = []
    for label in np.unique(labels).tolist():
        places = np.flatnonzero(labels == label)
        mean = unit(features[places].mean(0, keepdims=True))[0]
        likeness = features[places] @ mean
        order = np.argsort(-likeness, kind="stable")
        most = order[: min(each, len(order))]
        least = order[::-1][: min(each, len(order) - len(most))]
        chosen = [*most.tolist(), *least.tolist()]
        found.append(
            Extremes(
                int(label), tuple(int(places[i]) for i in most), tuple(int(places[i]) for i in least),
                {int(places[i]): float(likeness[i]) for i in chosen},
            )
        )  # fmt: skip
    return found


def nearest(
    features: Floats, among: Floats, *, count: int, same: NDArray[np.bool_] | None = None
) -> list[list[tuple[int, float]]]:
    """For every row the places and cosines of the `count` nearest of `among`, nearest first; where `same` (N, M) is
    true, the two are one picture, which is not its own neighbour."""
    cosines = features @ among.T
    if same is not None:
        cosines = np.where(same, -np.inf, cosines)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    return [
        [(int(j), float(row[j])) for j in places if np.isfinite(row[j])]
        for row, places in zip(cosines, order, strict=True)
    ]
