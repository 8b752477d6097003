"""What other programs compute: none where there are none, a core where one is burnt, and never this process's own."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

import numpy as np
import pytest

from reslearn.runtime import load
from reslearn.runtime.load import Load, Watcher, spread_of

BURN = "import time\nend = time.monotonic() + {}\nwhile time.monotonic() < end: pass"


@pytest.mark.parametrize(
    ("others", "cores", "wanted", "spread", "busy"),
    [
        (0.05, 2, 2, 0.05, ""),
        (0.9, 2, 2, 0.05, "other programs used 0.9 of 2 cores"),
        (0.9, 2, 1, 0.05, ""),  # on the core that was left
        (1.4, 2, 1, 0.05, "other programs used 1.4 of 2 cores"),
        (30.0, 64, 32, 0.05, ""),
        (0.0, 2, 2, 0.4, "equal steps took times that vary by 40 %"),
        (None, 2, 2, 0.05, ""),
        (None, 2, 2, 0.4, "equal steps"),
    ],
)
def test_when_a_machine_counts_as_busy(others, cores, wanted, spread, busy):
    found = Load(others, cores, wanted, spread).busy
    assert found.startswith(busy) and bool(found) == bool(busy)


@pytest.mark.skipif(not load.STAT.exists(), reason="needs /proc/stat")
def test_a_program_that_computes_is_seen_and_our_own_work_is_not():
    other = subprocess.Popen([sys.executable, "-c", BURN.format(20)])  # not waited for, so none of our children's
    try:
        time.sleep(0.2)
        watcher, began = Watcher(1), time.process_time()
        while time.process_time() - began < 0.5:
            pass
        with_other = watcher.load().others
    finally:
        other.kill()
        other.wait()
    assert with_other is not None and with_other > 0.2  # it has a core, or its share of a busy machine's


def test_counting_against_a_made_up_clock(monkeypatch, tmp_path):
    ticks = os.sysconf("SC_CLK_TCK")
    stat = tmp_path / "stat"
    monkeypatch.setattr(load, "STAT", stat)
    clock = iter([100.0, 110.0])
    monkeypatch.setattr(load.time, "monotonic", lambda: next(clock))
    own = iter([3.0, 8.0])
    monkeypatch.setattr(load, "_own_seconds", lambda: next(own))
    stat.write_text(f"cpu  {50 * ticks} 0 0 {900 * ticks} 0 0 0 0 0 0\ncpu0 1 2 3\n")
    watcher = Watcher(2)
    stat.write_text(f"cpu  {60 * ticks} {2 * ticks} {2 * ticks} {950 * ticks} {7 * ticks} 0 0 {1 * ticks} 0 0\n")
    # 15 seconds were computed or stolen in ten, five of them by us; idle and waiting for a disk do not count
    assert watcher.load().others == pytest.approx(1.0)


def test_a_system_without_proc_stat_says_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(load, "STAT", tmp_path / "none")
    found = Watcher(2).load([1.0, 1.0, 1.0])
    assert found.others is None and found.busy == ""


def test_the_spread_is_numpy_s_quartiles():
    times = [1.0, 1.1, 1.3, 0.9, 2.0, 1.05, 1.2]
    low, high = np.percentile(times, [25, 75], method="weibull")  # as `statistics.quantiles`
    assert spread_of(times) == pytest.approx((high - low) / statistics.median(times))
    assert spread_of([1.0]) == spread_of([]) == 0.0
