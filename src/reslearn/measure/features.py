"""Pooled features of pictures, what the last layer reads; and a linear probe on them: how far do they go as they are?

The probe is multinomial logistic regression (scikit-learn's) on features of zero mean and unit deviation. How strongly
it is regularised is chosen on validation pictures.
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
from .metrics import accuracy, loss
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
    """What a linear probe reaches on validation pictures, and the `strength` (C) that was chosen on them."""

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


def linear_probe(
    net: nn.Module, normalise: Normalise, train: Dataset, val: Dataset, *, device: str | None = None
) -> Probe:
    """Fit the probe to the features of `train`, of at most `MOST` pictures drawn evenly, and score it on `val`.

    Raises `UserError` where there is nothing to choose on, or one class alone.
    """
    begun = time.perf_counter()
    if not len(val) or len(set(np.asarray(train.labels).tolist())) < 2:
        raise UserError("a linear probe needs two classes to tell apart, and validation pictures to choose on")
    if len(train) > MOST:
        train = Subset(train, np.linspace(0, len(train) - 1, MOST).astype(np.int64))
    features = [pooled_features(net, normalise, part, device=device) for part in (train, val)]
    labels = [np.asarray(part.labels) for part in (train, val)]
    return fit_probe(features, labels, len(train.classes), begun)


def fit_probe(features: Sequence[Features], labels: Sequence[NDArray[np.int64]], classes: int, begun: float) -> Probe:
    """The best probe of all strengths, on features and labels of training and validation pictures."""
    from sklearn.linear_model import LogisticRegression

    mean, deviation = features[0].mean(0), features[0].std(0)
    fitted, held = ((part - mean) / np.where(deviation > 0, deviation, 1) for part in features)
    best: tuple[float, float, float] | None = None
    for strength in STRENGTHS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged: what it reaches is measured
            probe = LogisticRegression(C=strength, max_iter=200).fit(fitted, labels[0])
        logits = np.full((len(held), classes), -1e9)
        scores = probe.decision_function(held)
        logits[:, probe.classes_] = np.column_stack([-scores / 2, scores / 2]) if scores.ndim == 1 else scores
        found = accuracy(logits, labels[1]), -loss(logits, labels[1])
        if best is None or found > best[:2]:
            best = (*found, strength)
    if best is None:
        raise ValueError("no strength to try")
    seconds = round(time.perf_counter() - begun, 3)
    return Probe(best[0], -best[1], len(held), best[2], fitted.shape[1], len(fitted), seconds)
