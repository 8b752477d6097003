"""`fit` and `resume`: a run folder from nothing, or from wherever it was left."""

from __future__ import annotations

import contextlib
import os
import warnings
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..bundle.file import verify
from ..bundle.header import Bundle, Member
from ..data.augment.foreign import Transform
from ..data.dataset import Dataset
from ..runtime.choice import decide, planned_workload
from ..runtime.device import check_settings
from ..runtime.environment import command_line, environment, now
from ..runtime.files import exclusive_lock
from ..runtime.machine import MEASURE
from ..runtime.process_group import from_environment, process_group
from ..runtime.settings import Settings
from ..spec.catalogue import get_spec
from ..spec.choices import OnBadFile, Prefer
from ..spec.errors import Fault, UserError, path_text
from ..spec.net import Spec
from ..spec.preprocess import Preprocess
from ..spec.recipe import Recipe
from ..spec.recipes import get_recipe
from .batch_size import check_batch, check_world
from .events import Watch
from .execute import execute, forget
from .folder import new_folder, refuse_existing, still_there
from .mean_image import load_mean_image, with_mean_image
from .numerics import carried_on, numerics
from .origin import Origin, read_origin, starting_preprocess
from .parts import check_trainable, open_parts
from .pictures import RunPictures, marks_of, seen_before
from .records.belonging import check_belongs
from .records.journal import last_line
from .records.run import RunRecord, describe, describe_split, read_record, validation_by_names, whole_of, write_record
from .records.terms import Terms
from .reopening import Reopened, recheck, reopen
from .together import together

NOT_REPRODUCIBLE = "not reproducible from its record"  # pictures went through a callable that is not in `run.json`


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, its sealed file, and the numbers that `train --json` prints."""

    path: Path
    model: Path
    best_epoch: float | None
    val: dict[str, Any] | None  # an `evaluate` object, fp32, of the sealed weights
    seconds: float
    images_per_second: float
    skipped: dict[str, str] = field(default_factory=dict)  # unreadable training pictures, with `on_bad_file="skip"`
    probe: dict[str, float] | None = None  # what a linear probe on the weights that it began with reaches

    def to_json(self) -> dict[str, Any]:
        """The contract's keys, and `probe` where there is one."""
        probe = {} if self.probe is None else {"probe": self.probe}
        return probe | {
            "run": str(self.path),
            "model": str(self.model),
            "best_epoch": self.best_epoch,
            "val": self.val,
            "seconds": self.seconds,
            "images_per_second": self.images_per_second,
        }

    def __fspath__(self) -> str:
        """Its folder, so that this goes wherever a model's path goes."""
        return str(self.path)

    def __repr__(self) -> str:
        val = "not validated"
        if self.val is not None:
            val = f"{100 * self.val['top1']:.2f} % of {self.val['images']:,} validation pictures right"
        return f"Run({self.path}: {val}, {self.seconds:.0f} s of training)"

    def _repr_html_(self) -> str:
        """For a notebook: the headline and the curves."""
        from .records.shown import run_html

        return run_html(self.path, str(self.model), repr(self)[4:-1], self.images_per_second, self.val)


def fit(
    model: str | Spec,
    train_data: Dataset,
    val_data: Dataset | None,
    recipe: str | Recipe,
    *,
    out: str | os.PathLike[str],
    seed: int = 0,
    weights: str | None = None,
    prefer: Prefer | None = None,
    settings: Settings | None = None,
    preprocess: Preprocess | None = None,
    split_seed: int = 0,
    split_method: str = "given",
    overwrite: bool = False,
    on_bad_file: OnBadFile = "stop",
    forget_pictures: bool = False,
    transform: Transform | None = None,
    watch: Watch | None = None,
) -> Run:
    """Train `model` from scratch (or `weights`) in the new run folder `out` and seal the result.

    `weights` is a file, run folder or address that `create_model` reads; `prefer` chooses in it between plain and
    averaged ones. Without a `preprocess`, the one known of them is adopted (`train.origin`).

    `train_data` gives the classes; `val_data` may be None or empty, then the last weights are kept. The test split
    is not an argument: training cannot see it. `transform` takes each training picture, a `PIL.Image`, before the
    recipe's own augmentation, and returns another; no record can repeat what it did, and the run says so.
    `split_seed` and `split_method` say in `run.json` how the parts were chosen; nothing is chosen here. The sealed file
    recognises the pictures that were trained on, unless `forget_pictures` leaves that out.

    Raises `UserError` for input that cannot be trained on, before anything is written; an interrupted run is continued
    by `resume(out)`. Under `torchrun` every process calls this alike and the first one writes.
    """
    recipe, spec = get_recipe(recipe), get_spec(model, num_classes=len(train_data.classes))
    origin = read_origin(weights, spec, prefer)
    weights = None if origin is None else origin.path
    preprocess = preprocess or starting_preprocess(recipe, spec, origin)
    if settings is None:
        world, workload = from_environment(), planned_workload(spec, recipe, len(train_data), preprocess.size)
        settings = decide(workload, world=world.size)
        if MEASURE in settings.source and world.first:
            warnings.warn(settings.source, stacklevel=2)
    terms = Terms(
        spec=spec,
        recipe=recipe,
        preprocess=preprocess,
        settings=settings,
        seed=seed,
        weights=weights,
        prefer=prefer,
        on_bad_file=on_bad_file,
        forget_pictures=forget_pictures,
    )
    return begin(
        terms,
        train_data,
        val_data,
        out=out,
        origin=origin,
        split_seed=split_seed,
        split_method=split_method,
        overwrite=overwrite,
        transform=transform,
        watch=watch,
    )


def begin(
    terms: Terms,
    train_data: Dataset,
    val_data: Dataset | None,
    *,
    out: str | os.PathLike[str],
    origin: Origin | None,
    split_seed: int,
    split_method: str,
    overwrite: bool = False,
    transform: Transform | None = None,
    watch: Watch | None = None,
) -> Run:
    """`fit` for what is decided already: a run on `terms`, which starts from `origin`, the weights that they name."""
    folder, world, recipe = Path(out), from_environment(), terms.recipe
    if world.first:
        refuse_existing(folder, overwrite)
    check_settings(terms.settings)
    check_trainable(train_data, val_data)
    check_world(recipe, world)
    check_batch(terms.spec, recipe, terms.preprocess.size, world.size)
    adopted = None if origin is None else origin.mean_image
    preprocess, mean_image = with_mean_image(recipe, terms.preprocess, train_data, terms.on_bad_file, adopted)
    Bundle((Member(terms.spec),), preprocess, classes=tuple(train_data.classes))  # what cannot be sealed is not trained
    record = RunRecord(
        **terms.shared() | {"preprocess": preprocess},
        split=describe_split(train_data, val_data, split_seed, split_method),
        data=describe(train_data) | marks_of(terms.weights),
        environment={**environment(), "numerics": numerics(world)},
        command=command_line(),
        created=now(),
        weights_sha256=None if origin is None else origin.sha256,
        source=None if origin is None else origin.source,
        notes=() if transform is None else (NOT_REPRODUCIBLE,),
    )
    pictures = RunPictures(train_data, val_data, seen_before(terms.weights, whole_of(train_data)))
    with process_group(terms.settings.device) as world:  # before that, this process has no GPU of its own
        record = replace(record, settings=world.tell(terms.settings))  # another machine might choose otherwise
        parts = open_parts(record, pictures, mean_image, world, watch, transform)
        opened = new_folder(folder, record, mean_image, pictures) if world.first else contextlib.nullcontext()
        execute(folder, record, parts, world, opened=opened, watch=watch)
    return sealed_run(folder)


def resume(
    run: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    train_data: Dataset | None = None,
    val_data: Dataset | None = None,
    transform: Transform | None = None,
    watch: Watch | None = None,
    allow_different_numerics: bool = False,
) -> Run:
    """Continue the run in folder `run` to its end; a finished one is only read.

    Everything is taken from `run.json`; data given to `fit` as objects without a path must be given again, and so must
    a `transform`. `data` is where the data has moved to, which is noted in `run.json`.

    Raises `UserError`, in every process and before anything is written, where classes, labels or pictures of the run's
    parts are not those that it began with.
    """
    folder, world = Path(path_text(run, "resume takes the folder of a run")), from_environment()
    before = record = read_record(folder)
    if data is not None and train_data is not None:
        raise UserError("resume: give data, where it has moved to, or train_data and val_data, not both")
    with exclusive_lock(folder / "lock") if world.first else contextlib.nullcontext():
        finished = finished_run(folder)
        if finished is not None:
            forget(folder, record)
            if data is not None and world.first:
                rewrite(folder, record, reopen(folder, record, os.fspath(data)))
            return finished
        record = carried_on(folder, record, world, allow_different_numerics)
        check_world(record.recipe, world)
        check_batch(record.spec, record.recipe, record.preprocess.size, world.size)
        if (NOT_REPRODUCIBLE in record.notes) != (transform is not None):
            raise UserError(
                f"{folder}: this run's pictures go through {'a' if transform is None else 'no'} transform given from "
                f"Python; go on with reslearn.resume(run{', transform=...' if transform is None else ''})"
            )
        with process_group(record.settings.device) as world:
            record = world.tell(record)
            find = (
                partial(reopen, folder, record, None if data is None else os.fspath(data))
                if train_data is None
                else partial(recheck, folder, record, train_data, val_data)
            )
            again = together(world, find)
            mean_image = load_mean_image(folder, record)
            pictures = RunPictures(again.train, again.val, seen_before(record.weights, whole_of(again.train)))
            pictures.recall(folder, record.data["fingerprint"])
            rewrite(folder, before, again)
            parts = open_parts(record, pictures, mean_image, world, watch, transform)
            execute(folder, again.record, parts, world, watch=watch)
        return sealed_run(folder)


def rewrite(folder: Path, before: RunRecord, again: Reopened) -> None:
    """Write into `run.json` where the data is now, if it has moved, and on what it goes on, if on something else."""
    if from_environment().first and again.record != before:
        write_record(folder, again.record)


def finished_run(folder: Path) -> Run | None:
    """The finished run in `folder`, read from its sealed file and journal; None while there is none."""
    model = folder / "model.safetensors"
    if not model.exists():
        return None
    journal = folder / "metrics.jsonl"
    end = last_line(journal)
    if end is None:
        raise UserError(f"{journal}: its last line is gone, though the run is sealed; put a copy of it back")
    record, bundle = read_record(folder), verify(model)
    check_belongs(model, bundle.data, record)
    val = bundle.scores.get("val")
    if val is not None and "seen" not in val:  # sealed before scores said it
        val = {**val, "seen": validation_by_names(record).to_json()}
    return Run(
        path=folder,
        model=model,
        best_epoch=end["best_epoch"],
        val=val,
        seconds=end["seconds"],
        images_per_second=end["images_per_second"],
        skipped=end.get("skipped") or {},
    )


def sealed_run(folder: Path) -> Run:
    """The run that was just sealed in `folder`. Raises `Fault` where it is gone already."""
    with still_there(folder):
        run = finished_run(folder)
    if run is None:
        raise Fault(f"{folder}: its sealed file was removed as soon as it was written; train anew")
    return run
