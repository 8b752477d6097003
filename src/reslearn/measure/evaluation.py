"""The numbers of one set of predictions, and what they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..data.dataset import Indices
from ..engine.scorer import Logits
from ..spec.choices import Engine, Width
from ..spec.codec import to_json
from ..spec.preprocess import Preprocess
from ..spec.seen import Seen
from ..spec.text import counted
from . import metrics
from .calibration import reliability
from .classes import names_of


@dataclass(frozen=True)
class AtTemperature:
    """What a temperature makes of the probabilities of one set of predictions."""

    temperature: float
    loss: float
    ece: float  # 15 bins


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
    classes: tuple[str, ...] | None = None  # their names, where the network has some
    calibrated: AtTemperature | None = None  # where the model has a temperature; all else is at temperature 1

    def __repr__(self) -> str:
        low, high = (100 * share for share in self.top1_interval)
        return (
            f"Evaluation({counted(self.images, 'picture')}, {100 * self.top1:.2f} % right "
            f"(95 %: {low:.2f} .. {high:.2f}), "
            f"loss {self.loss:.4f}, {self.protocol}, {self.precision})"
        )

    def _repr_html_(self) -> str:
        """For a notebook: the headline, and which class was taken for which."""
        from ..report.confusion import confusion_matrix as drawn
        from ..report.notebook import cell
        from .confusion import confusion_matrix

        low, high = (100 * share for share in self.top1_interval)
        names = names_of(self.classes, self.logits.shape[1])
        facts = [
            ("95 %", f"{low:.2f} .. {high:.2f} %"),
            ("loss", f"{self.loss:.4f}"),
            ("scored by", f"{self.protocol}, {self.precision}, preprocessing {self.preprocess_hash}"),
        ]
        if self.top5 is not None:
            facts.insert(1, ("top-5", f"{100 * self.top5:.2f} % right"))
        if self.calibrated is not None:
            at = self.calibrated
            facts.append(("calibrated", f"loss {at.loss:.4f}, ECE {at.ece:.3f} at temperature {at.temperature:.3g}"))
        if self.seen.worth_saying:
            facts.append(("seen", str(self.seen)))
        figure = drawn(confusion_matrix(self.logits, self.labels), names)
        headline = f"{100 * self.top1:.2f} % of {counted(self.images, 'picture')} right"
        return cell(headline, facts, [("which class was taken for which", figure)])

    def to_json(self) -> dict[str, Any]:
        """Every number, without the logits."""
        left_out = ("kept", "logits", "labels", "classes")
        values = {name: value for name, value in vars(self).items() if name not in left_out}
        return {**to_json(values), "seen": self.seen.to_json()}


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


def at_temperature(logits: Logits, labels: Indices, temperature: float) -> AtTemperature:
    """Loss and calibration error of these predictions at `temperature`."""
    ece = reliability(logits, labels, temperature=temperature).ece
    return AtTemperature(temperature, metrics.loss(logits, labels, temperature), ece)
