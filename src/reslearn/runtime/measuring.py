"""Two seconds of arithmetic: what this processor does. Called by `doctor --measure` and `bench`, never by a run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F

from ..spec.errors import UserError
from .choice import asked_threads
from .load import Load, Watcher, spread_of
from .machine import Rates, keep_rates
from .processor import Processor, physical_cores
from .settings import Precision
from .switches import owned

SECONDS = 0.25  # for each rate
LEAST = 5  # timings of a rate
SMALL, LARGE = 1, 4  # sizes of what is timed
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

Work = Callable[[], object]
Make = Callable[[int], tuple[float, Work]]  # SMALL or LARGE -> operations (or bytes) in units of 1e9, and the work


@dataclass(frozen=True)
class Measurement:
    """Rates, what else the machine did meanwhile, and what became of it."""

    rates: Rates
    load: Load
    outcome: str  # where it is kept, or why not
    kept: bool = False

    def words(self) -> str:
        """What was measured where that is not kept, and what became of it."""
        return self.outcome if self.kept else f"{self.rates.words()}; {self.outcome}"

    def to_json(self) -> dict[str, Any]:
        """The load and the outcome; the rates stand elsewhere."""
        return self.load.to_json() | {"outcome": self.outcome}


def measure_and_keep(processor: Processor, count: int) -> Measurement:
    """Measure what `count` threads of this processor do, and keep it unless the machine is busy."""
    rates, load = measure(count)
    if load.busy:
        return Measurement(rates, load, f"not kept: {load.busy}; measure again when the machine is quiet")
    try:
        return Measurement(rates, load, f"kept in {keep_rates(processor, count, rates)}", kept=True)
    except (OSError, UserError) as error:
        return Measurement(rates, load, f"not kept: {error}")


def measure(count: int, *, seconds: float = SECONDS) -> tuple[Rates, Load]:
    """What `count` threads do together, or one for each core where that is more; and the load meanwhile.

    Seven rates of `seconds` each; the load's spread is the median over them.
    """
    watcher, spreads = Watcher(count), []

    def rate(make: Make) -> float | None:
        timed = _rate(make, seconds)
        if timed is None:
            return None
        spreads.append(timed[1])
        return float(f"{timed[0]:.4g}")

    def rates(kind: Callable[[torch.dtype, int], Make]) -> dict[Precision, float]:
        found = {name: rate(kind(dtype, used)) for name, dtype in DTYPES.items()}
        return {name: value for name, value in found.items() if value is not None}

    used = _best_threads(count, seconds)
    with owned(used), torch.enable_grad():
        matrix, convolution, bandwidth = rates(_matrix), rates(_convolution), rate(_copy)
    known = Rates(used, matrix, convolution, bandwidth, f"measured here on {time.strftime('%Y-%m-%d')}")
    return known, replace(watcher.load(), spread=statistics.median(spreads))


def _best_threads(count: int, seconds: float) -> int:
    """`count`, or the number of cores behind them where one thread a core does more than two that share it."""
    alone = physical_cores()
    if alone >= count or asked_threads() is not None:
        return count
    does = {}
    for used in (count, alone):
        with owned(used), torch.enable_grad():
            timed = _rate(_convolution(torch.float32, used), seconds)
        does[used] = timed[0] if timed else 0.0
    return max(does, key=lambda used: does[used])


def _rate(make: Make, seconds: float) -> tuple[float, float] | None:
    """Units of 1e9 a second, the median, and the spread of its times; None where torch has no such kernel here.

    A kernel too slow for some timings of the large size is timed at the small one.
    """
    amount, work = make(SMALL)
    try:
        once = _warm(work)
    except RuntimeError:
        return None
    more, large = make(LARGE)
    if LEAST * once * more / amount < 4 * seconds:
        amount, work, once = more, large, _warm(large)
    times = [once]
    while len(times) < LEAST or sum(times) < seconds:
        times.append(_seconds(work))
    return amount / statistics.median(times), spread_of(times)


def _warm(work: Work) -> float:
    """Seconds of the second call: what the first one sets up does not count."""
    work()
    return _seconds(work)


def _seconds(work: Work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _matrix(dtype: torch.dtype, used: int) -> Make:
    """A product of two square matrices."""

    def make(size: int) -> tuple[float, Work]:
        side = 256 * size if used <= 8 else 512 * size
        a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
        return 2 * side**3 / 1e9, lambda: a @ b

    return make


def _convolution(dtype: torch.dtype, used: int) -> Make:
    """One of a network's inner 3x3 convolutions, 64 channels on 32x32 in channels_last, forward and backward."""

    def make(size: int) -> tuple[float, Work]:
        pictures = 2 * size * used if size > SMALL else 1
        x = torch.randn(pictures, 64, 32, 32).to(dtype, memory_format=torch.channels_last).requires_grad_()
        weight = torch.randn(64, 64, 3, 3).to(dtype, memory_format=torch.channels_last).requires_grad_()
        slope = torch.ones_like(x)
        return 6 * pictures * 32 * 32 * 64 * 64 * 9 / 1e9, lambda: torch.autograd.grad(
            F.conv2d(x, weight, padding=1), (x, weight), slope
        )

    return make


def _copy(size: int) -> tuple[float, Work]:
    """Memory read and written, beyond what caches hold."""
    source = torch.ones(size * 2**23)
    target = torch.empty_like(source)
    return 8 * source.numel() / 1e9, lambda: target.copy_(source)
