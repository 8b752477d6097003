"""A probe before a long run: how fast, how much memory, what holds it back, how long in all, does the disk suffice?"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..data.loaders import TrainLoader, train_loader
from ..data.preprocess import Normalise
from ..nets.build import create_model
from ..runtime.choice import COMPILE_SECONDS, has_compiler, saved_seconds, this_machine
from ..runtime.load import Load, Watcher
from ..runtime.process_group import from_environment
from ..runtime.processor import cores
from ..runtime.settings import Settings
from ..runtime.switches import owned
from ..spec.codec import fields_to_json
from ..spec.errors import UserError
from ..train.checkpoint import KEEP
from ..train.update import Update, prepare_update
from .resolve import Plan

PROBE_SECONDS = 12.0  # for the steps and for the loader, each
MEMORY_SHARE = 0.85  # of what there is, beyond which accumulation is suggested


@dataclass(frozen=True)
class Forecast:
    """What a run would cost. Times leave out validation and the one compilation, told apart."""

    images_per_second: float
    loader_images_per_second: float
    bound: str  # "loader" or "compute"
    memory_bytes: int  # peak so far: of the GPU, or resident in this process
    memory_available_bytes: int
    first_step_seconds: float  # with compilation, where that is chosen
    seconds_per_epoch: float
    seconds_total: float
    steps: int
    checkpoint_bytes: int  # all that a run keeps, the sealed file included
    free_disk_bytes: int
    suggestion: str  # the --set line to paste; empty when nothing would be better
    spread: float  # of the steps' times: interquartile range over median
    busy: str  # why these times do not tell what the machine can do; empty where nothing speaks against them
    settings: Settings

    def __repr__(self) -> str:
        rate, total = f"{self.images_per_second:,.0f} images/s", f"{self.seconds_total:,.0f} s in all"
        return f"Forecast({rate}, bound by {self.bound}, {total}, {self.memory_bytes / 2**30:.1f} GiB)"

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return fields_to_json(self)


def forecast(plan: Plan, *, seconds: float = PROBE_SECONDS) -> Forecast:
    """Load and train for `seconds` as the run would, and extrapolate. Raises `UserError` unless they are positive."""
    check_seconds(seconds)
    start = plan.start
    recipe, settings = start.recipe, start.settings
    loader = train_loader(
        plan.train_data,
        normalise=Normalise(start.preprocess, start.mean_image).to(settings.device),
        augment=recipe.augment,
        batch_size=recipe.batch_size,
        seed=0,
        workers=settings.workers,
        kind=settings.loader,
        on_bad_file=plan.request.on_bad_file,
    )
    loading = _loader_rate(loader, seconds)
    with owned(settings.threads):
        update, first, training, load = _training_rate(plan, loader, seconds)
    rate = min(training, loading) if loader.kind == "streaming" else training
    tensors = [*update.net.state_dict().values()]
    copies = 1 + (update.average is not None) + _slots(update)
    weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    total = plan.steps * recipe.batch_size / rate
    bound = "loader" if loading < training else "compute"
    memory, available = _memory(settings)
    return Forecast(
        images_per_second=round(rate, 1),
        loader_images_per_second=round(loading, 1),
        bound=bound,
        memory_bytes=memory,
        memory_available_bytes=available,
        first_step_seconds=round(first, 2),
        seconds_per_epoch=round(len(plan.train_data) / rate, 1),
        seconds_total=round(total + first, 1),
        steps=plan.steps,
        checkpoint_bytes=weights * (KEEP * copies + 2),
        free_disk_bytes=shutil.disk_usage(Path.cwd()).free,
        suggestion=suggest(plan, loader, bound=bound, memory=memory / available, total=None if load.busy else total),
        spread=round(load.spread, 3),
        busy=load.busy,
        settings=settings,
    )


DAY = 86_400


def check_seconds(seconds: float) -> None:
    """Raise `UserError` unless there is time to probe."""
    if not 0 < seconds <= DAY:
        raise UserError(f"--seconds is {seconds:g}; it must be a positive number, at most {DAY:,} (a day)")


def suggest(plan: Plan, loader: TrainLoader, *, bound: str, memory: float, total: float | None) -> str:
    """The `--set` line that would make the run faster or fit, from what was measured.

    `total` is how many seconds the run would take; None on a busy machine, whose times say nothing of its settings.
    """
    settings, recipe = plan.start.settings, plan.start.recipe
    changes = []
    if total is not None and bound == "loader" and loader.kind == "streaming" and settings.workers < cores():
        changes.append(f"settings.workers={cores()}")
    if total is not None and not settings.compile and has_compiler():
        rates = this_machine(world=from_environment().size).rates
        if saved_seconds(settings, plan.start.workload, rates, total) > COMPILE_SECONDS:
            changes.append("settings.compile=true")
    if memory > MEMORY_SHARE:
        changes.append(f"accumulate={2 * recipe.accumulate}")  # batch norm then sees half as many pictures at once
    return " ".join(f"--set {change}" for change in changes)


def _loader_rate(loader: TrainLoader, seconds: float) -> float:
    """Pictures per second of the loader alone."""
    count, started = 0, 0.0
    for index, batch in enumerate(loader.batches(0, sys.maxsize)):
        if index == 0:
            started = time.perf_counter()  # what the first batch sets up does not count
            continue
        count += len(batch.labels)
        if time.perf_counter() - started > seconds or index > 200:
            break
    return count / (time.perf_counter() - started)


def _training_rate(plan: Plan, loader: TrainLoader, seconds: float) -> tuple[Update, float, float, Load]:
    """The trained network, seconds of the first step, pictures per second of the steps after it, the load meanwhile."""
    recipe, settings = replace(plan.start.recipe, bn_sync=False), plan.start.settings
    update = prepare_update(create_model(plan.start.spec), recipe, settings, plan.train_data)
    update.train_mode()
    times: list[float] = []
    started, watcher = time.perf_counter(), Watcher(settings.threads)
    for batch in loader.batches(0, sys.maxsize):
        if len(times) == 2:
            watcher = Watcher(settings.threads)
        before = time.perf_counter()
        update(batch, recipe.peak_lr / 100, 1.0)
        times.append(time.perf_counter() - before)
        if len(times) > 4 and time.perf_counter() - started - times[0] > seconds:
            break
    return update, times[0], recipe.batch_size / statistics.median(times[2:]), watcher.load(times[2:])


def _slots(update: Update) -> int:
    """Optimiser tensors per weight."""
    states = [state for state in update.optimiser.state.values() if state]
    return max((sum(getattr(value, "ndim", 0) > 0 for value in state.values()) for state in states), default=0)


def _memory(settings: Settings) -> tuple[int, int]:
    """Peak bytes in use and bytes there are."""
    if settings.device.startswith("cuda"):
        return torch.cuda.max_memory_reserved(), torch.cuda.get_device_properties(settings.device).total_memory
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return peak, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
