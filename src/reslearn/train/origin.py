"""What a run starts from: weights and the preprocessing sealed with them; and which layers stand still at first."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from ..nets.build import create_model
from ..nets.state_files import Contents, file_of, read_contents
from ..nets.weights import Fitted, fit_contents
from ..runtime.addresses import spelled
from ..runtime.files import file_sha256
from ..runtime.process_group import from_environment
from ..spec.choices import Prefer
from ..spec.codec import set_fields, to_json
from ..spec.errors import UserError
from ..spec.net import Spec
from ..spec.preprocess import Preprocess, default_preprocess
from ..spec.published import best_known, named_weights
from ..spec.recipe import Recipe
from .optimiser import parts_of


@dataclass(frozen=True)
class Origin:
    """Weights that were read for a network, before it is built."""

    path: str  # or the address
    contents: Contents
    fitted: Fitted
    prefer: Prefer | None = None
    default: bool = False  # it was chosen as the best known by name

    @cached_property
    def sha256(self) -> str:
        """Of the file."""
        return weights_sha256(self.path)

    @property
    def source(self) -> dict[str, Any] | None:
        """What runs and sealed files keep of where the weights came from; None of a file that nobody speaks for."""
        told = self.contents.facts.to_json()
        return None if told is None else told | {"sha256": self.sha256}

    @property
    def preprocess(self) -> Preprocess | None:
        """The preprocessing that is known of the weights; None where their file does not say it."""
        return self.contents.facts.preprocess

    @property
    def mean_image(self) -> Tensor | None:
        """The tensor that `preprocess.mean_image` stands for, float32 (3, S, S)."""
        return self.contents.mean_image

    def to_json(self, recipe: Recipe, used: Preprocess) -> dict[str, Any]:
        """What `--dry-run` says of the weights, for a run with that recipe and preprocessing."""
        return {
            "path": self.path,
            "sha256": self.sha256,
            "layout": self.fitted.layout,
            "place": self.fitted.place,
            "tensors": len(self.fitted.state),
            "fresh": self.fitted.fresh,
            "notes": [*self.contents.notes, *self.fitted.notes],
            "source": self.source,
            "preprocess": None if self.preprocess is None else to_json(self.preprocess),
            "differs": self.differences(recipe, used),
        }

    def differences(self, recipe: Recipe, used: Preprocess) -> list[str]:
        """In what the run's preprocessing differs from that of its weights, theirs in brackets."""
        if self.preprocess is None:
            return []
        found = used.differences(self.preprocess)
        if recipe.input_mean == "channel":
            return found
        kept = [words for words in found if not words.startswith(("mean", "std"))]
        return [*kept, "the mean image of this run's own pictures (input_mean=pixel)"]

    def lines(self, recipe: Recipe, used: Preprocess) -> list[str]:
        """For a person: what is loaded, what starts afresh, and how the run's preprocessing came about."""
        where = f" ({self.fitted.place})" if self.fitted.place else ""
        first = f"{self.path}: {len(self.fitted.state)} tensors in {self.fitted.layout}'s layout{where}"
        told = [first, *self.contents.notes, *self.fitted.notes]
        if self.default:
            told.insert(0, f"default: {self.path}, {best_known(self.path)}")
        if recipe.probe:
            told.append("the head begins as a linear probe on the features of these weights, fitted in seconds")
        if recipe.layer_decay != 1:
            told.append(f"rates fall towards the stem: each part moves at {recipe.layer_decay:g} of the next one's")
        if licence := self.contents.facts.licence:
            told.append(f"licence {licence}")
        if self.preprocess is None and recipe.input_mean == "channel":
            mean, std = (",".join(map(str, values)) for values in (used.mean, used.std))
            told.append(f"the file names no preprocessing; mean {mean} and std {std} are this run's")
        elif different := self.differences(recipe, used):
            told.append(f"their preprocessing is adopted but for, theirs in brackets: {'; '.join(different)}")
        elif self.preprocess is not None:
            told.append("their preprocessing is adopted")
        return told


def read_origin(weights: str | None, spec: Spec, prefer: Prefer | None = None) -> Origin | None:
    """Read the weights that are named, if any, for the network `spec`; `UserError` where they do not fit.

    They are a file, a folder, an address, or `default`: the best that is known by name.
    """
    if weights is None:
        if prefer is not None:
            raise UserError(f"--prefer {prefer} chooses among the weights of a file; name one with --weights FILE")
        return None
    path = named_weights(spelled(weights), spec)
    contents = read_contents(path)
    with torch.device("meta"):
        net = create_model(spec)
    return Origin(path, contents, fit_contents(contents, net, prefer=prefer), prefer, path != spelled(weights))


def weights_sha256(weights: str) -> str:
    """Of the file that `weights` means: the same wherever a machine has it."""
    return file_sha256(file_of(weights))


def adopted(contents: Contents, size: int | None, *, image: bool = True) -> Preprocess | None:
    """The preprocessing known of weights, at another `size` if one is given; None where their file does not say it.

    At another size, or where an `image` is not wanted, the channels' means take the place of a mean image.
    """
    known, pixels = contents.facts.preprocess, contents.mean_image
    if known is None:
        return None
    base = known if size is None else known.at_size(size)
    if pixels is None or (image and base.mean_image is not None):
        return base
    return replace(base, mean_image=None, mean=tuple(round(float(mean), 6) for mean in pixels.mean((1, 2))))


def starting_preprocess(
    recipe: Recipe, spec: Spec, origin: Origin | None, changes: Mapping[str, str] | None = None
) -> Preprocess:
    """The preprocessing of a run: that of its weights, or the default; then `--set preprocess.` `changes`.

    The size is the recipe's, else the weights', else the network's. Weights with a mean image give it to runs of their
    size, unless the recipe takes the mean of its own pictures or the changes name one.
    """
    changes = changes or {}
    image = recipe.input_mean == "channel" and not {"mean", "std"} & changes.keys()
    base = None if origin is None else adopted(origin.contents, recipe.image_size, image=image)
    base = base or default_preprocess(recipe.image_size or spec.image_size)
    return set_fields(base, changes, prefix="preprocess.")


def check_start(recipe: Recipe, weights: str | None) -> None:
    """Raise `UserError` for a recipe that only makes sense from weights, where none are named."""
    if recipe.unfreeze and weights is None:
        raise UserError(
            f"recipe {recipe.name} trains the head first, on layers that must have been trained before: "
            "name their weights with --weights FILE, or take another recipe"
        )


def frozen_lines(spec: Spec, recipe: Recipe, steps: int) -> list[str]:
    """For a person: what stands still until which of the `steps`."""
    lines, recipe = [], recipe.settled(from_environment().size)
    if recipe.unfreeze:
        with torch.device("meta"):
            net: nn.Module = create_model(spec)
        names = [name for name, _ in parts_of(net)]
        told = []
        for number, fraction in enumerate(recipe.unfreeze, 1):
            last = number == len(recipe.unfreeze)
            freed, names = (names, []) if last else (names[-1:], names[:-1])
            if freed:
                told.append(f"{', '.join(freed)} until step {math.ceil(fraction * steps)}")
        lines.append(f"{'; '.join(told)}; the head trains from the start")
    if recipe.freeze_bn:
        lines.append("batch norm throughout: statistics, gamma and beta")
    return lines
