"""`run.json`: everything a run is, written atomically before anything is trained; `resume` decides nothing anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..runtime.settings import Settings
from ..spec.net import Spec
from ..spec.preprocess import Preprocess
from ..spec.recipe import Recipe

FORMAT = 1


@dataclass(frozen=True)
class Split:
    """Which samples are trained on and which are validated on, by identity."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    seed: int
    identity: str = "path"  # or "content": what the strings are
    method: str = "stratified"


@dataclass(frozen=True)
class RunRecord:
    """The contents of `run.json`."""

    spec: Spec
    recipe: Recipe
    preprocess: Preprocess
    settings: Settings
    split: Split
    seed: int
    data: dict[str, Any]  # path, fingerprint, classes
    environment: dict[str, Any]
    command: str
    created: str
    weights: str | None = None
    notes: tuple[str, ...] = field(default_factory=tuple)  # e.g. "not reproducible from its record"
    format: int = FORMAT
