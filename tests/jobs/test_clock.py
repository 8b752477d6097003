"""The figures of `plan` and `bench`, on a clock that only goes on when a batch is made or a step is taken."""

from __future__ import annotations

import types

import pytest

from reslearn.data.loaders import train_loader
from reslearn.jobs import bench, bench_reading, plan
from reslearn.jobs.training import train
from reslearn.runtime import load
from reslearn.train import loop
from reslearn.train.update import Update

from . import noise

CHANGES = {"spec.stage_blocks": "[1,1,1]", "batch_size": "16", "settings.precision": "fp32", "settings.threads": "1"}


@pytest.fixture
def clock(monkeypatch):
    """clock(batch=seconds, first=seconds, step=seconds) sets what a batch, the first step and each further one take.

    `clock.kind` is the loader's, `clock.now` the time.
    """
    state = types.SimpleNamespace(now=100.0, batch=0.0, first=0.0, step=0.0, steps=0, kind="resident")

    class Slow:
        """The real loader, whose batches take time."""

        def __init__(self, *arguments, **options):
            self._real = train_loader(*arguments, **options)
            self.epoch_length, self.steps_per_epoch, self.skipped = self._real.epoch_length, 1, {}

        @property
        def kind(self):
            return state.kind

        def batches(self, start, stop):
            for batch in self._real.batches(start, stop):
                state.now += state.batch
                yield batch

    def step(update, batch, lr, done):
        state.now += state.step if state.steps else state.first
        state.steps += 1
        return 1.0, 0

    def prepare(**seconds):
        vars(state).update(seconds)
        return state

    faked = types.SimpleNamespace(perf_counter=lambda: state.now, monotonic=lambda: state.now)
    for module in (plan, bench, loop):
        monkeypatch.setattr(module, "time", faked)
    for module in (plan, bench, bench_reading):
        monkeypatch.setattr(module, "train_loader", Slow)
    monkeypatch.setattr(Update, "__call__", step)
    monkeypatch.setattr(load.Watcher, "load", lambda self, times=(): load.Load(0.0, 2, 1, load.spread_of(times)))
    monkeypatch.setattr(bench, "measure_first", lambda say: None)
    return prepare


def forecast(**options):
    """What `plan` says of digits in batches of 16 by the demo recipe."""
    chosen = noise.plan("digits", CHANGES)
    return chosen, plan.forecast(chosen, **options)


def test_a_plan_extrapolates_what_it_timed(clock):
    clock(batch=0.002, first=3.0, step=0.04, kind="resident")
    chosen, found = forecast(seconds=1.0)
    assert found.loader_images_per_second == pytest.approx(16 / 0.002)
    assert found.images_per_second == pytest.approx(16 / 0.04)  # by the median, which the first step does not enter
    assert (found.bound, found.first_step_seconds, found.spread) == ("compute", 3.0, 0.0)
    assert found.seconds_per_epoch == pytest.approx(len(chosen.train_data) / 400, abs=0.05)
    assert found.steps == chosen.steps == -(-20 * len(chosen.train_data) // 16)
    assert found.seconds_total == pytest.approx(chosen.steps * 0.04 + 3.0, abs=0.05)


@pytest.mark.parametrize(("batch", "step", "bound", "rate"), [(0.1, 0.04, "loader", 160), (0.01, 0.04, "compute", 400)])
def test_a_streaming_run_goes_as_fast_as_its_slower_half(batch, step, bound, rate, clock):
    clock(batch=batch, first=1.0, step=step, kind="streaming")
    _, found = forecast(seconds=0.5)
    assert (found.bound, found.images_per_second) == (bound, rate)


def test_a_plan_takes_about_as_long_as_it_was_given(clock):
    """The loader and the steps have the time each; five steps are taken at least, for a median."""
    state = clock(batch=1e-5, first=0.5, step=0.01)
    forecast(seconds=0.25)
    assert 25 <= state.steps <= 28
    state = clock(first=9.0, step=5.0, steps=0)
    forecast(seconds=0.25)
    assert state.steps == 5


def test_a_bench_is_the_median_after_the_warm_up(clock, monkeypatch):
    taken = iter([7.0, 1.0, 1.0, 0.1, 0.2, 0.1, 0.4, 0.1])

    def step(update, batch, lr, done):
        state.now += next(taken)
        return 1.0, 0

    state = clock()
    monkeypatch.setattr(Update, "__call__", step)
    monkeypatch.setattr(bench, "WARMUP", 3)
    found = bench.bench_train("resnet20_cifar", batch=12, image_size=8, steps=5, changes={"compile": "false"})
    assert found.n == 5 and found.images_per_second == pytest.approx(12 / 0.1)
    assert found.sustained == pytest.approx(5 * 12 / 0.9, abs=0.05)
    assert found.first_step_seconds == pytest.approx(7.0, abs=0.01)
    assert found.spread == pytest.approx((0.3 - 0.1) / 0.1)  # quartiles of .1 .1 .1 .2 .4, as `statistics` has them


def test_the_loader_s_bench_does_not_count_its_first_batches(clock):
    clock(batch=0.05)
    found = bench_reading.bench_data("digits", batch=10, image_size=8, steps=4)[0]
    assert (found.n, found.images_per_second, found.spread) == (4, 200.0, 0.0)


@pytest.mark.parametrize("ema", [False, True])
def test_the_disk_that_a_run_will_need_is_what_it_takes(ema, tmp_path):
    """Two checkpoints with their momentum, the best weights and the sealed file; headers are a few per cent."""
    changes = {"spec.stage_blocks": "[1,1,1]", "iterations": "12", "validate_every": "0.1", "batch_size": "256"}
    changes |= {"select": "best", "ema_decay": "0.9" if ema else "none", "settings.precision": "fp32"}
    chosen = noise.plan("digits", changes)
    expected = plan.forecast(chosen, seconds=0.01).checkpoint_bytes
    run = train(chosen, out=tmp_path / "run")
    left = sum(file.stat().st_size for file in run.path.rglob("*.safetensors"))
    assert left == pytest.approx(expected, rel=0.1)
