"""`train` and `resume` as one call each: open the data, split it, train, write the report."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..data.dataset import Dataset, Indices
from ..data.loaders import readable
from ..data.parts.grouping import twins, units
from ..data.parts.splits import choose_splits
from ..data.sources import Subset, open_data
from ..runtime import device
from ..runtime.choice import decide
from ..runtime.process_group import from_environment
from ..runtime.settings import PRECISIONS, Precision, Settings
from ..spec.catalogue import get_spec
from ..spec.choices import OnBadFile, Prefer
from ..spec.codec import set_fields, to_json
from ..spec.errors import UserError, check_at_least, check_choice
from ..spec.net import Spec, spec_to_json
from ..spec.preprocess import Preprocess
from ..spec.recipe import Recipe
from ..spec.recipes import get_recipe
from ..train.batch_size import check_batch
from ..train.events import Watch
from ..train.execute import still_there
from ..train.fit import Run, fit
from ..train.fit import resume as resume_run
from ..train.origin import check_start, frozen_lines, read_origin, starting_preprocess
from ..train.setup import planned_workload, refuse_existing

BUDGETS = ("epochs", "iterations", "images")


class Plan:
    """What a training command resolves to before anything is trained."""

    def __init__(
        self,
        data: str,
        *,
        model: str,
        recipe: str,
        epochs: float | None = None,
        changes: Mapping[str, str] | None = None,
        image_size: int | None = None,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        precision: Precision | None = None,
        tuned_allocator: bool = False,
        on_bad_file: OnBadFile = "stop",
        weights: str | None = None,
        prefer: Prefer | None = None,
    ) -> None:
        """`changes` are `--set` assignments: recipe fields bare, `spec.`, `settings.`, `preprocess.` ones so named.

        Raises `UserError` for what cannot be trained, and for settings that this machine has not.
        """
        check_options(epochs, image_size)
        parts = by_target({**({} if epochs is None else {"epochs": str(epochs)}), **(changes or {})})
        self.recipe: Recipe = set_fields(get_recipe(recipe), parts["recipe"])
        check_spec_changes(parts["spec"])
        if image_size is not None:
            self.recipe = replace(self.recipe, image_size=image_size)
        base = get_spec(model)
        self.data: Dataset = open_data(data, on_bad_file=on_bad_file)
        self.spec: Spec = set_fields(get_spec(base, num_classes=len(self.data.classes)), parts["spec"], prefix="spec.")
        splits = choose_splits(self.data, val_fraction=val_fraction, split_seed=split_seed)
        self.split_method = method_of(self.data, splits, val_fraction)
        self.train_data = Subset(self.data, splits["train"])
        self.val_data: Dataset = Subset(self.data, splits["val"])
        self.notes = list(getattr(self.data, "notes", ()))
        if val_fraction > 0 and not len(self.val_data):
            self.notes.append(
                f"--val-fraction {val_fraction:g} of {len(self.train_data)} pictures holds out none: nothing is "
                "validated and the last weights are kept; give a larger fraction, or 0 to mean it"
            )
        self.left_out: dict[str, str] = {}  # training may replace an unreadable picture; validation never does
        if on_bad_file == "skip":
            self.val_data, self.left_out = readable(self.val_data)
        self.split_seed = split_seed
        self.origin = read_origin(weights, self.spec, prefer)
        self.weights, self.prefer = weights, prefer
        self.preprocess: Preprocess = starting_preprocess(self.recipe, self.spec, self.origin, parts["preprocess"])
        check_batch(self.spec, self.recipe, self.preprocess.size, from_environment().size)
        self.steps = self.recipe.total_steps(len(self.train_data))
        self.frozen = frozen_lines(self.spec, self.recipe, self.steps)
        self.workload = planned_workload(self.spec, self.recipe, len(self.train_data), self.preprocess.size)
        decided = decide(
            self.workload, precision=precision, tuned_allocator=tuned_allocator, world=from_environment().size
        )
        self.settings: Settings = machine_settings(decided, parts["settings"], "settings.")

    @property
    def mean_image(self) -> Tensor | None:
        """What the preprocessing subtracts where that is the mean image of the weights."""
        return self.origin.mean_image if self.origin is not None and self.preprocess.mean_image is not None else None

    def to_json(self) -> dict[str, Any]:
        """Everything that was resolved, as `--dry-run` prints it."""
        return {
            "data": {
                "path": self.data.path,
                "fingerprint": self.data.fingerprint(),
                "classes": list(self.data.classes),
                "train": len(self.train_data),
                "val": len(self.val_data),
            },
            "spec": spec_to_json(self.spec),
            "recipe": to_json(self.recipe),
            "preprocess": to_json(self.preprocess),
            "settings": to_json(self.settings),
            "steps": self.steps,
            "weights": None if self.origin is None else self.origin.to_json(self.recipe, self.preprocess),
            "frozen": self.frozen,
        }


def train(
    plan: Plan,
    *,
    out: str | os.PathLike[str],
    seed: int = 0,
    overwrite: bool = False,
    on_bad_file: OnBadFile = "stop",
    forget_pictures: bool = False,
    watch: Watch | None = None,
) -> Run:
    """Train what `plan` resolved into the run folder `out`, and write its report."""
    check_start(plan.recipe, plan.weights)
    run = fit(
        plan.spec,
        plan.train_data,
        plan.val_data,
        plan.recipe,
        out=out,
        seed=seed,
        weights=plan.weights,
        prefer=plan.prefer,
        settings=plan.settings,
        preprocess=plan.preprocess,
        split_seed=plan.split_seed,
        split_method=plan.split_method,
        overwrite=overwrite,
        on_bad_file=on_bad_file,
        forget_pictures=forget_pictures,
        watch=watch,
    )
    if from_environment().first:
        _report(run.path)
    return run


def resume(
    run: str | os.PathLike[str],
    *,
    data: str | None = None,
    allow_different_numerics: bool = False,
    watch: Watch | None = None,
) -> tuple[Run, bool]:
    """Continue a run, or finish its report; also tells whether there was nothing left to do.

    `data` is where its data has moved to.
    """
    folder = Path(run)
    sealed = (folder / "model.safetensors").exists()
    done = resume_run(folder, data=data, allow_different_numerics=allow_different_numerics, watch=watch)
    reported = (folder / "report.html").exists()
    if not (sealed and reported) and from_environment().first:  # a report of the unfinished run is out of date
        _report(folder)
    return done, sealed and reported


def _report(folder: Path) -> None:
    from .pages.run import (
        write_report,
    )  # matplotlib and jinja2, half a second: after the run, not before its first step

    with still_there(folder):
        write_report(folder)


def check_options(epochs: float | None, image_size: int | None) -> None:
    """Raise `UserError` naming the option whose value no recipe can take."""
    if epochs is not None and not 0 < epochs < math.inf:
        raise UserError(f"--epochs is {epochs:g}; it must be a positive number")
    check_at_least("--image-size", image_size, 1)


def check_spec_changes(changes: Mapping[str, str]) -> None:
    """Raise `UserError` for `spec.` assignments that the data decides about."""
    if "num_classes" in changes:
        raise UserError("--set spec.num_classes: the data gives the number of classes; leave it out")
    if changes.get("in_channels", "3") != "3":
        raise UserError(
            f"--set spec.in_channels={changes['in_channels']}: pictures are read as RGB, grey ones too; leave it at 3"
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


def check_out(out: str | os.PathLike[str], overwrite: bool) -> None:
    """Refuse a folder in use before any time is spent on data."""
    refuse_existing(Path(out), overwrite)


def by_target(changes: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """`--set` assignments by what they change: recipe (fields named bare), spec, settings, preprocess."""
    targets: dict[str, dict[str, str]] = {"recipe": {}, "spec": {}, "settings": {}, "preprocess": {}}
    for path, text in changes.items():
        target, dot, rest = path.partition(".")
        if dot and target in targets:
            targets[target][rest] = text
        else:
            targets["recipe"][path] = text
    given = [budget for budget in BUDGETS if budget in targets["recipe"]]
    if given:  # a new budget takes the place of the recipe's
        targets["recipe"] = dict.fromkeys(BUDGETS, "null") | targets["recipe"]
    return targets
