"""The live line of a training run: loss, accuracy, images/s, time left; a bar on a terminal or in a notebook."""

from __future__ import annotations

import contextlib
import html
import sys
import time
from collections.abc import Iterator
from typing import Any

from ..runtime.notes import say
from ..runtime.process_group import from_environment
from ..train.events import Reading, Tick, Watch


@contextlib.contextmanager
def watching(*, held: str = "val") -> Iterator[Watch]:
    """Yield the function that is told of each step and of reading; `held` names the part not trained on."""
    display = _notebook_display()
    if display is not None:
        yield _cell(display, held)
    elif sys.stderr is not None and sys.stderr.isatty() and from_environment().first:
        with _bar(held) as watch:
            yield watch
    else:
        yield _lines(10.0, held)


def in_words(tick: Tick, held: str) -> str:
    """Where a run stands, but for its step."""
    val = "" if tick.val_error is None else f"  {held} {100 - tick.val_error:.2f} % right"
    return (
        f"epoch {tick.epoch:.2f}  loss {tick.loss:.3f}  train {100 - tick.error:.1f} % right{val}  "
        f"{tick.images_per_second:,.0f} images/s"
    )


def seconds_left(tick: Tick, rate: float) -> str:
    """What is left, from steps per second."""
    left = (tick.total - tick.step) / rate if rate > 0 else 0.0
    return f"{int(left // 60)}:{int(left % 60):02d} left"


def _lines(every: float, held: str) -> Watch:
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
            say(f"step {event.step}/{event.total}  {in_words(event, held)}{left}")
            spoken = now

    return watch


@contextlib.contextmanager
def _bar(held: str) -> Iterator[Watch]:
    """A bar from the first event on: a run that is finished already has none. Lines that are said meanwhile stand above
    it, whole as everywhere."""
    from rich import console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    words = TextColumn("{task.percentage:>3.0f}%  {task.description}")
    terminal = console.Console(stderr=True, soft_wrap=True)
    bar = Progress(BarColumn(), words, TimeRemainingColumn(), console=terminal)
    task = bar.add_task("starting", total=None)
    with contextlib.ExitStack() as shown:

        def watch(event: Tick | Reading) -> None:
            if not bar.live.is_started:
                shown.enter_context(bar)
            if isinstance(event, Reading):
                bar.update(task, total=event.total, completed=event.done, description="reading pictures")
            else:
                bar.update(task, total=event.total, completed=event.step, description=in_words(event, held))

        yield watch


def _notebook_display() -> Any:
    """IPython's `display`, where this process is a notebook's kernel; else None."""
    ipython = sys.modules.get("IPython")
    if ipython is None:
        return None
    shell = ipython.get_ipython()
    if type(shell).__name__ != "ZMQInteractiveShell":
        return None
    from IPython.display import display  # type: ignore[import-not-found,unused-ignore]

    return display


def _cell(display: Any, held: str) -> Watch:
    """One line of a cell that is rewritten, at most twice a second."""
    handle: Any = None
    spoken = 0.0

    def watch(event: Tick | Reading) -> None:
        nonlocal handle, spoken
        now = time.monotonic()
        done, total = (event.done, event.total) if isinstance(event, Reading) else (event.step, event.total)
        if now - spoken < 0.5 and done != total:
            return
        spoken = now
        words = "reading pictures" if isinstance(event, Reading) else in_words(event, held)
        drawn = f'<progress value="{done}" max="{total}" style="width:240px"></progress> {html.escape(words)}'
        shown = {"text/html": drawn, "text/plain": f"{done}/{total}  {words}"}
        if handle is None:
            handle = display(shown, raw=True, display_id=True)
        else:
            handle.update(shown, raw=True)

    return watch
