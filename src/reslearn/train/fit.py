"""`fit` and `resume`: a run folder from nothing, or from wherever it was left."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from ..bundle.file import save as seal
from ..bundle.file import verify
from ..bundle.header import Bundle, Member
from ..data.dataset import Dataset
from ..data.foreign import Transform
from ..data.loaders import TrainLoader
from ..data.sampling import class_weights
from ..measure.bn_statistics import exact_bn_statistics
from ..measure.evaluate import evaluate_net
from ..nets.build import create_model
from ..runtime import device
from ..runtime.choice import decide
from ..runtime.environment import command_line, environment
from ..runtime.files import exclusive_lock, write_json
from ..runtime.machine import MEASURE
from ..runtime.process_group import from_environment, process_group
from ..runtime.settings import Settings
from ..spec.catalogue import get_spec
from ..spec.codec import to_json
from ..spec.errors import UserError
from ..spec.net import Spec
from ..spec.preprocess import Preprocess, default_preprocess
from ..spec.recipe import Recipe
from ..spec.recipes import get_recipe
from . import checkpoint
from .checkpoint import Progress
from .journal import Journal, read_journal
from .loop import Watch, Work, train
from .record import RunRecord, read_record, record_to_json
from .schedule import start
from .setup import (
    StopSignals,
    check_numerics,
    check_world,
    clear,
    describe,
    describe_split,
    load_mean_image,
    memory_advice,
    numerics,
    open_loader,
    planned_workload,
    provisional,
    refuse_existing,
    reopen,
    save_mean_image,
    with_mean_image,
)
from .update import Update

NOT_REPRODUCIBLE = "not reproducible from its record"  # pictures went through a callable that is not in `run.json`
BN_BATCHES = 200  # exact statistics average over at most this many training batches
Build = Callable[[Spec], nn.Module]


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

    def to_json(self) -> dict[str, Any]:
        """The contract's keys."""
        return {
            "run": str(self.path),
            "model": str(self.model),
            "best_epoch": self.best_epoch,
            "val": self.val,
            "seconds": self.seconds,
            "images_per_second": self.images_per_second,
        }


def fit(
    model: str | Spec,
    train_data: Dataset,
    val_data: Dataset | None,
    recipe: str | Recipe,
    *,
    out: str | os.PathLike[str],
    seed: int = 0,
    weights: str | None = None,
    settings: Settings | None = None,
    preprocess: Preprocess | None = None,
    split_seed: int = 0,
    split_method: str = "given",
    overwrite: bool = False,
    on_bad_file: Literal["stop", "skip"] = "stop",
    transform: Transform | None = None,
    build: Build | None = None,
    watch: Watch | None = None,
) -> Run:
    """Train `model` from scratch (or `weights`) in the new run folder `out` and seal the result.

    `train_data` gives the classes; `val_data` may be None or empty, then the last weights are kept. The test split
    is not an argument: training cannot see it. `transform` takes each training picture, a `PIL.Image`, before the
    recipe's own augmentation, and returns another; no record can repeat what it did, and the run says so.
    `split_seed` and `split_method` say in `run.json` how the parts were chosen; nothing is chosen here.

    Raises `UserError` for input that cannot be trained on, before anything is written; an interrupted run is continued
    by `resume(out)`. Under `torchrun` every process calls this alike and the first one writes.
    """
    folder, recipe, world = Path(out), get_recipe(recipe), from_environment()
    if world.first:
        refuse_existing(folder, overwrite)
    spec = get_spec(model, num_classes=len(train_data.classes))
    size = recipe.image_size or spec.image_size
    preprocess = preprocess or default_preprocess(size)
    if settings is None:
        workload = planned_workload(spec, recipe, len(train_data), size)
        settings = decide(workload, world=world.size)
        if MEASURE in settings.source and world.first:
            warnings.warn(settings.source, stacklevel=2)
    check_world(recipe, settings, world)
    preprocess, mean_image = with_mean_image(recipe, preprocess, train_data, on_bad_file)
    record = RunRecord(
        spec=spec,
        recipe=recipe,
        preprocess=preprocess,
        settings=settings,
        split=describe_split(train_data, val_data, split_seed, split_method),
        seed=seed,
        data=describe(train_data),
        environment={**environment(), "numerics": numerics(world)},
        command=command_line(),
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        weights=weights,
        on_bad_file=on_bad_file,
        notes=() if transform is None else (NOT_REPRODUCIBLE,),
    )
    loader = open_loader(record, train_data, mean_image, world, watch, transform)  # a resident set's bad file stops us
    opened = new_folder(folder, record, mean_image) if world.first else contextlib.nullcontext()
    watch = watch if world.first else None
    return execute(folder, record, loader, train_data, val_data, mean_image, opened=opened, build=build, watch=watch)


@contextlib.contextmanager
def new_folder(folder: Path, record: RunRecord, mean_image: torch.Tensor | None) -> Iterator[None]:
    """The run folder made or emptied, `run.json` in it, locked while the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder / "lock"):
        clear(folder)
        if mean_image is not None:
            save_mean_image(folder, mean_image)
        write_json(folder / "run.json", record_to_json(record))
        yield


def resume(
    run: str | os.PathLike[str],
    *,
    train_data: Dataset | None = None,
    val_data: Dataset | None = None,
    transform: Transform | None = None,
    build: Build | None = None,
    watch: Watch | None = None,
    allow_different_numerics: bool = False,
) -> Run:
    """Continue the run in folder `run` to its end; a finished one is only read.

    Everything is taken from `run.json`; data given to `fit` as objects without a path must be given again, and so must
    a `transform`.
    """
    folder, world = Path(run), from_environment()
    record = read_record(folder)
    with exclusive_lock(folder / "lock") if world.first else contextlib.nullcontext():
        finished = finished_run(folder, build)
        if finished is not None:
            return finished
        check_numerics(record, world, allow_different_numerics)
        check_world(record.recipe, record.settings, world)
        if (NOT_REPRODUCIBLE in record.notes) != (transform is not None):
            raise UserError(
                f"{folder}: this run's pictures go through {'a' if transform is None else 'no'} transform given from "
                f"Python; go on with reslearn.resume(run{', transform=...' if transform is None else ''})"
            )
        if train_data is None:
            train_data, val_data = reopen(folder, record)
        mean_image = load_mean_image(folder, record)
        loader = open_loader(record, train_data, mean_image, world, watch, transform)
        watch = watch if world.first else None
        return execute(folder, record, loader, train_data, val_data, mean_image, build=build, watch=watch)


def execute(
    folder: Path,
    record: RunRecord,
    loader: TrainLoader,
    train_data: Dataset,
    val_data: Dataset | None,
    mean_image: torch.Tensor | None,
    *,
    opened: contextlib.AbstractContextManager[None] | None = None,
    build: Build | None,
    watch: Watch | None,
) -> Run:
    """From `run.json` and whatever checkpoint there is to the sealed file.

    `opened` makes a new run's folder, once the network and its optimiser stand: what cannot be built writes nothing.
    """
    recipe, settings = record.recipe, record.settings
    with contextlib.ExitStack() as stack:
        stack.enter_context(device.threads(settings.threads))
        stack.enter_context(torch.random.fork_rng())
        stop = stack.enter_context(StopSignals())
        world = stack.enter_context(process_group(settings.device))
        torch.manual_seed(record.seed)
        net = build(record.spec) if build else create_model(record.spec, weights=record.weights)
        net = net.to(settings.device).to(memory_format=device.memory_format(settings))  # type: ignore[call-overload]
        weights = class_weights(train_data.labels, len(train_data.classes), recipe.class_weights)
        balance = None if weights is None else torch.from_numpy(weights).to(settings.device)
        update = Update(net, recipe, settings, world=world, class_weights=balance)
        stack.enter_context(opened or contextlib.nullcontext())
        world.barrier()  # no process reads checkpoints before the first one has cleared the folder
        progress = checkpoint.load_newest(folder / "checkpoints", update)
        held_out = val_data if val_data is not None and len(val_data) > 0 else None
        work = Work(
            folder=folder,
            update=update,
            loader=loader,
            seed=record.seed,
            progress=progress or Progress(seen=start(recipe, record.spec.depth)),
            validate=provisional(record, held_out, mean_image) if held_out is not None else lambda _: None,
            watch=watch or (lambda event: None),
            stop=lambda: stop.received,
            world=world,
        )
        with memory_advice(recipe):
            train(work)
        finish(work, record, held_out, mean_image, build)
        world.barrier()
        run = finished_run(folder, build)
    if run is None:
        raise RuntimeError(f"{folder}: the sealed file vanished while it was written")
    return run


def finish(
    work: Work, record: RunRecord, val_data: Dataset | None, mean_image: torch.Tensor | None, build: Build | None
) -> None:
    """The one sequence that ends a run: select weights, exact BN statistics, evaluate in fp32, seal."""
    progress, recipe, net = work.progress, record.recipe, work.update.evaluated
    if recipe.select == "best" and progress.best_file is not None:
        checkpoint.load_best(work.folder / "checkpoints", progress.best_file, net)
    if recipe.bn_statistics == "exact":
        steps = min(work.loader.steps_per_epoch, BN_BATCHES)
        exact_bn_statistics(net, (batch.images for batch in work.loader.batches(0, steps)))
    net = plain_copy(net, record.spec, build)
    val = None
    if val_data is not None:
        val = evaluate_net(
            net, val_data, record.preprocess, device=record.settings.device, mean_image=mean_image
        ).to_json()
    if not work.world.first:
        return
    bundle = Bundle(
        members=(Member(record.spec),),
        preprocess=record.preprocess,
        classes=tuple(record.data["classes"]),
        recipe=to_json(recipe),
        data=record.data | {"train": len(record.split.train), "val": len(record.split.val)},
        scores={"val": val} if val is not None else {},
    )
    with Journal(work.folder / "metrics.jsonl", progress.metrics_bytes) as journal:
        journal.write(
            kind="end",
            best_epoch=progress.best_epoch,
            seconds=round(progress.seconds, 3),
            images_per_second=round(progress.images_per_second, 1),
            skipped=work.loader.skipped,
        )
        journal.flush()
    seal(work.folder / "model.safetensors", [net], bundle, mean_image=mean_image)


def plain_copy(net: nn.Module, spec: Spec, build: Build | None) -> nn.Module:
    """The network as whoever opens the sealed file will have it: torch's own layers and layout, evaluation mode."""
    fresh = build(spec) if build else create_model(spec)
    fresh.load_state_dict(net.state_dict())
    return fresh.to(next(net.parameters()).device).eval()


def finished_run(folder: Path, build: Build | None = None) -> Run | None:
    """The finished run in `folder`, read from its sealed file and journal; None while there is none."""
    model = folder / "model.safetensors"
    if not model.exists():
        return None
    end = read_journal(folder / "metrics.jsonl")[-1]
    return Run(
        path=folder,
        model=model,
        best_epoch=end["best_epoch"],
        val=verify(model, build=build).scores.get("val"),
        seconds=end["seconds"],
        images_per_second=end["images_per_second"],
        skipped=end.get("skipped") or {},
    )
