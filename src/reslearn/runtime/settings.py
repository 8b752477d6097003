"""How this machine runs the work: a value chosen from facts, printed, recorded, and read back by `resume`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Settings:
    """Numerics and speed. Everything here may change the time a run takes; `precision` and `compile` its last bits."""

    device: str = "cpu"
    precision: Precision = "fp32"
    channels_last: bool = True
    compile: bool = False
    threads: int = 1
    tuned_allocator: bool = False
    workers: int = 0
    loader: Literal["auto", "resident", "streaming"] = "auto"
