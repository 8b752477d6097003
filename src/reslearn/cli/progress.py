"""The live line of a training run: loss, error, images/s, time left; a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from ..train.events import Reading, Tick, Watch
from .output import say


@contextlib.contextmanager
def watching() -> Iterator[Watch]:
    """Yield the function that is told of each step and of reading."""
    if sys.stderr.isatty():
        with _bar() as watch:
            yield watch
    else:
        yield _lines(every=10.0)


def in_words(tick: Tick) -> str:
    """Where a run stands, but for its step."""
    val = "" if tick.val_error is None else f"  val error {tick.val_error:.2f} %"
    return (
        f"epoch {tick.epoch:.2f}  loss {tick.loss:.3f}  train error {tick.error:.1f} %{val}  "
        f"{tick.images_per_second:,.0f} images/s"
    )


def seconds_left(tick: Tick, rate: float) -> str:
    """What is left, from steps per second."""
    left = (tick.total - tick.step) / rate if rate > 0 else 0.0
    return f"{int(left // 60)}:{int(left % 60):02d} left"


def _lines(every: float) -> Watch:
    started, first_step, spoken = 0.0, 0, time.monotonic()

    def watch(event: Tick | Reading) -> None:
        nonlocal started, first_step, spoken
        now = time.monotonic()
        if isinstance(event, Reading):
            if now - spoken >= 3.0:
                say(f"reading pictures: {event.done:,} of {event.total:,}")
                spoken = now
            return
        if started == 0.0:
            started, first_step, spoken = now, event.step, 0.0
        if now - spoken >= every or event.step == event.total:
            rate = (event.step - first_step) / max(now - started, 1e-9)
            left = f"  {seconds_left(event, rate)}" if event.step > first_step else ""
            say(f"step {event.step}/{event.total}  {in_words(event)}{left}")
            spoken = now

    return watch


@contextlib.contextmanager
def _bar() -> Iterator[Watch]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    words = TextColumn("{task.percentage:>3.0f}%  {task.description}")
    with Progress(BarColumn(), words, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None)

        def watch(event: Tick | Reading) -> None:
            if isinstance(event, Reading):
                bar.update(task, total=event.total, completed=event.done, description="reading pictures")
            else:
                bar.update(task, total=event.total, completed=event.step, description=in_words(event))

        yield watch
