"""The live line of a training run: loss, error, images/s, time left; a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from .output import say


@contextlib.contextmanager
def watching() -> Iterator[Callable[[Any], None]]:
    """Yield the function that the loop tells of each step (`train.loop.Tick`)."""
    if sys.stderr.isatty():
        with _bar() as watch:
            yield watch
    else:
        yield _lines(every=10.0)


def describe(tick: Any) -> str:
    """One tick in words."""
    val = "" if tick.val_error is None else f"  val error {tick.val_error:.2f} %"
    return (
        f"epoch {tick.epoch:.2f}  loss {tick.loss:.3f}  train error {tick.error:.1f} %{val}  "
        f"{tick.images_per_second:,.0f} images/s"
    )


def seconds_left(tick: Any, rate: float) -> str:
    """What is left, from steps per second."""
    left = (tick.total - tick.step) / rate if rate > 0 else 0.0
    return f"{int(left // 60)}:{int(left % 60):02d} left"


def _lines(every: float) -> Callable[[Any], None]:
    started, last, first_step = time.monotonic(), 0.0, 0

    def watch(tick: Any) -> None:
        nonlocal last, started, first_step
        now = time.monotonic()
        if last == 0.0:
            started, first_step = now, tick.step
        if last == 0.0 or now - last >= every or tick.step == tick.total:
            last = now
            rate = (tick.step - first_step) / max(now - started, 1e-9)
            say(f"step {tick.step}/{tick.total}  {describe(tick)}  {seconds_left(tick, rate)}")

    return watch


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[Any], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda tick: bar.update(task, total=tick.total, completed=tick.step, description=describe(tick))
