"""A space of settings as it is typed, and its points."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reslearn.spec.errors import UserError
from reslearn.spec.space import Choices, Span, every, read_axis, size


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("log:0.01..1", Span("lr", 0.01, 1.0, log=True)),
        ("log:1e-4..1e-1", Span("lr", 1e-4, 1e-1, log=True)),
        ("0.1..0.5", Span("lr", 0.1, 0.5)),
        (".1...5", Span("lr", 0.1, 0.5)),
        ("-1..1", Span("lr", -1.0, 1.0)),
        ("1e-4,5e-4", Choices("lr", ("1e-4", "5e-4"))),
        ("none, 0.999", Choices("lr", ("none", "0.999"))),
        ("0.1", None),
        ("cosine", None),
    ],
)
def test_what_is_typed_is_a_span_a_list_or_one_value(text, axis):
    assert read_axis("lr", text) == axis


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("0.5,0.75", None),  # one value, of a field that takes several
        ("[0.5,0.75]", None),
        ("[0.5,0.75],[0.6]", Choices("milestones", ("[0.5,0.75]", "[0.6]"))),
        ("(0.5,0.75),(0.6,0.8)", Choices("milestones", ("[0.5,0.75]", "[0.6,0.8]"))),
    ],
)
def test_of_a_field_that_takes_several_values_lists_stand_in_brackets(text, axis):
    assert read_axis("milestones", text, several=True) == axis


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1..0.1", "lower to the higher"),
        ("1..1", "its ends are one number; give lr=1"),
        ("log:0..1", "above 0"),
        ("log:0.1", "followed by a span"),
        ("log:0.1,1", "followed by a span"),
        ("a..b", "no number"),
        ("0..nan", "no number"),
        ("0..inf", "no number"),
        ("0.1,,0.2", "nothing stands between"),
        ("0.1,0.2,0.1", "0.1 is there twice"),
    ],
)
def test_what_is_no_space_is_one_line_that_says_what_is(text, said):
    with pytest.raises(UserError, match=said):
        read_axis("lr", text)


def test_a_span_of_a_field_of_whole_numbers_has_whole_ends():
    assert read_axis("batch_size", "16..64", whole=True) == Span("batch_size", 16, 64, whole=True)
    with pytest.raises(UserError, match="whole numbers alone"):
        read_axis("batch_size", "0.5..2", whole=True)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.floats(0, 1, exclude_max=True), st.booleans())
def test_a_point_lies_within_its_span(one, other, share, log):
    low, high = sorted((one, other))
    if low < high:
        assert low <= float(Span("x", low, high, log=log).at(share)) <= high


@given(st.integers(1, 1000), st.integers(1, 1000), st.booleans())
def test_every_whole_number_of_a_span_has_a_share_and_no_other_has(one, other, log):
    low, high = sorted((one, one + other % 40))
    span = Span("n", low, high, log=log, whole=True)
    steps = 4000
    assert {int(span.at(i / steps)) for i in range(steps)} == set(range(low, high + 1))


def test_the_middle_of_a_logarithmic_span_is_its_geometric_mean():
    assert float(Span("lr", 1e-4, 1.0, log=True).at(0.5)) == pytest.approx(1e-2, rel=1e-3)
    assert float(Span("lr", 0.0, 1.0).at(0.5)) == 0.5


def test_all_points_of_a_small_space_the_last_axis_changing_fastest():
    axes = (Choices("a", ("x", "y")), Span("n", 1, 2, whole=True))
    assert size(axes) == 4
    assert every(axes) == [{"a": a, "n": n} for a in "xy" for n in "12"]
    assert math.isinf(size((*axes, Span("lr", 0.1, 1.0))))
