"""`reslearn.fit`: a training from Python, given as little or as much as one likes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from ..data.anything import DATA, Range, as_dataset
from ..data.augment.foreign import Transform
from ..data.dataset import Dataset
from ..data.memory import Subset
from ..data.parts.splits import choose_splits
from ..runtime.notes import say
from ..runtime.process_group import from_environment
from ..runtime.settings import Settings
from ..spec.catalogue import get_spec
from ..spec.choices import OnBadFile, Prefer, Tracker
from ..spec.errors import UserError, path_text
from ..spec.net import NetSpec, Spec
from ..spec.preprocess import Preprocess, check_image_size
from ..spec.recipe import Recipe
from ..spec.recipes import changed_recipe, get_recipe
from ..spec.rule import check_field, is_number
from ..spec.vgg import VggSpec
from ..spec.voice import PYTHON
from ..train.events import Watch
from ..train.fit import Run
from ..train.fit import fit as fit_run
from ..train.origin import check_start
from ..train.stopping import leading_on
from ..train.trackers.forward import boards, forwarded
from .advice import ahead, before
from .choosing import choose, facts_of, timed
from .naming import chosen_folder
from .probe import probed
from .progress import watching
from .resolve import BEST_KNOWN, method_of, network_of
from .training import finish_report

VAL_FRACTION = 0.1  # of data that `fit` splits itself


def fit(
    model: str | Spec | None = None,
    train_data: object = None,
    val_data: object = None,
    recipe: str | Recipe | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    epochs: float | None = None,
    val_fraction: float | None = None,
    image_size: int | None = None,
    seed: int = 0,
    weights: str | os.PathLike[str] | None = None,
    prefer: Prefer | None = None,
    settings: Settings | None = None,
    preprocess: Preprocess | None = None,
    split_seed: int = 0,
    split_method: str = "given",
    overwrite: bool = False,
    on_bad_file: OnBadFile = "stop",
    forget_pictures: bool = False,
    transform: Transform | None = None,
    value_range: Range | None = None,
    report: bool = True,
    log_to: Sequence[Tracker] = (),
    watch: Watch | None = None,
) -> Run:
    """Train `model` from scratch (or from `weights`) in a new run folder and seal the result; returns the `Run`.

    `model` is a name of `list_models()` or a spec, `recipe` a name or a `Recipe`; what is None is chosen by the table
    of docs/en/guide/training.md, as `reslearn train` does. `train_data` is a path, a data set of `open_data`, arrays
    (pictures, labels), or a map-style data set of (picture, label), floats with `value_range`. Without `val_data`, of a
    path its `val` is validated on, or else `val_fraction` (0.1) of its `train` held out; of data given as an object a
    part is held out only where `val_fraction` says so, drawn by `split_seed`. Its test split is never looked at.
    `split_method` says in the record how parts that are given came about.

    `out` is the run folder, `runs/SET-1`, `-2`, ... unless given; `epochs` a budget in place of the recipe's;
    `image_size` the side of the input in pixels. `weights` is what `create_model` reads; without a `preprocess`, the
    one sealed with them is adopted. `transform` takes each training picture, a `PIL.Image`, before the recipe's own
    augmentation; no record can repeat what it did, and the run says so. Progress is shown unless `watch` is given,
    which is told of each step; the page `report.html` is written unless `report` is false. `log_to` names boards
    (tensorboard, wandb, mlflow, trackio) that are told every line of its journal, too.

    Raises `UserError` for input that cannot be trained on, before anything is written; an interrupted run is continued
    by `resume(out)`. Under `torchrun` every process calls this alike and the first one writes.
    """
    _check(model, train_data)
    _check_options(epochs, val_fraction, seed, settings, watch, transform)
    check_image_size(image_size)
    whole = as_dataset(train_data, value_range)
    val = None if val_data is None else as_dataset(val_data, value_range, classes=whole.classes)
    train: Dataset = whole
    named = isinstance(train_data, (str, os.PathLike))
    if val is None and (named or val_fraction is not None):
        fraction = VAL_FRACTION if val_fraction is None else val_fraction
        splits = choose_splits(whole, val_fraction=fraction, split_seed=split_seed)
        train, val = Subset(whole, splits["train"]), Subset(whole, splits["val"])
        split_method = method_of(whole, splits, fraction)
    elif named and "train" in whole.splits:
        train = Subset(whole, whole.splits["train"])
    spec, how, size = _chosen(model, recipe, train, epochs=epochs, image_size=image_size, weights=weights)
    if size is not None:
        how = changed_recipe(how, image_size=size)
    started = None if weights is None else path_text(weights, "weights is a file, a name or an address")
    check_start(how, started)
    begins = boards(log_to)
    folder = chosen_folder(whole.path or "run") if out is None else path_text(out, "out is the run folder")
    if out is None:
        say(f"run       {folder}")
    if named and val is not None and val_fraction and "val" in whole.splits:
        say(f"note      {whole.path}: it has a val of its own, so nothing more is held out by val_fraction")
    for line in before(ahead(how, train, 0 if val is None else len(val), weights=started, spec=spec), PYTHON):
        say(f"advice    {line}")
    with leading_on(Path(folder), data=whole.path, voice=PYTHON):
        shown = contextlib.nullcontext(watch) if watch is not None else watching()
        with shown as alone, forwarded(begins, Path(folder), alone) as told:
            run = fit_run(
                spec, train, val, how, out=folder, seed=seed, weights=started, prefer=prefer, settings=settings,
                preprocess=preprocess, split_seed=split_seed, split_method=split_method, overwrite=overwrite,
                on_bad_file=on_bad_file, forget_pictures=forget_pictures, transform=transform, watch=told,
            )  # fmt: skip
        if from_environment().first:
            run = probed(run, lambda record: (train, val))
            if report:
                finish_report(run.path, PYTHON)
    return run


def _check(model: object, train_data: object) -> None:
    """Raise `UserError` for what `fit` does not take, saying what it does."""
    if isinstance(model, (nn.Module, type)):
        name = model.__name__ if isinstance(model, type) else type(model).__name__
        raise UserError(
            f"fit builds its network from a name or a spec, so that the run says what it is; {name} is an nn.Module: "
            "give a name of list_models() or net.spec (create_model makes the same), or train it in a loop of your own "
            "and seal it with reslearn.save"
        )
    if not isinstance(model, (str, NetSpec, VggSpec, type(None))):
        raise UserError(f"model is a name of list_models(), a NetSpec or a VggSpec; found {type(model).__name__}")
    if train_data is None:
        if isinstance(model, str) and os.path.exists(model):
            raise UserError(f"fit: {model} is data, the second argument; write reslearn.fit(train_data={model!r})")
        raise UserError(f"fit needs train_data: {DATA}")


def _check_options(
    epochs: object, val_fraction: object, seed: object, settings: object, watch: object, transform: object
) -> None:
    check_field(Recipe, "epochs", epochs, "epochs")
    if val_fraction is not None and not (is_number(val_fraction) and 0 <= val_fraction < 1):
        raise UserError(f"val_fraction is {val_fraction!r}; it must lie in [0, 1)")
    if not is_number(seed, whole=True):
        raise UserError(f"seed is {seed!r}; it must be a whole number")
    if not (transform is None or callable(transform)):
        raise UserError(f"transform is {transform!r}; it must be a function of a picture, which returns a PIL image")
    if not (watch is None or callable(watch)):
        raise UserError(f"watch is {watch!r}; it must be a function, which is told of each step")
    if not isinstance(settings, (Settings, type(None))):
        raise UserError(f"settings is a reslearn.Settings; found {type(settings).__name__}")


def _chosen(
    model: str | Spec | None,
    recipe: str | Recipe | None,
    train: Dataset,
    *,
    epochs: float | None,
    image_size: int | None,
    weights: str | os.PathLike[str] | None,
) -> tuple[Spec, Recipe, int | None]:
    """Network, recipe and input size, with what was not named chosen and said."""
    budget = {} if epochs is None else {"epochs": epochs}
    if model is None and weights is not None and weights != BEST_KNOWN:
        model = network_of(os.fspath(weights))
    if model is not None and recipe is not None:
        return get_spec(model), changed_recipe(recipe, **budget), image_size
    if model is not None:
        get_spec(model)
    if recipe is not None:
        get_recipe(recipe)
    choice = choose(
        facts_of(train),
        model=model,
        recipe=recipe,
        image_size=image_size,
        from_weights=weights is not None,
        fixed=frozenset(budget),
        epochs=epochs,
    )
    how = changed_recipe(recipe or choice.recipe or "", **choice.values() | budget)
    spec, size = get_spec(model or choice.model or ""), image_size or choice.image_size
    timed(choice, spec, replace(how, image_size=size or how.image_size), len(train)).tell(PYTHON)
    return spec, how, size
