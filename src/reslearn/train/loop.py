"""The training loop. There is one.

    for every step s of the budget:
        lr     = schedule(s)                       a pure function of the step
        batch  = positions [s B, (s + 1) B)        a pure function of the step
        loss   = cross entropy of net(batch)       under the precision of the settings
        w     <- optimiser(w, gradient, lr)
        at an epoch's end: a line in the journal; now and then: validation; every minute: a checkpoint

Nothing else decides what happens, so a run that is killed and resumed takes the same steps to the same bits.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.loaders import Batch, TrainLoader
from ..runtime import random
from ..runtime.device import autocast, memory_format
from ..runtime.settings import Settings
from ..spec.errors import UserError
from ..spec.recipe import Recipe
from . import checkpoint
from .checkpoint import Progress
from .journal import Journal
from .optimiser import set_learning_rate
from .schedule import learning_rate


@dataclass(frozen=True)
class Tick:
    """What a progress display is told after each step."""

    step: int
    total: int
    epoch: float
    loss: float
    error: float  # percent, over the running epoch
    lr: float
    images_per_second: float
    val_error: float | None  # percent, at the last validation


@dataclass
class Work:
    """One run's moving parts, as the loop needs them."""

    folder: Path
    net: nn.Module
    optimiser: torch.optim.Optimizer
    loader: TrainLoader
    recipe: Recipe
    settings: Settings
    seed: int
    progress: Progress
    validate: Callable[[nn.Module], tuple[float, float] | None]  # -> loss and error in percent, provisional
    watch: Callable[[Tick], None] = lambda tick: None
    stop: Callable[[], int | None] = lambda: None  # asked after every step: the signal that ends the run
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=200))  # seconds of the newest steps
    val_error: float | None = None

    @property
    def total(self) -> int:
        """Optimiser steps of the whole budget."""
        return self.recipe.total_steps(self.loader.epoch_length)

    def epochs(self, step: int) -> float:
        """Epochs done after `step` steps."""
        return step * self.recipe.batch_size / self.loader.epoch_length


class Interrupted(Exception):
    """The run was asked to stop by signal `signum`; its state is on disk and `resume` goes on from there."""

    def __init__(self, folder: Path, signum: int) -> None:
        super().__init__(f"stopped and saved; go on with: reslearn resume {folder}")
        self.signum = signum


def train(work: Work) -> None:
    """Take the steps from `work.progress.step` to the end of the budget. Raises `Interrupted` when asked to stop."""
    recipe, progress, net = work.recipe, work.progress, work.net
    forward = loss_function(net, recipe, work.settings)
    last_save = time.monotonic()
    with Journal(work.folder / "metrics.jsonl", progress.metrics_bytes) as journal:
        net.train()
        before = time.perf_counter()
        for batch in work.loader.batches(progress.step, work.total):
            lr = learning_rate(recipe, progress.step, work.total)
            set_learning_rate(work.optimiser, lr)
            torch.manual_seed(random.key(work.seed, f"layers/{progress.step}"))  # dropout, stochastic depth

            loss, wrong = forward(batch)
            loss.backward()  # type: ignore[no-untyped-call]
            work.optimiser.step()
            work.optimiser.zero_grad(set_to_none=True)

            before = _account(work, journal, lr, len(batch.labels), loss.item(), int(wrong), before)
            validated = _end_of_epoch(work, journal, before)
            if validated:
                before = time.perf_counter()  # validation is not part of the loop's time
            signum = work.stop()
            if validated or signum or time.monotonic() - last_save > recipe.checkpoint_every:
                progress.metrics_bytes = journal.flush()
                checkpoint.save(work.folder / "checkpoints", net, work.optimiser, progress)
                last_save, before = time.monotonic(), time.perf_counter()
            if signum and progress.step < work.total:
                raise Interrupted(work.folder, signum)


def loss_function(net: nn.Module, recipe: Recipe, settings: Settings) -> Callable[[Batch], tuple[Tensor, Tensor]]:
    """Batch -> (mean loss, number of wrong first guesses); compiled where the settings say so."""
    layout = memory_format(settings)

    def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing, reduction="none")

    def forward(images: Tensor, labels: Tensor, partner: Tensor | None, share: Tensor | None) -> tuple[Tensor, Tensor]:
        with autocast(settings):
            logits = net(images)
        logits = logits.float()
        losses = cross_entropy(logits, labels)
        if partner is not None and share is not None:  # MixUp, CutMix: two labels, weighted
            losses = share * losses + (1 - share) * cross_entropy(logits, partner)
        return losses.mean(), (logits.argmax(1) != labels).sum()

    run = torch.compile(forward, dynamic=False) if settings.compile else forward
    return lambda batch: run(batch.images.to(memory_format=layout), batch.labels, batch.partner, batch.share)


def _account(work: Work, journal: Journal, lr: float, images: int, loss: float, wrong: int, before: float) -> float:
    """Count the step that was just taken and tell of it; returns the time at which the next one starts."""
    progress = work.progress
    if not math.isfinite(loss):
        raise UserError(
            f"{work.folder}: the loss became {loss} at step {progress.step} with learning rate {lr:.4g}; "
            f"the last good checkpoint is kept; train again with a lower one, e.g. --set lr={work.recipe.lr / 4:.3g}"
        )
    now = time.perf_counter()
    work.recent.append(now - before)
    progress.seconds += now - before
    progress.images_per_second = images / statistics.median(work.recent)
    progress.epoch_loss += loss * images
    progress.epoch_wrong += wrong
    progress.epoch_images += images
    journal.write(kind="step", step=progress.step, loss=loss, lr=lr)
    progress.step += 1
    error = 100 * progress.epoch_wrong / progress.epoch_images
    epoch, rate = work.epochs(progress.step), progress.images_per_second
    work.watch(Tick(progress.step, work.total, epoch, loss, error, lr, rate, work.val_error))
    return now


def _end_of_epoch(work: Work, journal: Journal, now: float) -> bool:
    """At an epoch's end write its line; where validation is due, validate and keep the best. True if it validated."""
    progress, recipe, last = work.progress, work.recipe, work.progress.step == work.total
    if not last and int(work.epochs(progress.step)) == int(work.epochs(progress.step - 1)):
        return False
    due = last or int(work.epochs(progress.step) / recipe.validate_every) > int(
        work.epochs(progress.step - 1) / recipe.validate_every
    )
    scores = work.validate(work.net) if due else None
    work.net.train()
    if scores is not None:
        work.val_error = scores[1]
        if progress.best_error is None or scores[1] < progress.best_error:
            progress.best_error, progress.best_epoch = scores[1], work.epochs(progress.step)
            if recipe.select == "best":
                progress.best_file = checkpoint.save_best(work.folder / "checkpoints", work.net, progress.step)
    journal.write(
        kind="epoch",
        epoch=work.epochs(progress.step),
        step=progress.step,
        train_loss=progress.epoch_loss / progress.epoch_images,
        train_error=100 * progress.epoch_wrong / progress.epoch_images,
        val_loss=scores[0] if scores else None,
        val_error=scores[1] if scores else None,
        images_per_second=progress.images_per_second,
        seconds=progress.seconds,
    )
    progress.epoch_loss, progress.epoch_wrong, progress.epoch_images = 0.0, 0, 0
    return due
