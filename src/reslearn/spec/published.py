"""Weights that are known by name, as values: where they lie, of which network, how to prepare pictures for them.

`published.json` was read off the wheels of torchvision and timm (`tests/spec/published_weights.py`);
`imagenet_classes.json` holds the names of ImageNet's 1,000 classes as torchvision spells them.
"""

from __future__ import annotations

import fnmatch
import functools
import json
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from .architectures import from_timm, same_network
from .catalogue import get_spec
from .errors import UserError, unknown
from .facts import Facts
from .net import NetSpec, Spec
from .preprocess import Preprocess

DEFAULT = "default"  # in the place of an address: the best that is known for the network


@dataclass(frozen=True)
class Published:
    """One file of weights. `acc1` and `acc5`, in percent on ImageNet's validation pictures, are as reported there."""

    address: str
    network: str
    size: int
    resize: int
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    licence: str | None = None
    recipe: str | None = None
    acc1: float | None = None
    acc5: float | None = None
    file: str | None = None  # its name on the server, and the first digits of its sha256
    sha256: str | None = None
    mib: float | None = None
    outputs: int = 1000
    default: bool = False  # what its package takes where nothing is said
    architecture: str | None = None  # timm's name of the network

    def __repr__(self) -> str:
        score = "" if self.acc1 is None else f", {self.acc1:.2f} % of ImageNet right as reported"
        return f"Published({self.address}: {self.network} at {self.size}{score})"

    @property
    def spec(self) -> Spec:
        """The network that the file holds."""
        spec = get_spec(self.network) if self.architecture is None else from_timm(self.architecture)
        return replace(spec, num_classes=self.outputs)

    @property
    def facts(self) -> Facts:
        """All that is known beside the tensors."""
        prepare = Preprocess(
            self.size, self.resize, "crop", self.mean, self.std, interpolation=_filter(self.interpolation)
        )
        names = imagenet_classes() if self.outputs == 1000 else None
        return Facts(self.address, self.spec, prepare, names, self.licence, self.recipe)


def _filter(name: str) -> Any:
    return name  # Preprocess says what it may be


@functools.cache
def published() -> tuple[Published, ...]:
    """Everything that is known by name, each package's in its own order."""
    rows = json.loads(_text("published.json"))["weights"]
    return tuple(Published(**row | {key: tuple(row[key]) for key in ("mean", "std")}) for row in rows)


@functools.cache
def imagenet_classes() -> tuple[str, ...]:
    """ImageNet's 1,000 class names, in the order of every published network's outputs."""
    return tuple(json.loads(_text("imagenet_classes.json")))


def find_published(pattern: str = "*") -> list[Published]:
    """What is known by name and whose address, its last part or network fits a shell pattern; `UserError` for none."""
    texts = (pattern, f"*{pattern}*") if "://" in pattern else (pattern,)
    found = [
        one
        for one in published()
        if any(
            fnmatch.fnmatchcase(name, text)
            for name in (one.address, one.address.rpartition("/")[2], one.network)
            for text in texts
        )
    ]
    if not found:
        raise unknown("weights or network", pattern, [*dict.fromkeys(one.network for one in published())])
    return found


def published_at(address: str) -> Published | None:
    """What is known of weights by their address, its revision aside; `X.DEFAULT` is what torchvision calls so."""
    base = address.partition("@")[0]
    if base.startswith("torchvision://") and base.endswith(".DEFAULT"):
        names = base.removesuffix("DEFAULT")
        return next((one for one in published() if one.default and one.address.startswith(names)), None)
    return next((one for one in published() if one.address == base), None)


def default_weights(spec: Spec) -> Published:
    """The best that is known for a network, by the accuracy reported; without any, what its package takes.

    Raises `UserError` where nothing is known for it.
    """
    fits = [one for one in published() if same_network(_laid_out(spec, one.spec), one.spec)]
    if not fits:
        known = [*dict.fromkeys(one.network for one in published())]
        raise UserError(
            f"no weights are known by name for {spec.name}; `reslearn weights` lists them "
            f"({', '.join(known[:4])}, ...); name a file or an address"
        )
    return max(fits, key=lambda one: (one.acc1 or 0.0, one.default))


def best_known(address: str) -> str:
    """For a person: why these weights are the default of their network."""
    known = published_at(address)
    if known is None or known.acc1 is None:
        return "which its package takes; nobody reports an accuracy with it"
    return f"the best known by name: top-1 {known.acc1:.2f} % on ImageNet, as {address.partition(':')[0]} reports"


def named_weights(weights: str, spec: Spec) -> str:
    """`weights` with the word `default` replaced by the address of the best known for the network `spec`."""
    return default_weights(spec).address if weights == DEFAULT else weights


def _laid_out(spec: Spec, other: Spec) -> Spec:
    """`spec` with the input channels and the dilation of `other`: the tensors are the same, or are adapted."""
    if isinstance(spec, NetSpec) and isinstance(other, NetSpec):
        return replace(spec, in_channels=other.in_channels, output_stride=other.output_stride)
    return spec


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
