"""What validation decides, from scripted sequences of errors: the rate's drops, the best epoch, the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reslearn.train import schedule
from reslearn.train.checkpoint import Progress
from reslearn.train.decision import decide, obey

ERRORS = [50.0, 40.0, 41.0, 41.0, 39.0, 39.0, 39.5, 40.0, 39.2]


def follow(recipe, errors):
    """(progress at the end, the epoch after which training ended, the rate after each epoch)."""
    progress, rates = Progress(), []
    for epoch, error in enumerate(errors, 1):
        obey(progress, decide(recipe, progress, epoch=float(epoch), loss=1.0, error=error), float(epoch))
        rates.append(schedule.learning_rate(recipe, 10, 1000, progress.seen))
        if progress.stopped_early:
            return progress, epoch, rates
    return progress, None, rates


@pytest.mark.parametrize(("wait", "end"), [(1, 3), (2, 4), (3, 8), (4, 9), (5, None)])
def test_training_ends_when_nothing_was_better_for_so_many_epochs(tiny_recipe, wait, end):
    progress, stopped, _ = follow(replace(tiny_recipe, early_stop=wait), ERRORS)
    assert stopped == end
    assert (progress.best_error, progress.best_epoch) == ((40.0, 2.0) if wait < 3 else (39.0, 5.0))


def test_an_equal_error_is_no_better_one(tiny_recipe):
    progress, stopped, _ = follow(replace(tiny_recipe, early_stop=3), [5.0, 5.0, 5.0, 5.0, 5.0])
    assert (stopped, progress.best_epoch) == (4, 1.0)


def test_the_best_may_be_that_of_the_least_loss(tiny_recipe):
    recipe, progress = replace(tiny_recipe, best_by="loss"), Progress()
    for epoch, (loss, error) in enumerate([(0.5, 10.0), (0.4, 12.0), (0.4, 8.0), (0.6, 7.0)]):
        obey(progress, decide(recipe, progress, epoch=float(epoch), loss=loss, error=error), float(epoch))
    assert (progress.best_loss, progress.best_error, progress.best_epoch) == (0.4, 12.0, 1.0)


def test_the_rate_drops_after_the_patience_and_waits_anew(tiny_recipe):
    recipe = replace(tiny_recipe, schedule="plateau", warmup=0.0, lr=1.0, patience=2.0, gamma=0.5)
    assert follow(recipe, ERRORS)[2] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_deciding_changes_nothing(tiny_recipe):
    recipe = replace(tiny_recipe, schedule="plateau", warmup=0.0, patience=1.0, early_stop=1.0)
    progress = Progress(best_error=1.0, best_epoch=1.0, seen=schedule.RateState(best=1.0, best_epoch=1.0))
    decision = decide(recipe, progress, epoch=2.0, loss=0.1, error=2.0)
    assert (decision.stop, decision.improved, decision.seen.drops) == (True, False, 1)
    assert progress == Progress(best_error=1.0, best_epoch=1.0, seen=schedule.RateState(best=1.0, best_epoch=1.0))
