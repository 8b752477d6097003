"""The two seconds of arithmetic: rates that a stopwatch outside agrees with, and none kept on a busy machine."""

from __future__ import annotations

import pytest
import torch

from reslearn.runtime import measuring
from reslearn.runtime.load import Load
from reslearn.runtime.machine import Rates, kept_rates
from reslearn.runtime.processor import read_processor

QUIET = Load(0.0, 2, 1)
RATES = Rates(1, {"fp32": 100.0}, source="measured here on 2026-01-02")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_every_rate_is_a_plausible_number_and_threads_are_put_back():
    before = torch.get_num_threads()
    rates, load = measuring.measure(1, seconds=0.005)
    assert torch.get_num_threads() == before
    assert rates.threads == 1 and "fp32" in rates.matrix and "fp32" in rates.convolution and rates.bandwidth > 0
    assert all(0.01 < rate < 1e5 for rate in (*rates.matrix.values(), *rates.convolution.values()))
    assert load.wanted == 1 and load.spread >= 0


def test_a_rate_is_operations_over_the_median_time(monkeypatch):
    clock = iter(x / 2 for x in range(1000))  # every look at it is half a second later
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(clock))
    assert measuring._rate(lambda size: (3.0, lambda: None), 0.25) == (6.0, 0.0)


def test_the_operations_counted_are_torch_s_own():
    from torch.utils.flop_counter import FlopCounterMode

    for make in (measuring._matrix(torch.float32, 1), measuring._convolution(torch.float32, 1)):
        amount, work = make(1)
        with FlopCounterMode(display=False) as counter:
            work()
        assert amount == pytest.approx(counter.get_total_flops() / 1e9)


def test_what_torch_cannot_do_here_is_left_out():
    def make(size):
        def work():
            raise RuntimeError("not implemented for 'Half'")

        return 1.0, work

    assert measuring._rate(make, 0.01) is None


@pytest.mark.parametrize(("seconds", "size"), [(0.005, 1), (10.0, 4)])
def test_a_kernel_that_is_too_slow_is_timed_at_the_small_size(seconds, size, monkeypatch):
    clock, done = [0.0], []
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: clock[0])

    def make(size):
        def work():
            clock[0] += 0.1 * size
            done.append(size)

        return size, work

    assert measuring._rate(make, seconds)[0] == pytest.approx(10.0)
    assert done[-1] == size and done.count(size) >= measuring.LEAST


def test_a_quiet_measurement_is_kept(cache, monkeypatch):
    monkeypatch.setattr(measuring, "measure", lambda count: (RATES, QUIET))
    done = measuring.measure_and_keep(read_processor(), 1)
    assert done.outcome.startswith("kept in") and kept_rates(read_processor(), 1) == (RATES, "")


@pytest.mark.parametrize("load", [Load(1.8, 2, 1), Load(0.0, 2, 1, spread=0.5)])
def test_a_measurement_on_a_busy_machine_is_not_kept_and_says_so(load, cache, monkeypatch):
    monkeypatch.setattr(measuring, "measure", lambda count: (RATES, load))
    done = measuring.measure_and_keep(read_processor(), 1)
    assert done.outcome.startswith("not kept: ") and "quiet" in done.outcome and load.busy in done.outcome
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_said(cache, monkeypatch):
    monkeypatch.setattr(measuring, "measure", lambda count: (RATES, QUIET))
    cache.write_text("a file where the folder would be")
    assert measuring.measure_and_keep(read_processor(), 1).outcome.startswith("not kept: ")


@pytest.mark.parametrize(("both", "alone", "used"), [(100.0, 130.0, 2), (130.0, 100.0, 4)])
def test_one_thread_a_core_where_that_does_more(both, alone, used, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(measuring, "physical_cores", lambda: 2)
    monkeypatch.setattr(measuring, "_rate", lambda make, seconds: ({2: alone, 4: both}[torch.get_num_threads()], 0.0))
    assert measuring._best_threads(4, 0.01) == used
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert measuring._best_threads(4, 0.01) == 4
