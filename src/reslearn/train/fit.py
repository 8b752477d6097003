"""`fit` and `resume`: a run folder from nothing, or from wherever it was left."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..bundle.file import save as seal
from ..bundle.file import verify
from ..bundle.header import Bundle, Member
from ..data.dataset import Dataset
from ..data.loaders import TrainLoader
from ..measure.bn_statistics import exact_bn_statistics
from ..measure.evaluate import evaluate_net
from ..nets.build import create_model
from ..runtime import device
from ..runtime.environment import environment
from ..runtime.files import exclusive_lock, write_json
from ..runtime.settings import Settings
from ..spec.catalogue import get_spec
from ..spec.codec import to_json
from ..spec.net import Spec
from ..spec.preprocess import Preprocess, default_preprocess
from ..spec.recipe import Recipe
from ..spec.recipes import get_recipe
from . import checkpoint
from .checkpoint import Progress
from .journal import Journal, read_journal
from .loop import Tick, Work, train
from .optimiser import build_optimiser
from .record import RunRecord, Split, read_record, record_to_json
from .setup import (
    StopSignals,
    check_numerics,
    clear,
    describe,
    numerics,
    open_loader,
    planned_macs,
    provisional,
    refuse_existing,
    reopen,
)

Build = Callable[[Spec], nn.Module]
Watch = Callable[[Tick], None]


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, its sealed file, and the numbers that `train --json` prints."""

    path: Path
    model: Path
    best_epoch: float | None
    val: dict[str, Any] | None  # an `evaluate` object, fp32, of the sealed weights
    seconds: float
    images_per_second: float

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
    overwrite: bool = False,
    build: Build | None = None,
    watch: Watch | None = None,
) -> Run:
    """Train `model` from scratch (or `weights`) in the new run folder `out` and seal the result.

    `train_data` gives the classes; `val_data` may be None or empty, then the last weights are kept. The test split
    is not an argument: training cannot see it. Raises `UserError` for input that cannot be trained on, before
    anything is written; an interrupted run is continued by `resume(out)`.
    """
    folder = Path(out)
    refuse_existing(folder, overwrite)
    recipe = get_recipe(recipe)
    spec = get_spec(model, num_classes=len(train_data.classes))
    size = recipe.image_size or spec.image_size
    preprocess = preprocess or default_preprocess(size)
    if settings is None:
        settings = device.decide(training_macs=planned_macs(spec, recipe, len(train_data), size))
    record = RunRecord(
        spec=spec,
        recipe=recipe,
        preprocess=preprocess,
        settings=settings,
        split=Split(tuple(train_data.ids), tuple(val_data.ids) if val_data is not None else (), split_seed),
        seed=seed,
        data=describe(train_data),
        environment={**environment(), "numerics": numerics()},
        command=shlex.join(["reslearn", *sys.argv[1:]]) if sys.argv else "",
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        weights=weights,
    )
    loader = open_loader(record, train_data)  # reads every picture of a resident set: a bad file stops us here
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder / "lock"):
        clear(folder)
        write_json(folder / "run.json", record_to_json(record))
        return execute(folder, record, loader, train_data, val_data, build=build, watch=watch)


def resume(
    run: str | os.PathLike[str],
    *,
    train_data: Dataset | None = None,
    val_data: Dataset | None = None,
    build: Build | None = None,
    watch: Watch | None = None,
    allow_different_numerics: bool = False,
) -> Run:
    """Continue the run in folder `run` to its end; a finished one is only read.

    Everything is taken from `run.json`; data given to `fit` as objects without a path must be given again.
    """
    folder = Path(run)
    record = read_record(folder)
    with exclusive_lock(folder / "lock"):
        finished = finished_run(folder)
        if finished is not None:
            return finished
        check_numerics(record, allow_different_numerics)
        if train_data is None:
            train_data, val_data = reopen(folder, record)
        loader = open_loader(record, train_data)
        return execute(folder, record, loader, train_data, val_data, build=build, watch=watch)


def execute(
    folder: Path,
    record: RunRecord,
    loader: TrainLoader,
    train_data: Dataset,
    val_data: Dataset | None,
    *,
    build: Build | None,
    watch: Watch | None,
) -> Run:
    """From `run.json` and whatever checkpoint there is to the sealed file."""
    with device.threads(record.settings.threads), torch.random.fork_rng(), StopSignals() as signals:
        torch.manual_seed(record.seed)
        net = build(record.spec) if build else create_model(record.spec, weights=record.weights)
        net = net.to(record.settings.device).to(memory_format=device.memory_format(record.settings))  # type: ignore[call-overload]
        optimiser = build_optimiser(net, record.recipe)
        progress = checkpoint.load_newest(folder / "checkpoints", net, optimiser)
        has_val = val_data is not None and len(val_data) > 0
        work = Work(
            folder=folder,
            net=net,
            optimiser=optimiser,
            loader=loader,
            recipe=record.recipe,
            settings=record.settings,
            seed=record.seed,
            progress=progress,
            validate=provisional(record, val_data) if has_val and val_data is not None else lambda _: None,
            watch=watch or (lambda tick: None),
            stop=lambda: signals.received,
        )
        train(work)
        return finish(folder, record, net, progress, loader, val_data if has_val else None)


def finish(
    folder: Path, record: RunRecord, net: nn.Module, progress: Progress, loader: TrainLoader, val_data: Dataset | None
) -> Run:
    """The one sequence that ends a run: select weights, exact BN statistics, evaluate in fp32, seal."""
    if record.recipe.select == "best" and progress.best_file is not None:
        checkpoint.load_best(folder / "checkpoints", progress.best_file, net)
    if record.recipe.bn_statistics == "exact":
        exact_bn_statistics(net, (batch.images for batch in loader.batches(0, min(loader.steps_per_epoch, 200))))
    net.eval()
    val = None
    if val_data is not None:
        val = evaluate_net(net, val_data, record.preprocess, device=record.settings.device).to_json()
    bundle = Bundle(
        members=(Member(record.spec),),
        preprocess=record.preprocess,
        classes=tuple(record.data["classes"]),
        recipe=to_json(record.recipe),
        data=record.data | {"train": len(record.split.train), "val": len(record.split.val)},
        scores={"val": val} if val is not None else {},
    )
    with Journal(folder / "metrics.jsonl", progress.metrics_bytes) as journal:
        journal.write(
            kind="end",
            best_epoch=progress.best_epoch,
            seconds=round(progress.seconds, 3),
            images_per_second=round(progress.images_per_second, 1),
        )
        journal.flush()
    seal(folder / "model.safetensors", [net], bundle)
    run = finished_run(folder)
    if run is None:
        raise RuntimeError(f"{folder}: the sealed file vanished while it was written")
    return run


def finished_run(folder: Path) -> Run | None:
    """The finished run in `folder`, read from its sealed file and journal; None while there is none."""
    model = folder / "model.safetensors"
    if not model.exists():
        return None
    end = read_journal(folder / "metrics.jsonl")[-1]
    return Run(
        path=folder,
        model=model,
        best_epoch=end["best_epoch"],
        val=verify(model).scores.get("val"),
        seconds=end["seconds"],
        images_per_second=end["images_per_second"],
    )
