"""Is something else using this machine? What other programs computed meanwhile, and how the times of one thing vary."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUSY_SHARE = 0.1  # of the cores that a measurement wants, taken by others: beyond it a number is not the machine's own
SPREAD_BOUND = 0.25  # interquartile range over median of equal steps, likewise
STAT = Path("/proc/stat")


@dataclass(frozen=True)
class Load:
    """What else went on while something was measured."""

    others: float | None  # cores that other programs used, on average; None where the system does not say
    cores: int  # logical processors of the machine
    wanted: int  # threads that the measurement had
    spread: float = 0.0  # interquartile range over median of its times

    @property
    def crowded(self) -> bool:
        """Whether others took cores that the measurement had use for."""
        taken = (self.others or 0.0) - (self.cores - self.wanted)
        return taken > BUSY_SHARE * self.wanted

    @property
    def busy(self) -> str:
        """Why the measurement does not tell what the machine can do; empty where nothing speaks against it."""
        if self.crowded:
            return f"other programs used {self.others:.1f} of {self.cores} cores meanwhile"
        if self.spread > SPREAD_BOUND:
            return f"equal steps took times that vary by {100 * self.spread:.0f} %"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Cores that others used, and the verdict."""
        return {"others": None if self.others is None else round(self.others, 2), "busy": self.busy}


class Watcher:
    """Counts, from its making on, what other programs compute."""

    def __init__(self, wanted: int) -> None:
        self._wanted, self._began, self._counts = wanted, time.monotonic(), (_all_seconds(), _own_seconds())

    def load(self, times: Sequence[float] = ()) -> Load:
        """What there was until now; `times` are those of the measurement's equal steps."""
        passed = time.monotonic() - self._began
        (everything, own), cores = self._counts, os.cpu_count() or 1
        now = _all_seconds()
        if everything is None or now is None or passed < 0.1:  # too short for the system's clock of 1/100 s
            others = None
        else:
            others = max(now - everything - (_own_seconds() - own), 0.0) / passed
        return Load(others, cores, self._wanted, spread_of(times))


def spread_of(times: Sequence[float]) -> float:
    """Interquartile range over median; 0 for fewer than two times."""
    if len(times) < 2:
        return 0.0
    low, median, high = statistics.quantiles(times, n=4)
    return (high - low) / median


def _all_seconds() -> float | None:
    """Seconds that all processors together were not idle since the machine started; what a host took away counts."""
    try:
        fields = STAT.read_text(encoding="utf-8").partition("\n")[0].split()[1:]
        user, nice, system, _idle, _waiting, irq, softirq, steal = map(int, fields[:8])
        return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return None


def _own_seconds() -> float:
    """Seconds that this process and its children computed."""
    done = os.times()
    return sum(done[:4]) + sum(map(_seconds_of, (child.pid for child in multiprocessing.active_children())))


def _seconds_of(pid: int | None) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime
    except (OSError, ValueError, IndexError):
        return 0.0
