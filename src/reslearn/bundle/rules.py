"""What no sealed file may say of itself, whoever wrote it: checked when it is opened and before it is sealed."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, get_args

from ..runtime.container import MEAN_IMAGE, SEEN
from ..spec.errors import UserError
from ..spec.rule import Rule, check_fields
from ..spec.seen import KnownBy

if TYPE_CHECKING:
    from .header import Bundle

OTHER_TENSORS = (MEAN_IMAGE, SEEN)  # in the file, and of no network
TEMPERATURES = (1e-4, 1e9)  # fitted ones lie in 1e-3..1e3; beyond these, probabilities are no numbers or all alike

# What is known of the fields of a score and of `data`; other fields may hold any JSON.
SHARE = Rule(lambda v: is_number(v) and 0 <= v <= 1, "a number in 0..1")
_PERCENT = Rule(lambda v: is_number(v) and 0 <= v <= 100, "a number in 0..100")
NUMBER = Rule(lambda v: is_number(v), "a number")
_NOT_NEGATIVE = Rule(lambda v: is_number(v) and v >= 0, "a number of at least 0")
_LOSS = Rule(lambda v: v == math.inf or _NOT_NEGATIVE.holds(v), "a number of at least 0")  # infinity is written as null
INTERVAL = Rule(lambda v: isinstance(v, (list, tuple)) and len(v) == 2 and all(map(SHARE.holds, v)), "two in 0..1")
_COUNT = Rule(lambda v: type(v) is int and v >= 0, "a whole number of at least 0")
TEXT = Rule(lambda v: isinstance(v, str), "a text")
_FLAG = Rule(lambda v: isinstance(v, bool), "true or false")
_TEXTS = Rule(lambda v: isinstance(v, (list, tuple)) and all(isinstance(x, str) for x in v), "a list of texts")
_SEEN = Rule(
    lambda v: (
        isinstance(v, Mapping)
        and v.get("known_by") in get_args(KnownBy)
        and all(v.get(name) is None or _COUNT.holds(v[name]) for name in ("trained", "selected"))
    ),
    "an object with trained, selected and known_by",
)
SCORE: dict[str, Rule] = {
    "images": _COUNT, "top1": SHARE, "top5": SHARE, "top1_error": _PERCENT, "top5_error": _PERCENT, "loss": _LOSS,
    "top1_interval": INTERVAL, "top5_interval": INTERVAL, "protocol": TEXT, "cost": _NOT_NEGATIVE,
    "precision": TEXT, "preprocess_hash": TEXT, "selected_on_test": _FLAG, "seen": _SEEN,
}  # fmt: skip
DATA: dict[str, Rule] = {
    "path": TEXT, "fingerprint": TEXT, "classes": _TEXTS, "train": _COUNT, "val": _COUNT, "folds": _COUNT,
    "members": _TEXTS, "selected_on": TEXT,
}  # fmt: skip
SEEN_FIELDS: dict[str, Rule] = {
    "known_by": TEXT, "trained": _COUNT, "selected": _COUNT, "error": SHARE, "decoder": _COUNT, "forgotten": _FLAG,
}  # fmt: skip
SOURCE: dict[str, Rule] = {"weights": TEXT, "licence": TEXT, "recipe": TEXT, "sha256": TEXT}


def check_bundle(bundle: Bundle) -> None:
    """Raise `UserError` that names the field and what it may be."""
    check_fields(bundle)
    _check_members(bundle)
    if bundle.classes is not None:
        check_classes(bundle.classes)
        if len(bundle.classes) != bundle.num_classes:
            raise UserError(f"{len(bundle.classes)} class names for a network with {bundle.num_classes} classes")
    low, high = TEMPERATURES
    if bundle.temperature is not None and not (is_number(bundle.temperature) and low <= bundle.temperature <= high):
        raise UserError(f"temperature is {bundle.temperature}; it must be a number in {low:g}..{high:g}")
    if bundle.threshold is not None and not SHARE.holds(bundle.threshold):
        raise UserError(f"threshold is {bundle.threshold}; it must be {SHARE.words}")
    for name, score in _mapping("scores", bundle.scores).items():
        _check_fields(f"scores.{name}", _mapping(f"scores.{name}", score), SCORE)
    if bundle.data is not None:
        _check_fields("data", _mapping("data", bundle.data), DATA)
    if bundle.seen is not None:
        _check_fields("seen", vars(bundle.seen), SEEN_FIELDS)
    if bundle.source is not None:
        _check_fields("source", _mapping("source", bundle.source), SOURCE)
    if bundle.recipe is not None:
        _check_fields("recipe", _mapping("recipe", bundle.recipe), {})
    since = bundle.sealed_whole_since
    if since is not None and not (isinstance(since, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", since)):
        raise UserError(f"sealed_whole_since is {_short(since)}; it must be a date such as 2025-01-31")


def check_classes(names: tuple[str, ...]) -> None:
    """Raise `UserError` for class names that cannot tell classes apart."""
    for name in names:
        if not isinstance(name, str) or not name.strip() or "\0" in name:
            raise UserError(f"classes: {name!r} is no class name; it must be a text that is not empty")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"classes: {twice[0]!r} is there twice; each class needs a name of its own")


def is_number(value: Any) -> bool:
    """Whether this is a finite number; a boolean is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False


def _check_members(bundle: Bundle) -> None:
    if not bundle.members:
        raise UserError("a sealed file holds at least one network; members is empty")
    prefixes = sorted(member.prefix for member in bundle.members)
    for prefix in prefixes:
        if prefix and any(name.startswith(prefix) or prefix.startswith(name) for name in OTHER_TENSORS):
            raise UserError(f"prefix {prefix!r} is that of tensors which belong to no network; use another")
    for one, other in pairwise(prefixes):
        if other == one:
            raise UserError("two members of a sealed file share a prefix; each needs its own")
        if other.startswith(one):
            raise UserError(f"prefix {one!r} begins {other!r}; a tensor must belong to one member")
    weights = [member.weight for member in bundle.members]
    if not all(map(_NOT_NEGATIVE.holds, weights)) or not 0 < sum(weights) < math.inf:
        raise UserError("member weights must be numbers of at least 0, and one of them more")
    outputs = {member.spec.num_classes for member in bundle.members}
    if len(outputs) > 1:
        raise UserError(f"members answer with different numbers of classes: {sorted(outputs)}")


def _mapping(place: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise UserError(f"{place} is {_short(value)}; it must be an object with names for its fields")
    return value


def _check_fields(place: str, value: Mapping[str, Any], rules: Mapping[str, Rule]) -> None:
    for name, item in value.items():
        if name not in rules:
            _check_finite(f"{place}.{name}", item)
        elif item is not None and not rules[name].holds(item):
            raise UserError(f"{place}.{name} is {_short(item)}; it must be {rules[name].words}")


def _check_finite(place: str, value: Any) -> None:
    """Every number in a JSON value must be one."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_finite(f"{place}.{key}", item)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            _check_finite(f"{place}.{i}", item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{place} is {value}; it must be a finite number")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
