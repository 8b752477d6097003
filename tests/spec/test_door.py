"""What every public call checks alike: kinds, read from its own signature, and names that are not its arguments'."""

from __future__ import annotations

import inspect
import os
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypedDict, Unpack

import numpy as np
import pytest

import reslearn
from reslearn.spec.door import kinds_of, public
from reslearn.spec.errors import UserError


class More(TypedDict, total=False):
    """Options beside."""

    side: int


def work(
    about: str | os.PathLike[str], *, count: int = 1, share: float | None = None, mark: bool = False, name: str = "a",
    out: str | os.PathLike[str] | None = None, how: Literal["a", "b"] | None = None, **options: Unpack[More],
) -> object:  # fmt: skip
    """Return what came in."""
    return about, count, share, mark, name, out, how, options


call = public("work", work)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"count": "2"}, "count is '2'; it must be a whole number"),
        ({"count": 2.5}, "count is 2.5; it must be a whole number"),
        ({"count": True}, "count is True; it must be a whole number"),
        ({"share": "much"}, "share is 'much'; it must be a number"),
        ({"mark": 1}, "mark is 1; it must be True or False"),
        ({"mark": None}, "mark is None; it must be True or False"),
        ({"name": 3}, "name is 3; it must be a text"),
        ({"name": " "}, "name is an empty text; give it, or leave it out"),
        ({"out": 3}, "out is 3; it must be a path"),
        ({"out": "a\0b"}, "out is 'a\\x00b'; a text holds no NUL character"),
        ({"out": ""}, "out is an empty text; give it, or leave it out"),
        ({"how": "c"}, "how is 'c'; valid: 'a', 'b'"),
        ({"side": "x"}, "side is 'x'; it must be a whole number"),
        ({"count": np.zeros((40, 40))}, "count is ndarray; it must be a whole number"),
    ],
)
def test_an_argument_of_a_wrong_kind_is_told_before_any_work(given, said):
    with pytest.raises(UserError) as told:
        call("data", **given)
    assert str(told.value) == said


def test_what_is_of_the_right_kind_comes_through_as_it_is():
    given = {
        "count": np.int64(3),
        "share": np.float32(0.5),
        "mark": np.bool_(True),
        "name": "x",
        "out": Path("y"),
        "how": "b",
    }
    found = call("data", **given, side=2)
    assert found == ("data", *given.values(), {"side": 2})
    assert type(found[1]) is int and type(found[2]) is float  # which records can hold
    assert type(call("data", share=Fraction(1, 4))[2]) is float
    assert call("data", share=1, out=None, how=None)[1:3] == (1, 1)


def test_what_a_mapping_holds_is_no_argument():
    """The space of a sweep may name `epochs`, of which it has an argument, too."""
    assert public("hold", hold)({"count": [1, 2]}, count=3) == ({"count": [1, 2]}, 3)


def hold(space: dict[str, object], count: int = 1) -> object:
    return space, count


def test_of_what_a_call_is_about_the_function_speaks_itself():
    assert call(3)[0] == 3
    with pytest.raises(UserError, match="about is an empty text"):
        call("")


def test_a_name_that_no_argument_has_is_pythons_own_error_by_the_public_name():
    with pytest.raises(TypeError, match=r"^reslearn\.stats: got an unexpected keyword argument 'worker'"):
        reslearn.stats("data", worker=1)
    with pytest.raises(TypeError, match=r"^reslearn\.evaluate: missing a required argument: 'data'"):
        reslearn.evaluate("run")
    assert inspect.signature(call) == inspect.signature(work) and call.__doc__ == work.__doc__


def test_the_kinds_of_every_public_call_can_be_read():
    """A hint that only the type checker can resolve would leave a call unchecked, without a word."""
    calls = [name for name in reslearn.__all__ if inspect.isfunction(getattr(reslearn, name))]
    checked = {name: kinds_of(getattr(reslearn, name).__wrapped__) for name in calls}
    bare = {name for name, kinds in checked.items() if not kinds}
    assert bare == {"card", "get_spec", "recipe"} and len(calls) > 30  # which take models, specs and fields alone


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: reslearn.fit(None, "digits", image_size=0), "image_size is 0; it must be at least 1"),
        (lambda: reslearn.fit(None, "digits", weights=""), "weights is an empty text"),
        (lambda: reslearn.fit(None, "digits", out=""), "out is an empty text"),
        (lambda: reslearn.fit(None, ""), "found an empty text"),
        (lambda: reslearn.fit(None, "digits", transform=5), "transform is 5; it must be a function"),
        (lambda: reslearn.fit(None, (np.zeros((8, 8, 8, 3), np.uint8), [0] * 8)), "at least two classes; found 0"),
        (
            lambda: reslearn.fit(None, (np.zeros((3, 8, 8, 3), np.uint8), [10**12, 0, 1])),
            "a label is 1,000,000,000,000",
        ),
        (lambda: reslearn.open_data("no\nsuch"), r"no\nsuch: no such file or folder"),
        (lambda: reslearn.load(""), "path is an empty text"),
        (lambda: reslearn.open_data(""), "path is an empty text"),
        (lambda: reslearn.list_models(5), "pattern is 5; it must be a text"),
        (lambda: reslearn.ensemble([], "digits"), "an ensemble needs at least two models; found 0"),
        (lambda: reslearn.recipe("folder", augment="flip"), "augment is 'flip'; it must be a reslearn.Augment"),
        (lambda: reslearn.recipe("folder", nesterov="yes"), "nesterov is 'yes'; valid: True, False"),
        (lambda: reslearn.Preprocess("a", 3), "size is 'a'; it must be a whole number, at least 1"),
        (
            lambda: reslearn.create_model("resnet50", num_classes=10**30),
            "num_classes is a number of 31 digits; it must be at",
        ),
        (lambda: reslearn.resume("run", data=([], [])), "data is ([], []); it must be a path"),
        (lambda: reslearn.evaluate("run", "digits", batch_size=2.5), "batch_size is 2.5; it must be a whole number"),
        (lambda: reslearn.evaluate("run", "digits", workers=-1), "workers is -1; it must be at least 0"),
        (lambda: reslearn.predict("run", "x.png", top=True), "top is True; it must be a whole number"),
    ],
)
def test_what_somebody_tried(call, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as told:
        call()
    assert said in str(told.value) and "\n" not in str(told.value) and not list(tmp_path.iterdir())
