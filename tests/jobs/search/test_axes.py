"""Which assignments are searched, and the points that trials try: a function of the seed and the trial's number."""

from __future__ import annotations

import numpy as np
import pytest

from reslearn.jobs.resolve import TrainRequest
from reslearn.jobs.search.axes import points, split_assignments, trials_of
from reslearn.spec.errors import UserError
from reslearn.spec.space import Choices, Span

UNIT = tuple(Span(name, 0.0, 1.0) for name in "abcd")


def request(**changes):
    return TrainRequest("digits", "resnet20_cifar", "demo", changes=changes)


def test_lists_and_spans_are_searched_and_all_else_is_shared():
    changes = {"lr": "log:0.01..1", "weight_decay": "1e-4,5e-4", "momentum": "0.8", "milestones": "0.5,0.75"}
    space, axes = split_assignments(request(**changes, **{"augment.flip": "none,random", "batch_size": "16..64"}))
    assert space == {name: changes[name] for name in ("lr", "weight_decay")} | {
        "augment.flip": "none,random",
        "batch_size": "16..64",
    }
    assert [axis.name for axis in axes] == ["lr", "weight_decay", "augment.flip", "batch_size"]
    assert axes[3] == Span("batch_size", 16, 64, whole=True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "nothing to search"),
        ({"lr": "0.1"}, "nothing to search"),
        ({"lr": "0.1,-1"}, "lr is -1"),
        ({"lr": "0..1"}, "lr is 0"),
        ({"learn": "0.1,0.2"}, "unknown field 'learn'"),
        ({"schedule": "step,linaer"}, "linaer"),
        ({"spec.stem": "cifar,nonsense"}, "nonsense"),
        ({"lr": "0.1,x"}, "lr"),
        ({"model": "resnet20_cifar,resnet32_cifar"}, "--model names; begin a sweep for each"),
        ({"lr": "0.1,0.2", "seed": "0,1,2"}, "--seeds 3"),
    ],
)
def test_every_value_of_the_space_is_tried_before_anything_is_trained(changes, said):
    with pytest.raises(UserError, match=said):
        split_assignments(request(**changes))


def test_a_longer_sequence_begins_as_a_shorter_one_does():
    assert points(UNIT, 40, 3)[:12] == points(UNIT, 12, 3)
    assert points(UNIT, 12, 3) != points(UNIT, 12, 4)


@pytest.mark.parametrize("count", [8, 12, 20, 64])
def test_points_fill_every_axis_more_evenly_than_chance(count):
    rng = np.random.default_rng(0)
    chance = np.sort(rng.random((200, count)), axis=1)
    usual = np.median(np.max(np.diff(chance, axis=1, prepend=0, append=1), axis=1))
    for axis in UNIT:
        found = np.sort([float(point[axis.name]) for seed in (0,) for point in points(UNIT, count, seed)])
        assert np.max(np.diff(found, prepend=0, append=1)) < usual


def test_a_space_of_few_points_is_tried_whole_and_none_twice():
    axes = (Choices("a", ("1", "2", "3")), Choices("b", ("x", "y")))
    assert trials_of(axes, "quasi", 20, 0) == 6
    assert len({tuple(point.values()) for point in points(axes, 20, 0)}) == 6
    assert len({tuple(point.values()) for point in points(axes, 5, 0)}) == 5


def test_a_span_too_narrow_for_so_many_numbers_gives_those_that_there_are():
    axes = (Span("lr", 0.1, 0.1002),)
    found = {point["lr"] for point in points(axes, 20, 0)}
    assert trials_of(axes, "quasi", 20, 0) == len(found) <= 3


def test_a_span_of_fewer_numbers_than_trials_is_soon_known_to_have_no_more(monkeypatch):
    """It was asked a million times for its 9,001 numbers of four digits."""
    asked = []
    monkeypatch.setattr(Span, "at", lambda self, share, at=Span.at: asked.append(share) or at(self, share))
    assert 890 < len(points((Span("lr", 0.1, 0.19),), 10_000, 0)) <= 901
    assert len(asked) < 10_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.1,0.10", "0.10 is there twice"),
        ("0.1,1e-1", "1e-1 is there twice"),
        ("0.1..0.1", "its ends are one number; give lr=0.1"),
        ("log:0.1..0.01", "lower to the higher"),
        ("log:0..1", "numbers above 0"),
        ("nan..1", "nan is no number"),
        ("0.1,nan", "lr is nan"),
    ],
)
def test_what_is_one_value_or_none_is_no_space(text, said):
    with pytest.raises(UserError, match=said):
        split_assignments(request(lr=text))
