"""The numbers of one set of predictions, and what they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..data.dataset import Indices
from ..engine.scorer import Logits
from ..spec.choices import Engine, Width
from ..spec.preprocess import Preprocess
from ..spec.seen import Seen
from . import metrics


@dataclass(frozen=True)
class Evaluation:
    """Scores of one network on one set of pictures, and what they belong to. Errors are in percent."""

    images: int
    top1: float
    top5: float | None  # None under 6 classes
    top1_error: float
    top5_error: float | None
    loss: float  # mean cross-entropy in nats
    top1_interval: tuple[float, float]  # 95 %, Wilson
    top5_interval: tuple[float, float] | None
    protocol: str
    cost: float  # forward multiply-adds, in 1-crops
    precision: Width
    engine: Engine
    preprocess_hash: str
    selected_on_test: bool  # something of the model was chosen by looking at test pictures
    seen: Seen  # of these pictures, by the model
    kept: bool  # nothing was scored anew, all came from the cache
    logits: Logits  # (N, C)
    labels: Indices  # (N,) in the network's classes

    def to_json(self) -> dict[str, Any]:
        """Every number, without the logits."""
        names = [name for name in self.__dataclass_fields__ if name not in ("kept", "logits", "labels")]
        values = {name: getattr(self, name) for name in names}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return plain | {"seen": self.seen.to_json()}


def score(
    logits: Logits,
    labels: Indices,
    preprocess: Preprocess,
    *,
    protocol: str = "1-crop",
    cost: float = 1.0,
    precision: Width = "fp32",
    engine: Engine = "torch",
    selected_on_test: bool = False,
    seen: Seen = Seen(),  # noqa: B008 - a frozen value
    kept: bool = False,
) -> Evaluation:
    """The numbers of one set of predictions."""
    place = metrics.ranks(logits, labels)
    images, right1, right5 = len(labels), int((place < 1).sum()), int((place < 5).sum())
    has_top5 = logits.shape[1] > 5
    return Evaluation(
        images=images,
        top1=right1 / images,
        top5=right5 / images if has_top5 else None,
        top1_error=100 * (images - right1) / images,
        top5_error=100 * (images - right5) / images if has_top5 else None,
        loss=metrics.loss(logits, labels),
        top1_interval=metrics.wilson_interval(right1, images),
        top5_interval=metrics.wilson_interval(right5, images) if has_top5 else None,
        protocol=protocol,
        cost=cost,
        precision=precision,
        engine=engine,
        preprocess_hash=preprocess.hash(),
        selected_on_test=selected_on_test,
        seen=seen,
        kept=kept,
        logits=logits,
        labels=labels,
    )
