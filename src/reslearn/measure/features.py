"""Pooled features of pictures, what the last layer reads; and a linear probe on them: how far do they go as they are?

The probe is multinomial logistic regression (scikit-learn's) on features of zero mean and unit deviation. How strongly
it is regularised is chosen on validation pictures, and how sure it is: a penalty that suits few pictures leaves it so
unsure that training which moved on from it would spend its first steps on that alone.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data.dataset import Dataset
from ..data.memory import Subset
from ..data.preprocess import Normalise
from ..engine.scorer import TorchScorer
from ..nets.layers import global_pool
from ..nets.net import Net
from ..spec.errors import UserError
from .metrics import Floats, accuracy, loss, softmax
from .views import predict_logits

Features = NDArray[np.float32]  # (N, channels)
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # C, the inverse of the penalty's weight
MOST = 20_000  # pictures that the probe is fitted to: more change little, and it is to take seconds


class Pooled(nn.Module):
    """A network without its last layers: (B, C, H, W) -> the mean (B, channels) of its last map."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        if not isinstance(net, Net) or not hasattr(net, "spec"):
            raise UserError("features are of one network of the catalogue; of an ensemble, name one of its members")
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return global_pool(self.net.stage_maps(x)[-1])


def pooled_features(
    net: nn.Module, normalise: Normalise, pictures: Dataset, *, device: str | None = None, workers: int = 0
) -> Features:
    """(N, channels) float32 in fp32 of every picture, prepared as for evaluation, in the data's order."""
    scorer = TorchScorer(Pooled(net), normalise, device=device)
    return predict_logits(scorer, pictures, normalise.preprocess, workers=workers)


@dataclass(frozen=True)
class Probe:
    """What a linear probe reaches on validation pictures, and the `strength` (C) that was chosen on them.

    `loss` is of probabilities that are as sure as they are right.
    """

    top1: float
    loss: float
    images: int
    strength: float
    channels: int
    trained: int  # pictures that it was fitted to
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """What `probe.json` and `train --json` hold."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A last layer on pooled features: (classes, channels) and (classes,)."""

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]


def linear_probe(
    net: nn.Module, normalise: Normalise, train: Dataset, val: Dataset, *, device: str | None = None
) -> tuple[Probe, LinearHead]:
    """Fit the probe to the features of `train`, of at most `MOST` pictures drawn evenly, and score it on `val`.

    Returns what it reaches, and the layer that it is. Raises `UserError` where there is nothing to choose on, or one
    class alone.
    """
    begun = time.perf_counter()
    if not len(val) or len(set(np.asarray(train.labels).tolist())) < 2:
        raise UserError("a linear probe needs two classes to tell apart, and validation pictures to choose on")
    if len(train) > MOST:
        train = Subset(train, np.linspace(0, len(train) - 1, MOST).astype(np.int64))
    features = [pooled_features(net, normalise, part, device=device) for part in (train, val)]
    labels = [np.asarray(part.labels) for part in (train, val)]
    return fit_probe(features, labels, len(train.classes), begun)


def fit_probe(
    features: Sequence[Features], labels: Sequence[NDArray[np.int64]], classes: int, begun: float
) -> tuple[Probe, LinearHead]:
    """The best probe of all strengths, on features and labels of training and validation pictures."""
    from sklearn.linear_model import LogisticRegression

    mean, deviation = features[0].mean(0, dtype=np.float64), features[0].std(0, dtype=np.float64)
    deviation = np.where(deviation > 0, deviation, 1)
    found: list[tuple[float, float, float, LinearHead]] = []
    for strength in STRENGTHS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged: what it reaches is measured
            fitted = LogisticRegression(C=strength, max_iter=200).fit((features[0] - mean) / deviation, labels[0])
        head = _layer(fitted, classes, mean, deviation)
        logits = features[1] @ head.weight.T + head.bias
        factor = _sure(logits, labels[1])
        logits, head = factor * logits, LinearHead(factor * head.weight, factor * head.bias)
        found.append((accuracy(logits, labels[1]), -loss(logits, labels[1]), strength, head))
    top1, negative, strength, head = max(found, key=lambda one: one[:2])
    seconds = round(time.perf_counter() - begun, 3)
    return Probe(top1, -negative, len(labels[1]), strength, len(mean), len(labels[0]), seconds), head


def _sure(logits: Floats, labels: NDArray[np.int64]) -> float:
    """The factor of (N, classes) `logits` with which their answers are on average as sure as they are right.

    Two answers more are imagined, one right and one wrong: of few pictures none may be wrong, and nothing is that sure.
    """
    wanted = (accuracy(logits, labels) * len(labels) + 1) / (len(labels) + 2)
    low, high = np.log(1e-3), np.log(1e3)
    for _ in range(40):
        middle = (low + high) / 2
        unsure = softmax(np.exp(middle) * logits).max(axis=1).mean() < wanted
        low, high = (middle, high) if unsure else (low, middle)
    return float(np.exp((low + high) / 2))


def _layer(fitted: Any, classes: int, mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> LinearHead:
    """scikit-learn's regression on scaled features as a layer on them as they are; classes that it never saw lose."""
    rows, offsets = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:  # one row tells the second class from the first
        rows, offsets = np.concatenate([-rows, rows]) / 2, np.concatenate([-offsets, offsets]) / 2
    weight, bias = np.zeros((classes, len(mean))), np.full(classes, -20.0)
    weight[fitted.classes_] = rows / deviation
    bias[fitted.classes_] = offsets - weight[fitted.classes_] @ mean
    return LinearHead(weight, bias)
