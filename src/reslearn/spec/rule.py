"""What single fields of a value may be: the choices of a `Literal`, and the rules that types here bring along."""

from __future__ import annotations

import functools
import math
import numbers
from collections.abc import Callable
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, TypeGuard, get_args, get_origin, get_type_hints

from .errors import UserError, check_choice


class Rule(NamedTuple):
    """What holds for a right value, and how a person says it."""

    holds: Callable[[Any], bool]
    words: str
    kind: Any = None  # what it is said of: int, float, tuple[float, float], ...
    most: float = 1e300  # of what is larger, nobody means it, and arithmetic ends in infinity


def _at_most(rule: Rule, most: float) -> Rule:
    return rule._replace(most=most)


def _rising(values: tuple[float, ...]) -> bool:
    return all(a < b for a, b in pairwise(values))


_POSITIVE = Rule(lambda v: 0 < v < math.inf, "positive")
_NOT_NEGATIVE = Rule(lambda v: 0 <= v < math.inf, "0 or more")
_AT_LEAST_1 = Rule(lambda v: 1 <= v < math.inf, "at least 1")
_RANGE = Rule(lambda v: 0 < v[0] <= v[1] < math.inf, "low, high with 0 < low <= high")

# Every comparison is false for NaN, and those without an upper bound name infinity: neither passes anywhere.
Positive = Annotated[float, _POSITIVE]
NotNegative = Annotated[float, _NOT_NEGATIVE]
Count = Annotated[int, _at_most(_AT_LEAST_1, 10**9)]
Few = Annotated[int, _at_most(_AT_LEAST_1, 1_000)]  # of what is done to each picture
Batch = Annotated[int, _at_most(_AT_LEAST_1, 10**6)]
Side = Annotated[int, _at_most(_AT_LEAST_1, 4096)]  # pixels, as `Preprocess.size`
Border = Annotated[int, _at_most(_NOT_NEGATIVE, 4096)]
Depth = Annotated[int, _at_most(_NOT_NEGATIVE, 10**6)]
# Budgets: more than anybody trains
Epochs = Annotated[float, _at_most(_POSITIVE, 10**6)]
Steps = Annotated[int, _at_most(_POSITIVE, 10**9)]
StepsOrNone = Annotated[int, _at_most(_NOT_NEGATIVE, 10**9)]
Images = Annotated[int, _at_most(_POSITIVE, 10**12)]
MOST = 4096  # threads or processes; of more than a system gives, torch dies without a word
Threads = Annotated[int, Rule(lambda v: 1 <= v <= MOST, f"at least 1 and at most {MOST:,}")]
Workers = Annotated[int, Rule(lambda v: 0 <= v <= MOST, f"at least 0 and at most {MOST:,}")]
Pair = Annotated[int, Rule(lambda v: 2 <= v < math.inf, "at least 2", most=10**6)]
Share = Annotated[float, Rule(lambda v: 0 <= v <= 1, "in [0, 1]")]
BelowOne = Annotated[float, Rule(lambda v: 0 <= v < 1, "in [0, 1)")]
UpToOne = Annotated[float, Rule(lambda v: 0 < v <= 1, "in (0, 1]")]
Dropped = Annotated[float, Rule(lambda v: 0 <= v < 1, "at least 0 and below 1")]
Inside = Annotated[float, Rule(lambda v: 0 < v < 1, "in (0, 1)")]
Percent = Annotated[float, Rule(lambda v: 0 < v <= 100, "a percentage in (0, 100]")]
Magnitude = Annotated[int, Rule(lambda v: 0 <= v <= 30, "in 0..30")]
Betas = Annotated[tuple[float, float], Rule(lambda v: all(0 <= x < 1 for x in v), "two numbers in [0, 1)")]
Area = Annotated[tuple[float, float], Rule(lambda v: 0 < v[0] <= v[1] <= 1, "low, high with 0 < low <= high <= 1")]
Range = Annotated[tuple[float, float], _RANGE]
Sides = Annotated[tuple[int, int], _at_most(_RANGE, 8192)]  # pixels, as `Preprocess.resize`
Rising = Annotated[
    tuple[float, ...],
    Rule(lambda v: all(0 <= x <= 1 for x in v) and _rising(v), "rising fractions of the budget in [0, 1]"),
]
RisingInside = Annotated[
    tuple[float, ...],
    Rule(lambda v: all(0 < x < 1 for x in v) and _rising(v), "rising fractions of the budget in (0, 1)"),
]


DESCRIBES = MappingProxyType({"describes": True})  # metadata of a field that says what a value is, and changes nothing
KINDS = {int: "a whole number", float: "a number"}


def check_fields(value: object, prefix: str = "") -> None:
    """Raise `UserError` that names the first field of a dataclass, behind `prefix`, with a value that it cannot have.

    Where a field may be None, no rule speaks of that.
    """
    choices, rules = field_rules(type(value))  # type: ignore[arg-type]  # a type can be hashed
    for name, valid in choices.items():
        check_choice(prefix + name, getattr(value, name), valid)
    for name, rule in rules.items():
        _check(prefix + name, getattr(value, name), rule)


def check_field(cls: type[Any], field: str, given: object, name: str) -> None:
    """Raise `UserError`, which calls it `name`, for what this field of a dataclass cannot be."""
    _check(name, given, field_rules(cls)[1][field])  # type: ignore[arg-type]  # a type can be hashed


def _check(name: str, given: object, rule: Rule) -> None:
    if given is None:
        return
    if rule.kind in KINDS and not is_number(given, whole=rule.kind is int):
        raise UserError(f"{name} is {given!r}; it must be {KINDS[rule.kind]}, {rule.words}")
    if not _holds(rule, given):
        raise UserError(f"{name} is {plain(given)}; it must be {rule.words}")
    if any(part > rule.most for part in (given if isinstance(given, tuple) else (given,))):
        most = f"{rule.most:,}" if isinstance(rule.most, int) else f"{rule.most:g}"
        raise UserError(f"{name} is {plain(given)}; it must be at most {most}")


@functools.cache
def field_rules(cls: type[Any]) -> tuple[dict[str, tuple[Any, ...]], dict[str, Rule]]:
    """The fields of a dataclass that take one of a few values, and those that have a rule."""
    hints = get_type_hints(cls, include_extras=True)
    choices = {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}
    choices |= {name: (True, False) for name, hint in hints.items() if hint is bool}
    parts = ((name, part) for name, hint in hints.items() for part in (hint, *get_args(hint)))  # `Count | None`
    return choices, {
        name: part.__metadata__[0]._replace(kind=part.__origin__)
        for name, part in parts
        if get_origin(part) is Annotated
    }


def is_number(value: object, *, whole: bool = False) -> TypeGuard[float]:
    """Whether a value is a number (a whole one); true and false are none."""
    return isinstance(value, numbers.Integral if whole else numbers.Real) and not isinstance(value, bool)


def _holds(rule: Rule, given: object) -> bool:
    try:
        return rule.holds(given)
    except (TypeError, IndexError):  # of another kind than anything right
        return False


def plain(value: object) -> str:
    """A tuple as it is typed, `0.5,0.75`; a whole number of many digits by how many they are."""
    if isinstance(value, tuple):
        return ",".join(map(plain, value))
    if isinstance(value, int) and value.bit_length() > 80:  # Python writes none of over 4,300 digits
        return f"a number of {int(value.bit_length() * math.log10(2)) + 1:,} digits"
    return str(value)
