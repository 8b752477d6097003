"""What a stored result must have for a page to be made of it: shapes of JSON, and what of a value is not of its shape.

A shape is a type; `POSITIVE`; `Maybe` of one; a list of one for every item, a tuple of one where there must be an item;
or a mapping of shapes by key, where `key?` may be missing and `*` stands for every key.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

POSITIVE: Final = "positive"
WORDS = {str: "text", int: "whole number", float: "finite number"}


@dataclass(frozen=True)
class Maybe:
    """The shape, or null."""

    shape: Any


SCORE = {"top1_error": float, "top5_error?": Maybe(float)}
NORMS = ({"layer": str, "signal": float},)
PROBES = {
    "responses?": ({"std": float, "closed_form": POSITIVE},),
    "gradients?": {"start": NORMS, "end": NORMS},
    "lesion?": {"pictures": int, "intact": float, "dropped": ([],)},
    "gates?": [{"block": str, "open": float}],
    "branches?": [{"ratio": float}],
    "cut?": [{"share": float}],
    "excitations?": [{"block": str, "channels": [int], "overall": (float,), "classes": {"*": {"mean": (float,)}}}],
    "start?": {"pictures": int, "shallow_train_error": float, "train_error": float, "largest_difference": float},
}
RESULT = {
    "data": {"name": str, "fingerprint": str, "classes": int, "train": int, "test": int},
    "recipe": {"name": str, "batch_size": int, "iterations?": Maybe(int)},
    "test": {"*": SCORE},
    "machine?": {"cpu?": Maybe(str), "gpus?": Maybe([str])},
    "settings?": {"precision?": str},
    "probes?": PROBES,
}
# what is computed from all nets of an experiment together
AFTER = {"tier": str, "fraction": float, "seed": int, "pictures": int, "members": {"*": float}, "growing": (float,)}
# what an experiment measures without training
MEASURED: Mapping[str, Any] = {
    "study-gradients": {
        "rows": ({"net": str, "norm": str, "init": str, "ratio": float},),
        "path": ({"along": float, "norm": float},),
    },
    "p5-fig4": {
        "batch": int, "repeats": int, "threads": int, "device?": str,
        "rows": ({"net": str, "seconds": POSITIVE, "spread": float, "macs": POSITIVE},),
    },
}  # fmt: skip


def misfit(value: Any, shape: Any, place: str = "") -> str:
    """What of `value` is not of `shape`, e.g. "rows.3.ratio is missing"; empty where all of it is."""
    if isinstance(shape, Maybe):
        return "" if value is None else misfit(value, shape.shape, place)
    if isinstance(shape, Mapping):
        return _misfit_of_keys(value, shape, place)
    if isinstance(shape, (list, tuple)):
        if not isinstance(value, list) or (isinstance(shape, tuple) and not value):
            return f"{place} is no list{'' if isinstance(shape, list) else ' that holds something'}"
        inner = ((item, shape[0], f"{place}.{i}") for i, item in enumerate(value)) if shape else ()
        return next((found for one in inner if (found := misfit(*one))), "")
    if shape is POSITIVE:
        return misfit(value, float, place) or ("" if value > 0 else f"{place} is not above 0")
    kinds = (int, float) if shape is float else shape
    right = isinstance(value, kinds) and not isinstance(value, bool)
    right = right and (not isinstance(value, float) or math.isfinite(value))
    return "" if right else f"{place} is no {WORDS[shape]}"


def _misfit_of_keys(value: Any, shape: Mapping[str, Any], place: str) -> str:
    if not isinstance(value, Mapping):
        return f"{place} is no JSON object"
    inner: list[tuple[Any, Any, str]] = []
    for key, wanted in shape.items():
        name = key.removesuffix("?")
        if key == "*":
            inner += [(value[each], wanted, f"{place}.{each}".lstrip(".")) for each in value]
        elif name in value:
            inner.append((value[name], wanted, f"{place}.{name}".lstrip(".")))
        elif name == key:
            return f"{place}.{name}".lstrip(".") + " is missing"
    return next((found for one in inner if (found := misfit(*one))), "")
