"""Which of the `--set` assignments are a space to search, and the points of it that trials try."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from ...runtime.random import key, order
from ...spec.catalogue import get_spec
from ...spec.choices import Sampler
from ...spec.codec import field_kind
from ...spec.errors import UserError
from ...spec.preprocess import default_preprocess
from ...spec.recipes import get_recipe
from ...spec.space import FORMS, Axis, Point, every, read_axis, size
from ..resolve import TARGETS, TrainRequest, check_asked

SHARED = {  # options that are no fields, and are asked for as if they were
    "model": "--model names; begin a sweep for each, or search fields of the network, such as --set spec.shortcut=A,B",
    "recipe": "--recipe names; begin a sweep for each, or search fields of the recipe, such as --set lr=log:0.01..1",
    "seed": "--seed begins with; --seeds 3 trains each trial with three seeds and compares their means",
}


def kind_of(request: TrainRequest, name: str) -> dict[str, bool]:
    """What `read_axis` must know of a field."""
    prefix, dot, rest = name.partition(".")
    whose, field = (prefix, rest) if dot and prefix in TARGETS else ("recipe", name)
    owner: Any = None
    if whose == "recipe":
        owner = get_recipe(request.recipe or "folder")
    elif whose == "spec":
        owner = get_spec(request.model or "resnet20_cifar")
    elif whose == "preprocess":
        owner = default_preprocess(32)
    kind = field_kind(owner, field)
    return {"several": kind == "several", "whole": kind == "whole"}


def split_assignments(request: TrainRequest) -> tuple[dict[str, str], tuple[Axis, ...]]:
    """The assignments that ask for a search, as they were typed, and the axes that they mean.

    Every end of a span and every value of a list is tried on the recipe now. Raises `UserError` where nothing is to be
    searched, and for a value that no training could have.
    """
    space: dict[str, str] = {}
    axes: list[Axis] = []
    for name, text in request.changes.items():
        if name in SHARED:
            raise UserError(f"--set {name}={text}: all trials share what {SHARED[name]}")
        axis = read_axis(name, text, **kind_of(request, name))
        if axis is not None:
            space[name] = text
            axes.append(axis)
    if not axes:
        raise UserError(f"sweep: nothing to search; give --set FIELD=VALUES, where VALUES are {FORMS}")
    fixed = {name: text for name, text in request.changes.items() if name not in space}
    first = {axis.name: axis.trials()[0] for axis in axes}
    for axis in axes:
        for text in axis.trials():
            check_asked(replace(request, changes={**fixed, **first, axis.name: text}))
    return space, tuple(axes)


def trials_of(axes: tuple[Axis, ...], sampler: Sampler, trials: int, seed: int) -> int:
    """So many trials at most: a space of fewer points needs no more."""
    return trials if sampler == "tpe" else len(points(axes, trials, seed))


def points(axes: tuple[Axis, ...], trials: int, seed: int) -> list[Point]:
    """The points that trials 0, 1, ... try: all of a small space, else a quasi-random sequence.

    Halton's, with its digits permuted by the seed: it fills the space more evenly than chance at any length, and a
    longer one begins as a shorter one does, so the number of a trial tells its values, whoever trains it and whenever.
    No point is tried twice; where next to no new one comes, the space has no more.
    """
    if size(axes) <= trials:
        return every(axes)
    found: dict[tuple[str, ...], Point] = {}
    bases, number, newest = _primes(len(axes)), 0, 0
    while len(found) < trials and number - newest <= 100 + len(found):  # a span has few numbers of four digits
        shares = [_radical_inverse(number, base, seed) for base in bases]
        point = {axis.name: axis.at(share) for axis, share in zip(axes, shares, strict=True)}
        number += 1
        if (values := tuple(point.values())) not in found:
            found[values], newest = point, number
    return list(found.values())


def _radical_inverse(number: int, base: int, seed: int) -> float:
    """The digits of a number to this base, mirrored behind the point, those of each place permuted on their own."""
    share, weight, place = 0.0, 1.0 / base, 0
    while weight > 1e-9:  # places beyond the number's own are zeros, permuted too
        number, digit = divmod(number, base)
        share += weight * _permuted(seed, base, place)[digit]
        weight, place = weight / base, place + 1
    return share


@functools.cache
def _permuted(seed: int, base: int, place: int) -> list[int]:
    return [int(digit) for digit in order(key(seed, f"sweep/{base}"), place, base)]


def _primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def as_number(text: str) -> float | None:
    """What a text is as a number, where it is one."""
    try:
        return float(text)
    except ValueError:
        return None
