"""The loop's own bookkeeping, on a clock that goes on only when a step, a validation or a checkpoint takes time."""

from __future__ import annotations

import signal
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reslearn.train import loop
from reslearn.train.checkpoint import Progress
from reslearn.train.loop import Work, train
from reslearn.train.records.journal import read_journal
from reslearn.train.stopping import Interrupted


@pytest.fixture
def run(monkeypatch, tmp_path, tiny_recipe):
    """run(step seconds, ...) takes these steps, of which each epoch has `epoch`; the work, and what it did when."""

    def make(seconds, *, epoch=4, validation=0.0, checkpoint=0.0, losses=None, errors=None, **fields):
        clock, did = SimpleNamespace(now=0.0), []
        left, told, told_of = iter(seconds), iter(losses or [1.0] * len(seconds)), []
        found = iter(errors or [])

        class Update:
            recipe = replace(tiny_recipe, iterations=len(seconds), batch_size=8, **fields)
            evaluated = torch.nn.Linear(1, 1)

            def train_mode(self):
                pass

            def __call__(self, batch, lr, done):
                clock.now += next(left)
                told_of.append((lr, done))
                return next(told), 2

        class Loader:
            epoch_length, steps_per_epoch = 8 * epoch, epoch

            def batches(self, start, stop):
                did.append(("batches", start, stop))
                for _ in range(start, stop):
                    yield SimpleNamespace(labels=np.zeros(8))

        def validate(net):
            clock.now += validation
            did.append(("validated", work.progress.step, clock.now))
            return 1.0, next(found, 50.0)

        def save(folder, update, progress):
            clock.now += checkpoint
            did.append(("saved", progress.step, clock.now))

        def save_best(folder, net, step, run=""):
            did.append(("best", step))
            return f"best-{step}"

        faked = SimpleNamespace(perf_counter=lambda: clock.now, monotonic=lambda: clock.now)
        monkeypatch.setattr(loop, "time", faked)
        monkeypatch.setattr(loop.checkpoint, "save", save)
        monkeypatch.setattr(loop.checkpoint, "save_best", save_best)
        work = Work(tmp_path, Update(), Loader(), 0, Progress(), validate, saved_at=0.0)
        work.update.steps = told_of
        return work, did

    return make


def steps_of(did, kind):
    return [step for what, step, *_ in did if what == kind]


def test_only_steps_count_as_time(run):
    """Neither validation nor checkpoints do: the rate is what a longer run would go at."""
    work, did = run(
        [1.0, 2.0, 1.0, 4.0, 1.0, 1.0, 1.0, 1.0, 2.0], validation=50.0, checkpoint=7.0, checkpoint_every=1e9
    )
    train(work)
    assert steps_of(did, "validated") == [4, 8, 9]
    assert work.progress.seconds == 14.0 and work.progress.images_per_second == 8 / 1.0
    lines = [line for line in read_journal(work.folder / "metrics.jsonl") if line["kind"] == "epoch"]
    assert [line["seconds"] for line in lines] == [8, 12, 14]


@pytest.mark.parametrize(
    ("every", "epochs"),
    [(1.0, [1, 2, 3, 4, 5, 6]), (0.25, [1, 2, 3, 4, 5, 6]), (1.5, [2, 3, 5, 6]), (2.0, [2, 4, 6]), (4.0, [4, 6])],
)
def test_validation_comes_at_the_end_of_the_epoch_that_passes_its_time(run, every, epochs):
    work, did = run([1.0] * 24, validate_every=every, checkpoint_every=1e9)
    train(work)
    assert [step for what, step, *_ in did if what == "validated"] == [4 * epoch for epoch in epochs]


def test_the_rate_is_the_median_of_the_newest_200_steps(run):
    work, _ = run([1.0] * 300 + [2.0] * 100, epoch=1000, checkpoint_every=1e9)
    train(work)
    assert work.progress.images_per_second == 8 / 1.5
    work, _ = run([1.0] * 300 + [2.0] * 101, epoch=1000, checkpoint_every=1e9)
    train(work)
    assert work.progress.images_per_second == 8 / 2.0


def test_a_checkpoint_is_written_when_more_than_its_time_has_passed(run):
    work, did = run([5.0] * 8, epoch=100, checkpoint=1.0, checkpoint_every=10.0)
    train(work)
    assert steps_of(did, "saved") == [3, 6, 8]


def test_validating_often_does_not_save_often_and_a_kill_loses_a_minute_at_most(run):
    """A large network on few pictures: an epoch takes seconds, and a checkpoint nearly as long."""
    work, did = run([1.0] * 400, epoch=5, validation=2.0, checkpoint=3.0, checkpoint_every=60.0)
    train(work)
    saved = [(step, now) for what, step, now in did if what == "saved"]
    assert len(steps_of(did, "validated")) == 80 and saved[-1][0] == 400
    assert len(saved) == 9  # of 560 s of work in all, where each validation once left a checkpoint
    for (_, before), (_, after) in zip([(0, 0.0), *saved], saved, strict=False):
        assert after - 3.0 - before <= 60.0 + 1.0 + 2.0  # the step, or the validation, in which the minute ends


def test_a_validation_that_takes_minutes_is_not_lost_with_the_next_step(run):
    work, did = run([1.0] * 8, validation=100.0, checkpoint_every=60.0)
    train(work)
    assert steps_of(did, "saved") == [4, 8]


def test_the_best_weights_and_the_last_step_are_kept_whatever_the_clock_says(run):
    work, did = run([1.0] * 24, errors=[50.0, 60.0, 40.0, 40.0, 45.0, 55.0], select="best", checkpoint_every=1e9)
    train(work)
    assert steps_of(did, "best") == [4, 12] and steps_of(did, "saved") == [4, 12, 24]
    work, did = run([1.0] * 24, errors=[50.0, 60.0, 40.0], checkpoint_every=1e9)  # the last weights are sealed
    train(work)
    assert steps_of(did, "best") == [] and steps_of(did, "saved") == [24]
    work, did = run([1.0] * 24, errors=[50.0, 60.0, 70.0], early_stop=2.0, checkpoint_every=1e9)
    train(work)
    assert work.progress.stopped_early and steps_of(did, "saved") == [12]


def test_an_epoch_s_loss_counts_every_picture_alike(run):
    work, _ = run([1.0] * 8, losses=[4.0, 3.0, 2.0, 1.0, 1.0, 1.0, 1.0, 5.0])
    train(work)
    lines = [line for line in read_journal(work.folder / "metrics.jsonl") if line["kind"] == "epoch"]
    assert [line["train_loss"] for line in lines] == [2.5, 2.0] and [line["epoch"] for line in lines] == [1, 2]
    assert [line["train_error"] for line in lines] == [25.0, 25.0]


def test_a_step_is_told_its_rate_and_how_much_of_the_budget_has_passed(run):
    """What thaws layers and lets pictures grow goes by the second."""
    work, _ = run([1.0] * 8, schedule="linear", warmup=0.0, lr=0.8, final_lr=0.0)
    told = []
    work.watch = lambda tick: told.append((tick.step, tick.total, tick.epoch, tick.lr, tick.val_error))
    train(work)
    assert work.update.steps == [(pytest.approx(0.8 * (1 - k / 8)), k / 8) for k in range(8)]
    assert [row[:3] for row in told] == [(k, 8, k / 4) for k in range(1, 9)]
    assert [row[3] for row in told] == [rate for rate, _ in work.update.steps]
    assert [row[4] for row in told] == [None] * 4 + [50.0] * 4


@pytest.mark.parametrize(("when", "steps"), [(3, 3), (8, 8)])
def test_a_signal_is_answered_after_its_step_and_not_after_the_last(run, when, steps):
    work, did = run([1.0] * 8, epoch=100, checkpoint_every=1e9)
    work.stop = lambda: signal.SIGTERM if work.progress.step == when - 1 else None
    if when < 8:
        with pytest.raises(Interrupted) as stopped:
            train(work)
        assert stopped.value.signum == signal.SIGTERM
    else:
        train(work)  # there is nothing left to stop
    assert work.progress.step == steps and did[-1][:2] == ("saved", steps)


def test_a_run_that_stopped_early_takes_no_step_more(run):
    work, did = run([1.0] * 8)
    work.progress = Progress(step=4, stopped_early=True)
    train(work)
    assert did == [("batches", 4, 0)] and work.progress.step == 4


@pytest.mark.parametrize("told", [0, signal.SIGTERM])
@pytest.mark.parametrize("late", [False, True])
def test_a_step_is_that_of_all_processes(told, late):
    """Of two processes that count alike the loss is the mean, wrong answers the sum, and one clock decides."""
    world = SimpleNamespace(size=2, first=True, sum=lambda *values: [2 * value for value in values])
    progress, recipe = SimpleNamespace(step=3, lr=0.1), SimpleNamespace(lr=0.1)
    work = SimpleNamespace(progress=progress, recipe=recipe, world=world, late=late, stop=lambda: told)
    assert loop.of_all(work, 1.5, 3) == (1.5, 6, told, late)
