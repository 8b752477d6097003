"""What is known of weights beside their tensors, because whoever published them says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .net import Spec
from .preprocess import Preprocess


@dataclass(frozen=True)
class Facts:
    """Known facts, as far as they are; `source` is where the weights come from, as it can be named again."""

    source: str | None = None
    network: Spec | None = None
    preprocess: Preprocess | None = None
    classes: tuple[str, ...] | None = None
    licence: str | None = None
    recipe: str | None = None  # where it is told how they were trained

    def to_json(self) -> dict[str, Any] | None:
        """What a sealed file keeps of it under `source`; None where the weights were an unknown person's file."""
        kept = {"weights": self.source, "licence": self.licence, "recipe": self.recipe}
        kept = {name: value for name, value in kept.items() if value is not None}
        return kept or None


NOTHING = Facts()
