"""The training loop. There is one.

    for every step s of the budget:
        lr     = schedule(s)                       a function of the step and of the scores so far (`progress.seen`)
        batch  = positions [s B, (s + 1) B)        a function of the step: B places in the endless order of the pictures
        w     <- update(w, batch, lr)              forward, backward, optimiser (update.py)
        at an epoch's end: a line in the journal; every `validate_every` epochs: validation
        every minute, at the best and at the last: a checkpoint

Nothing else decides what happens, so a run that is killed and resumed takes the same steps to the same bits.
Under `torchrun` every process walks through here with its part of each batch; the first one writes.
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
from torch import nn

from ..data.loaders import TrainLoader
from ..runtime import random
from ..runtime.process_group import World
from ..spec.errors import UserError
from ..spec.rates import gentler, to_set
from ..spec.recipe import Recipe
from ..train import checkpoint, schedule
from .checkpoint import Progress
from .decision import decide, obey
from .events import Tick, Watch, line_of
from .records.journal import Journal
from .stopping import SIGNALS, Interrupted
from .together import share_statistics
from .update import Update


class Diverged(UserError):
    """A loss, weights or answers that are no numbers any more."""


@dataclass
class Work:
    """One run's moving parts, as the loop needs them."""

    folder: Path
    update: Update
    loader: TrainLoader
    seed: int
    progress: Progress
    validate: Callable[[nn.Module], tuple[float, float] | None]  # -> loss and error in percent, provisional
    watch: Watch = lambda event: None
    stop: Callable[[], int | None] = lambda: None  # asked after every step: the signal that ends the run
    keep: Callable[[], None] = lambda: None  # what else belongs to a checkpoint; every process is asked
    world: World = field(default_factory=World)  # the processes of the run: which one this is, sums over all
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=200))  # seconds of the newest steps
    val_error: float | None = None
    saved_at: float = field(default_factory=time.monotonic)
    now: float = 0.0  # when the last step ended

    @property
    def recipe(self) -> Recipe:
        """How the network is trained."""
        return self.update.recipe

    @property
    def late(self) -> bool:
        """Whether a checkpoint is due by this process's clock."""
        return time.monotonic() - self.saved_at > self.recipe.checkpoint_every

    @property
    def total(self) -> int:
        """Optimiser steps of the whole budget."""
        return self.recipe.total_steps(self.loader.epoch_length)

    def journal(self) -> Journal:
        """The run's journal, to go on with where the last checkpoint left it."""
        path, keep = self.folder / "metrics.jsonl", self.progress.metrics_bytes
        return Journal(path, keep, writes=self.world.first, line=line_of(self.watch))

    def epochs(self, step: int) -> float:
        """Epochs done after `step` steps."""
        return step * self.recipe.batch_size / self.loader.epoch_length

    def ends_epoch(self) -> bool:
        """Whether the last step ended an epoch, or was the very last."""
        step = self.progress.step
        return step == self.total or int(self.epochs(step)) > int(self.epochs(step - 1))

    def validates(self) -> bool:
        """Whether the epoch that has just ended went over a multiple of `validate_every`, or was the very last."""
        done, period = int(self.epochs(self.progress.step)), max(self.recipe.validate_every, 1.0)
        return self.progress.step == self.total or int(done / period) > int((done - 1) / period)

    def tick(self, loss: float) -> Tick:
        """What who watches is told of the step that was counted last."""
        done = self.progress
        epoch, rate = self.epochs(done.step), done.images_per_second
        if self.recipe.epochs is not None:  # the last batch runs over the end of the budget
            epoch = min(epoch, self.recipe.epochs)
        return Tick(done.step, self.total, epoch, loss, done.epoch_error, done.lr, rate, self.val_error)


def train(work: Work) -> None:
    """Take the steps from `work.progress.step` to the end of the budget. Raises `Interrupted` when asked to stop."""
    recipe, progress, update, total = work.recipe, work.progress, work.update, work.total
    with work.journal() as journal:
        update.train_mode()
        if recipe.probe and progress.step == 0:  # the probe's head, untrained, is the first candidate for the best
            validate(work)
        work.now = time.perf_counter()
        for batch in work.loader.batches(progress.step, 0 if progress.stopped_early else total):
            progress.lr = schedule.learning_rate(recipe, progress.step, total, progress.seen)
            torch.manual_seed(random.key(work.seed, f"layers/{progress.step}/{work.world.rank}"))  # dropout, drop path
            loss, wrong = update(batch, progress.lr, progress.step / total)

            loss, wrong, signum, late = of_all(work, loss, wrong)
            journal.write(kind="step", step=progress.step, loss=loss, lr=progress.lr)
            count_step(work, loss, wrong, work.world.size * len(batch.labels))
            work.watch(work.tick(loss))
            validated = work.ends_epoch() and end_of_epoch(work, journal)
            if signum or late or (validated and worth_keeping(work)):
                save(work, journal)
            if progress.stopped_early:
                break
            if signum and progress.step < total:
                raise Interrupted(work.folder, signum)


def of_all(work: Work, loss: float, wrong: int) -> tuple[float, int, int, bool]:
    """The step's mean loss and wrong answers over all processes, and what to do after it.

    That is the signal to stop, if any process was asked (one is asked: all stop; else 0), and whether a checkpoint is
    due by the first one's clock. Raises `Diverged` where the loss is no number any more.
    """
    told = work.stop()
    late = work.world.first and work.late
    asked = [float(told == signum) for signum in SIGNALS]
    loss, wrong_sum, any_late, *asked = work.world.sum(loss / work.world.size, wrong, float(late), *asked)
    if not math.isfinite(loss):
        raise diverged(work, f"the loss became {loss}")
    signum = next((signum for signum, count in zip(SIGNALS, asked, strict=True) if count), 0)
    return loss, int(wrong_sum), signum, any_late > 0


def diverged(work: Work, what: str) -> Diverged:
    """The error that says `what` is no number any more, and what to do."""
    progress, recipe = work.progress, work.recipe
    kept = checkpoint.newest_step(work.folder / "checkpoints")
    before = f"the checkpoint of step {kept} is kept" if kept else "no checkpoint was written before"
    lower = float(f"{gentler(recipe):.3g}")
    return Diverged(
        f"{work.folder}: {what} at step {progress.step} with learning rate {progress.lr:.4g}; {before}; train again "
        f"with a lower one, e.g. --set lr={lower:g}{to_set(lower, recipe.batch_size, recipe.lr_batch)}"
    )


def count_step(work: Work, loss: float, wrong: int, images: int) -> None:
    """Enter a step over so many images into the run's progress: time, the epoch's sums, what the schedule has seen."""
    progress = work.progress
    before, work.now = work.now, time.perf_counter()
    work.recent.append(work.now - before)
    progress.seconds += work.now - before
    progress.images_per_second = images / statistics.median(work.recent)
    progress.epoch_loss += loss * images
    progress.epoch_wrong += wrong
    progress.epoch_images += images
    progress.step += 1
    schedule.after_step(work.recipe, progress.seen, progress.step, progress.epoch_error)


def end_of_epoch(work: Work, journal: Journal) -> bool:
    """Validate where that is due, write the epoch's line and start its sums anew; tells whether it was due."""
    progress, due = work.progress, work.validates()
    scores = validate(work) if due else None
    journal.write(
        kind="epoch",
        epoch=work.epochs(progress.step),
        step=progress.step,
        train_loss=progress.epoch_loss / progress.epoch_images,
        train_error=progress.epoch_error,
        val_loss=scores[0] if scores else None,
        val_error=scores[1] if scores else None,
        images_per_second=progress.images_per_second,
        seconds=progress.seconds,
    )
    if work.recipe.log_gradients:
        journal.write(kind="gradients", step=progress.step, norms=work.update.gradient_norms())
    progress.epoch_loss, progress.epoch_wrong, progress.epoch_images = 0.0, 0, 0
    if due:
        journal.flush()  # for who looks at the run from outside
    return due


def worth_keeping(work: Work) -> bool:
    """Whether a validation is followed by a checkpoint: the last, one whose weights may be sealed, and by the clock.

    Few pictures and a large network would otherwise write more than they compute. Every process gets the same answer.
    """
    progress = work.progress
    last = progress.step == work.total or progress.stopped_early
    best = work.recipe.select == "best" and progress.best_epoch == work.epochs(progress.step)
    return last or best or work.world.tell(work.late)  # validation took its time, too


def validate(work: Work) -> tuple[float, float] | None:
    """Provisional loss and error (percent) on validation, and what the first process decides on them for all."""
    progress, recipe, net = work.progress, work.recipe, work.update.evaluated
    share_statistics(net, work.world)  # one network is validated, the one that would be sealed
    scores = work.validate(net)
    work.update.train_mode()
    work.now = time.perf_counter()  # validation is not part of the loop's time
    if scores is None:
        return None
    epoch = work.epochs(progress.step)
    decision = work.world.tell(decide(recipe, progress, epoch=epoch, loss=scores[0], error=scores[1]))
    obey(progress, decision, epoch)
    work.val_error = decision.error
    if decision.improved and recipe.select == "best":
        folder = work.folder / "checkpoints"
        name = checkpoint.save_best(folder, net, progress.step, progress.run) if work.world.first else None
        progress.best_file = work.world.tell(name)
    return decision.loss, decision.error


def save(work: Work, journal: Journal) -> None:
    """Write a checkpoint that the journal, as far as it goes, belongs to."""
    work.progress.metrics_bytes = journal.flush()
    work.keep()
    if work.world.first:
        checkpoint.save(work.folder / "checkpoints", work.update, work.progress)
    work.saved_at, work.now = time.monotonic(), time.perf_counter()
