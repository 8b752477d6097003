"""What an experiment is made of: an `Entry` is one network trained in one way, an `Experiment` is one command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..paper import recipes as r
from ..spec.catalogue import get_spec
from ..spec.errors import UserError, unknown
from ..spec.net import Spec
from ..spec.recipe import Recipe
from .published.tables import Claim

DATA_NAMES: Mapping[str, str] = MappingProxyType(
    {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet": "ImageNet", "svhn": "SVHN", "places365": "Places365"}
)
CLASSES: Mapping[str, int] = MappingProxyType(
    {"cifar10": 10, "cifar100": 100, "imagenet": 1000, "svhn": 10, "places365": 365}
)


@dataclass(frozen=True)
class Entry:
    """One row: a network trained in one way on one kind of data, and the published numbers it is held against."""

    label: str
    net: str | None = None  # a catalogue name; None where `outside` says why there is none
    changes: Mapping[str, Any] = field(default_factory=dict)
    recipe: Recipe = r.P1_CIFAR
    data: str = "cifar10"
    protocols: tuple[str, ...] = ("1-crop",)
    runs: int = 1  # seeds at the full tier, as published
    claims: tuple[Claim, ...] = ()
    probes: tuple[str, ...] = ()  # measurements on the trained net (`probes.py`)
    start: str | None = None  # the label of the entry whose trained net this one is constructed from
    outside: str | None = None
    twin: str | None = None  # the label of the entry that is the same row on other data: on digits they are one

    @property
    def spec(self) -> Spec:
        """The network as a value. Raises `UserError` for a row outside the catalogue."""
        if self.net is None:
            raise UserError(f"'{self.label}' cannot be run: {self.outside}")
        return get_spec(self.net, **self.changes)


@dataclass(frozen=True)
class Experiment:
    """One command: `reslearn paper run NAME`."""

    name: str
    title: str
    entries: tuple[Entry, ...]
    figure: str | None = None  # the drawing in `figures.py` or `study_figures.py`
    question: str = ""  # studies: what is asked, and how it is answered
    after: str | None = None  # what is computed from all the trained nets together (`probes.py`)
    measured: str | None = None  # what is measured in its place, without training (`measured.py`)
    by_tier: bool = False  # whether the tier changes what is measured

    def entry(self, label: str) -> Entry:
        """The entry of that label; an unknown one lists the labels."""
        for entry in self.entries:
            if entry.label == label:
                return entry
        raise unknown(f"row of {self.name}", label, [entry.label for entry in self.entries])
