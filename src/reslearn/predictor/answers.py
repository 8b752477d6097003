"""What is said of a picture: its most probable classes, or why there are none."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle.header import Bundle
from ..engine.models import Model
from ..spec.errors import UserError

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Answer:
    """One class and how probable the model holds it; `index` is None for `unknown`."""

    label: str
    index: int | None
    probability: float


@dataclass(frozen=True)
class Prediction:
    """A picture's most probable classes, best first.

    Where the sealed file has a threshold and the best class does not reach it, the first answer is `unknown` with the
    best class's probability, and the classes follow.
    """

    path: str | None  # None for a picture in memory
    predictions: tuple[Answer, ...]
    picture: object = field(default=None, repr=False, compare=False)  # what was given, where that was no path

    def __repr__(self) -> str:
        answers = ", ".join(f"{one.label} {one.probability:.3f}" for one in self.predictions)
        return f"Prediction({self.path or 'a picture'}: {answers})"

    def _repr_html_(self) -> str:
        """For a notebook: the picture, and a bar for each answer."""
        from .shown import as_html

        return as_html(self)

    @property
    def label(self) -> str:
        """The answer."""
        return self.predictions[0].label

    def to_json(self) -> dict[str, Any]:
        """The contract's keys."""
        return {"path": self.path, "predictions": [asdict(answer) for answer in self.predictions]}


@dataclass(frozen=True)
class Unread:
    """A picture that has no answer, and why not in one line that names it."""

    path: str | None
    error: str

    def to_json(self) -> dict[str, Any]:
        """The keys of a `Prediction`, without a class, and `error`."""
        return {"path": self.path, "predictions": [], "error": self.error}


def answer(probabilities: NDArray[np.float64], bundle: Bundle, top: int) -> tuple[Answer, ...]:
    """One picture's probabilities (classes,) as answers."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    names = bundle.classes
    best = [Answer(names[i] if names else str(i), int(i), float(probabilities[i])) for i in order]
    if bundle.threshold is not None and best[0].probability < bundle.threshold:
        best.insert(0, Answer(UNKNOWN, None, best[0].probability))
    return tuple(best)


def with_threshold(loaded: Model, threshold: float | None) -> Model:
    """`loaded` with another least probability to answer with; None: as it is."""
    if threshold is None:
        return loaded
    if not 0 <= threshold <= 1:
        raise UserError(f"--threshold is {threshold:g}; it must be a probability in 0..1")
    return replace(loaded, bundle=replace(loaded.bundle, threshold=threshold))
