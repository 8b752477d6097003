"""From what was asked for to what will be done: one request, resolved once, for `train`, `crossval` and `plan`.

TrainRequest -> recipe -> data -> who is trained on (a split, or folds) -> start (weights, preprocessing, settings)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from torch import Tensor

from ..data.dataset import Dataset, Indices
from ..data.loaders import readable
from ..data.memory import Subset
from ..data.parts.grouping import twins, units
from ..data.parts.splits import choose_splits
from ..data.sources import open_data
from ..data.table import as_pictures
from ..nets.state_files import read_contents
from ..runtime import device
from ..runtime.choice import Workload, decide, planned_workload
from ..runtime.process_group import from_environment
from ..runtime.settings import PRECISIONS, Precision, Settings
from ..spec.catalogue import get_spec
from ..spec.choices import OnBadFile, Prefer
from ..spec.codec import set_fields, to_json
from ..spec.errors import UserError, check_choice
from ..spec.net import Spec, spec_to_json
from ..spec.preprocess import check_image_size
from ..spec.recipe import Recipe
from ..spec.recipes import BUDGETS, get_recipe
from ..spec.rule import check_field
from ..spec.voice import COMMAND, Voice
from ..train.batch_size import check_batch
from ..train.origin import Origin, frozen_lines, read_origin, starting_preprocess
from ..train.records.run import describe
from ..train.records.terms import Terms
from .advice import ahead, before
from .choosing import Choice, choose, facts_of, timed

BEST_KNOWN = "default"  # weights that are the best known of whatever network is chosen
TARGETS = ("recipe", "spec", "settings", "preprocess")


@dataclass(frozen=True)
class TrainRequest:
    """What a training command is asked for. `changes` are `--set` assignments: recipe fields bare, `spec.`,
    `settings.`, `preprocess.` ones so named. Network and recipe are chosen by `choosing` where they are None."""

    data: str
    model: str | Spec | None = None
    recipe: str | Recipe | None = None
    epochs: float | None = None
    changes: Mapping[str, str] = field(default_factory=dict)
    image_size: int | None = None
    seed: int = 0
    val_fraction: float = 0.1
    split_seed: int = 0
    precision: Precision | None = None
    tuned_allocator: bool = False
    on_bad_file: OnBadFile = "stop"
    forget_pictures: bool = False
    weights: str | None = None
    prefer: Prefer | None = None

    def changes_to(self, target: str) -> dict[str, str]:
        """Assignments to the fields of `target`, one of `TARGETS`."""
        found = {}
        for path, text in self.changes.items():
            prefix, dot, rest = path.partition(".")
            whose, name = (prefix, rest) if dot and prefix in TARGETS else ("recipe", path)
            if whose == target:
                found[name] = text
        return found


@dataclass(frozen=True, eq=False, kw_only=True)
class Start(Terms):
    """What a training is, with the weights that it starts from and what it will compute."""

    origin: Origin | None
    workload: Workload

    @property
    def mean_image(self) -> Tensor | None:
        """What the preprocessing subtracts where that is the mean image of the weights."""
        return self.origin.mean_image if self.origin is not None and self.preprocess.mean_image is not None else None

    def frozen_lines(self, steps: int) -> list[str]:
        """What stands still until which of the `steps`, in words."""
        return frozen_lines(self.spec, self.recipe, steps)

    def weights_lines(self) -> list[str]:
        """What the weights are that it begins with, in words."""
        return [] if self.origin is None else self.origin.lines(self.recipe, self.preprocess)

    def to_json(self, steps: int) -> dict[str, Any]:
        """What `--dry-run` prints of it; something may stand still for a part of the `steps`."""
        return {
            "spec": spec_to_json(self.spec),
            "recipe": to_json(self.recipe),
            "preprocess": to_json(self.preprocess),
            "settings": to_json(self.settings),
            "weights": None if self.origin is None else self.origin.to_json(self.recipe, self.preprocess),
            "frozen": self.frozen_lines(steps),
        }


@dataclass(frozen=True, eq=False)
class Plan:
    """What a request resolves to before anything is trained."""

    request: TrainRequest
    data: Dataset
    train_data: Dataset
    val_data: Dataset
    split_method: str
    start: Start
    notes: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)  # of validation: what cannot be read, with the reasons
    choice: Choice = field(default_factory=Choice)  # what was not asked for

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole budget."""
        return self.start.recipe.total_steps(len(self.train_data))

    def to_json(self) -> dict[str, Any]:
        """Everything that was resolved, as `--dry-run` prints it."""
        data = describe(self.data) | {"train": len(self.train_data), "val": len(self.val_data)}
        known = {"chosen": self.choice.to_json(), "advice": self.advice()}
        return {"data": data, **self.start.to_json(self.steps), "steps": self.steps, **known}

    def advice(self, voice: Voice = COMMAND) -> list[str]:
        """What speaks against it, before its first step."""
        start, weights = self.start, self.request.weights
        return before(ahead(start.recipe, self.train_data, len(self.val_data), weights=weights, spec=start.spec), voice)


def resolve(request: TrainRequest, data: Dataset | None = None) -> Plan:
    """Open the data (or take it as it was opened), split it, and decide everything else.

    Raises `UserError` for what cannot be trained.
    """
    check_asked(request)
    if data is None:
        data = open_data(request.data, on_bad_file=request.on_bad_file)
    splits = choose_splits(data, val_fraction=request.val_fraction, split_seed=request.split_seed)
    train_data, val_data = Subset(data, splits["train"]), Subset(data, splits["val"])
    request, choice = complete(request, train_data)
    recipe = asked_recipe(request)
    pictures = as_pictures(data)
    notes = list(pictures.notes)
    if pictures.table.manifest and pictures.table.hashes:  # so the same folder may be split otherwise than without it
        notes.append(f"{pictures.table.manifest} is obeyed; what is drawn is drawn by its hashes, not by names")
    if request.val_fraction > 0 and not len(val_data):
        notes.append(
            f"--val-fraction {request.val_fraction:g} of {len(train_data)} pictures holds out none: nothing is "
            "validated and the last weights are kept; give a larger fraction, or 0 to mean it"
        )
    # Training may replace a picture that cannot be read; validation never does.
    kept, left_out = readable(val_data) if request.on_bad_file == "skip" else (val_data, {})
    start = resolve_start(request, recipe, len(data.classes), len(train_data), world=from_environment().size)
    method = method_of(data, splits, request.val_fraction)
    return Plan(request, data, train_data, kept, method, start, tuple(notes), left_out, choice)


def check_asked(request: TrainRequest) -> Recipe:
    """Raise `UserError` for a request that is wrong whatever the data are; what is not named passes.

    Returns its recipe, or `folder` with what was asked of one that is not named.
    """
    spec = {name: text for name, text in request.changes_to("spec").items() if request.model is not None}
    changes = {path: text for path, text in request.changes.items() if not path.startswith("spec.")}
    model, recipe = request.model or "resnet20_cifar", request.recipe or "folder"
    return asked_recipe(
        replace(
            request, model=model, recipe=recipe, changes=changes | {f"spec.{name}": text for name, text in spec.items()}
        )
    )


def complete(request: TrainRequest, train_data: Dataset) -> tuple[TrainRequest, Choice]:
    """The request with network, recipe, size, budget and batch, as far as it did not name them; and what was chosen.

    The network of sealed weights is theirs. Raises `UserError` for other weights whose network nobody names.
    """
    if request.weights not in (None, BEST_KNOWN) and request.model is None:
        request = replace(request, model=network_of(str(request.weights)))
    if request.model is not None and request.recipe is not None:
        return request, Choice()
    asked = request.changes_to("recipe")
    budget = () if request.epochs is None else ("epochs",)
    epochs, meant = None, check_asked(request)
    if budget or asked.keys() & set(BUDGETS):
        epochs = meant.total_steps(len(train_data)) * meant.batch_size / len(train_data)
    size = request.image_size or (1 if "image_size" in asked else None)
    choice = choose(
        facts_of(train_data),
        model=request.model,
        recipe=request.recipe,
        image_size=size,
        from_weights=request.weights is not None,
        fixed=frozenset((*asked, *budget)),
        epochs=epochs,
        batch_size=meant.batch_size if "batch_size" in asked else None,
    )
    whole = replace(
        request,
        model=request.model or choice.model,
        recipe=request.recipe or choice.recipe,
        image_size=request.image_size or choice.image_size,
        changes={**choice.changes, **request.changes},
    )
    spec = set_fields(get_spec(whole.model or ""), whole.changes_to("spec"), prefix="spec.")
    return whole, timed(choice, spec, asked_recipe(whole), len(train_data))


def network_of(weights: str) -> Spec:
    """The network that sealed weights are of. Raises `UserError` for weights that do not say."""
    network = read_contents(weights).facts.network
    if network is None:
        raise UserError(f"{weights}: does not say which network it is of; name it with --model (reslearn list)")
    return network


def asked_recipe(request: TrainRequest) -> Recipe:
    """The recipe with everything that was asked to be otherwise. Raises `UserError`, as far as no data need be read."""
    epochs = request.epochs
    check_field(Recipe, "epochs", epochs, "--epochs")
    check_image_size(request.image_size)
    changes = {} if epochs is None else {"epochs": str(epochs)}
    changes |= request.changes_to("recipe")
    if any(budget in changes for budget in BUDGETS):  # a new budget takes the place of the recipe's
        changes = dict.fromkeys(BUDGETS, "null") | changes
    recipe = set_fields(get_recipe(request.recipe or ""), changes)
    spec = request.changes_to("spec")
    if "num_classes" in spec:
        raise UserError("--set spec.num_classes: the data gives the number of classes; leave it out")
    if spec.get("in_channels", "3") != "3":
        raise UserError(
            f"--set spec.in_channels={spec['in_channels']}: pictures are read as RGB, grey ones too; leave it at 3"
        )
    set_fields(get_spec(request.model or ""), spec, prefix="spec.")
    return recipe if request.image_size is None else replace(recipe, image_size=request.image_size)


def resolve_start(request: TrainRequest, recipe: Recipe, classes: int, images: int, *, world: int = 1) -> Start:
    """Network, weights, preprocessing and settings of a training on so many `images`, by `world` processes."""
    spec = set_fields(get_spec(request.model or "", num_classes=classes), request.changes_to("spec"), prefix="spec.")
    origin = read_origin(request.weights, spec, request.prefer)
    preprocess = starting_preprocess(recipe, spec, origin, request.changes_to("preprocess"))
    check_batch(spec, recipe, preprocess.size, world)
    work = planned_workload(spec, recipe, images, preprocess.size)
    decided = decide(work, precision=request.precision, tuned_allocator=request.tuned_allocator, world=world)
    settings = machine_settings(decided, request.changes_to("settings"), "settings.")
    return Start(
        spec=spec,
        recipe=recipe,
        preprocess=preprocess,
        settings=settings,
        seed=request.seed,
        weights=None if origin is None else origin.path,
        prefer=request.prefer,
        on_bad_file=request.on_bad_file,
        forget_pictures=request.forget_pictures,
        origin=origin,
        workload=work,
    )


def machine_settings(decided: Settings, changes: Mapping[str, str], prefix: str = "") -> Settings:
    """`decided` with `--set` assignments, as far as this machine can do them; else `UserError`."""
    if not changes:
        return decided
    if "precision" in changes:
        check_choice(f"--set {prefix}precision", changes["precision"], PRECISIONS)
    settings = set_fields(decided, changes, prefix=prefix)
    asked = " ".join(f"{name}={text}" for name, text in changes.items())
    try:
        return replace(device.check_settings(settings), source=f"{decided.source}; asked for: {asked}")
    except UserError as error:
        raise UserError(f"--set {prefix}{error}") from None


def method_of(data: Dataset, splits: Mapping[str, Indices], val_fraction: float) -> str:
    """How `choose_splits` came to its validation part: declared by the data, none, grouped, or stratified."""
    if len(data.splits.get("val", ())):
        return "declared"
    if val_fraction == 0:
        return "none"
    pool = Subset(data, np.sort(np.concatenate([splits["train"], splits["val"]])))
    return "stratified" if units(pool, twins(pool), None) is None else "grouped"
