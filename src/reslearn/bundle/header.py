"""The header of a sealed file: the JSON string under `reslearn.bundle` in `model.safetensors`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ..spec.net import Spec
from ..spec.preprocess import Preprocess

FORMAT = 1


@dataclass(frozen=True)
class Member:
    """One network of the file; its tensors carry `prefix`. A single net is one member with an empty prefix."""

    spec: Spec
    prefix: str = ""
    weight: float = 1.0


@dataclass(frozen=True)
class Bundle:
    """What a sealed file says of itself. `softmax` combination: the output is the log of the mean probability."""

    members: tuple[Member, ...]
    preprocess: Preprocess
    classes: tuple[str, ...] | None = None
    combine: Literal["logits", "softmax"] = "logits"
    output: Literal["logits"] = "logits"
    temperature: float | None = None
    threshold: float | None = None
    recipe: dict[str, Any] | None = None
    data: dict[str, Any] | None = None  # path, fingerprint, split sizes of the training data
    scores: dict[str, Any] = field(default_factory=dict)  # split -> an `evaluate` object
    sha256: str = ""  # of all tensors; filled when saved
    format: int = FORMAT
