"""What trainings have in common, whatever pictures they train on: what is asked for, and what records keep of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ...runtime.settings import Settings
from ...spec.choices import OnBadFile, Prefer
from ...spec.errors import UserError
from ...spec.net import Spec
from ...spec.preprocess import Preprocess
from ...spec.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a training is, its pictures apart. A cross-validation gives them to every fold."""

    spec: Spec
    recipe: Recipe
    preprocess: Preprocess
    settings: Settings
    seed: int = 0
    weights: str | None = None  # what it starts from
    prefer: Prefer | None = None  # which of the plain and averaged weights in it
    on_bad_file: OnBadFile = "stop"
    forget_pictures: bool = False  # the sealed file does not say which pictures it has seen

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def shared(self) -> dict[str, Any]:
        """These fields alone, for another value that has them."""
        return {f.name: getattr(self, f.name) for f in fields(Terms)}


@dataclass(frozen=True, kw_only=True)
class Record(Terms):
    """What every record says: the terms, the data, and where and when it was begun."""

    data: dict[str, Any]  # path, fingerprint, classes
    environment: dict[str, Any]
    command: str
    created: str
    weights_sha256: str | None = None  # of the file of weights, wherever a machine has it
    moved: tuple[dict[str, Any], ...] = ()  # where the data was before, and since when it is elsewhere
    format: int = 1


def check_seed(seed: int) -> None:
    """Raise `UserError` for a seed that torch's generators do not take."""
    if not -(2**63) <= seed < 2**64:
        raise UserError(f"seed is {seed}; it must be a whole number of at most 64 bits")
