"""What a run tells while it trains; needs no torch, so that a command may know it before its first line is out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


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
