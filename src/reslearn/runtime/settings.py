"""How this machine runs the work: a value chosen from facts, printed, recorded, and read back by `resume`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, get_args

from ..spec.errors import UserError, check_choice
from ..spec.rule import DESCRIBES, Threads, Workers, check_fields

Precision = Literal["fp32", "bf16", "fp16"]  # what commands offer
Arithmetic = Precision | Literal["fp64"]  # fp64 is for tests: no processor's rounding can change what they see
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True)
class Settings:
    """Numerics and speed. Everything here may change the time a run takes; `precision` and `compile` its last bits."""

    device: str = "cpu"
    precision: Arithmetic = "fp32"
    channels_last: bool = True
    compile: bool = False
    threads: Threads = 1
    tuned_allocator: bool = False
    workers: Workers = 0
    loader: Literal["auto", "resident", "streaming"] = "auto"
    source: str = field(
        default="", metadata=DESCRIBES
    )  # what `choice.decide` chose, and by which values; empty where somebody else chose

    def __post_init__(self) -> None:
        """What no machine has; whether this one has it, `device.check_settings` says."""
        if not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise UserError(f"device is {self.device!r}; valid: cpu, cuda, cuda:0, cuda:1, ...")
        if self.precision != "fp64":
            check_choice("precision", self.precision, PRECISIONS)
        check_fields(self)

    @property
    def autocast(self) -> Precision:
        """What the forward pass is lowered to. With fp64 the weights themselves are float64, and nothing is lowered."""
        return "fp32" if self.precision == "fp64" else self.precision
