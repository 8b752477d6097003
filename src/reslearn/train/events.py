"""What a run tells while it trains; needs no torch, so that a command may know it before its first line is out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


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


@dataclass(frozen=True)
class Reading:
    """What a progress display is told while pictures are read into memory, before the first step."""

    done: int
    total: int


Watch = Callable[[Tick | Reading], None]
Line = Callable[[Mapping[str, Any]], None]  # told each line of the journal, once it is written


@dataclass(frozen=True)
class Listener:
    """A `Watch` that is told the lines of the journal, too. What `line` raises ends the run there, as it is on disk."""

    watch: Watch
    line: Line

    def __call__(self, event: Tick | Reading) -> None:
        self.watch(event)


def line_of(watch: Watch | None) -> Line:
    """What is to be told the lines of the journal; nothing where `watch` does not ask for them."""
    return watch.line if isinstance(watch, Listener) else _unread


def _unread(line: Mapping[str, Any]) -> None:
    pass
