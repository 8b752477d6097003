"""What a run tells while it trains; needs no torch, so that a command may know it before its first line is out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


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


class Interrupted(Exception):
    """The run was asked to stop by signal `signum`; its state is on disk and `resume` goes on from there."""

    def __init__(self, folder: Path, signum: int) -> None:
        super().__init__(f"stopped and saved; go on with: reslearn resume {folder}")
        self.signum = signum
