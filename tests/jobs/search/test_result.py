"""What a sweep says of its winner."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from reslearn.jobs.search.result import Spread, Sweep, Tried


def tried(number, top1, low=None):
    run = SimpleNamespace(val={"top1": top1, "loss": 1.0, "top1_interval": (low, 1.0)}, path="run")
    trial = SimpleNamespace(number=number, values={"lr": str(number)}, state="done")
    return Tried(trial, (), (run,), Spread(top1), Spread(1.0))


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ((), "One trial alone is done"),
        ((0.85,), "the other is no further from it than so few pictures can tell, so it may be as good."),
        ((0.3,), "lr=1 is better than the other, beyond"),
        ((0.85, 0.3), "1 of the 2 others is no further from it than so few pictures can tell, so it may be as good."),
        ((0.85, 0.84, 0.3), "2 of the 3 others are no further from it than so few pictures can tell, so any of them"),
        ((0.85, 0.84), "all 2 others are no further from it than so few pictures can tell, so any of them may be"),
        ((0.3, 0.2), "lr=1 is better than all 2 others, beyond"),
    ],
)
def test_a_winner_is_told_from_as_many_others_as_there_are(others, words):
    best = tried(1, 0.9, low=0.8)
    every = (best, *(tried(number, top1) for number, top1 in enumerate(others, 2)))
    assert words in Sweep("sweep", SimpleNamespace(seeds=1), every, best, {}).verdict
