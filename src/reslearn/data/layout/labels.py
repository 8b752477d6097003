"""From what a table, a shard or a Parquet file says of each picture to class indices: one label each, in one order."""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...spec.errors import UserError, some
from ...spec.names import spelling, spellings
from ...spec.text import is_text
from ..dataset import Indices

# What label columns and fields are called. The first of them that is there counts, so new ones go to the end.
LABELS = (
    *("label", "class", "class_name", "target", "category", "cls", "labels", "y", "class_label", "label_name"),
    *("category_name", "fine_label", "classes", "class_id", "category_id", "label_id"),
)
_NUMBER = re.compile(r"0*(\d+)(?:\.0+)?")
_MISSING = {"nan", "null", "<na>", "n/a", "#n/a"}  # as pandas and spreadsheets write it
_DECIMAL = re.compile(r"-?\d+\.\d+")
_UNSEEN = ("Zs", "Cf", "Cc")  # Unicode's spaces, formats and controls
ONE_EACH = "several labels a picture (multi-label) are not learned here; give each picture one class"


def class_order(names: Sequence[str]) -> tuple[tuple[str, ...], Indices]:
    """Class names and the label of each sample: integers in their numeric order, other names in lexical order.

    A name in two Unicode spellings is one class.
    """
    one = spellings(names)
    distinct = set(one.values())
    numeric = all(name.isdecimal() and len(name) < 20 for name in distinct)  # longer ones are no numbers of classes
    classes = tuple(sorted(sorted(distinct), key=int) if numeric else sorted(distinct))  # `01` comes before `1`
    index = {name: i for i, name in enumerate(classes)}
    return classes, np.array([index[one[name]] for name in names], dtype=np.int64)


def listed_classes(
    listed: Sequence[str], labels: Sequence[str], path: str, called: str
) -> tuple[tuple[str, ...], Indices]:
    """Labels that are names of a list, `called` so in `path`, or places in it from 0. `UserError` for any other."""
    by_name = {spelling(name): i for i, name in enumerate(listed)}
    if len(by_name) < len(listed):
        twice = next(name for name in listed if sum(spelling(name) == spelling(other) for other in listed) > 1)
        raise UserError(f"{path}: '{twice}' is in {called} twice; a class has one line")
    wanted = {spelling(label) for label in labels}
    places = by_name if wanted <= by_name.keys() else by_name | {str(i): i for i in range(len(listed))}
    strange = sorted(wanted - places.keys())
    if strange:
        raise UserError(f"{path}: label '{strange[0]}' is not in {called} ({len(listed)} names)")
    return tuple(listed), np.array([places[spelling(label)] for label in labels], dtype=np.int64)


def look_alikes(classes: Sequence[str], path: str) -> list[str]:
    """A line where names differ only in case, spaces, characters that nobody sees or how they write a number (`1`,
    `01`, `1.0`): they may be meant as one."""
    alike: dict[str, list[str]] = {}
    for name in classes:
        seen = "".join(c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) not in _UNSEEN)
        number = _NUMBER.fullmatch(seen)
        alike.setdefault(number[1] if number else seen.casefold(), []).append(name)
    same = [" and ".join(map(repr, names)) for names in alike.values() if len(names) > 1]
    return [f"{path}: classes that look alike: {some(same)}"] if same else []


def odd_names(classes: Sequence[str], path: str) -> list[str]:
    """Lines about names that may be no classes: missing labels, several in one, decimal numbers."""
    notes = []
    missing = [name for name in classes if name.lower() in _MISSING]
    if missing:
        notes.append(f"{path}: {some(missing)} may be a missing label, and is a class here; remove such lines if it is")
    known = set(classes)
    joined = [name for name in classes if len(parts := re.split(r"\s*[|;]\s*", name)) > 1 and known.issuperset(parts)]
    if joined:
        notes.append(f"{path}: {some(joined)} may be several labels, and is a class of its own here")
    if classes and all(_DECIMAL.fullmatch(name) for name in classes):
        line = f"{path}: the labels are decimal numbers, each a class of its own, in lexical order ({some(classes)})"
        notes.append(line + "; nothing is fitted to their values")
    return notes


def one_label(value: Any, where: str) -> str:
    """The label that a cell or JSON value says. Raises `UserError` at `where` for none and for several."""
    if isinstance(value, str):
        text = value.strip()
        several = text[:1] in "[({" and text and isinstance(_literal(text), list | tuple | set | dict)
    else:
        text = "" if value is None or value != value else str(value)  # not a number: an empty cell of floats
        several = isinstance(value, list | tuple | dict | set | np.ndarray)
    if several:
        raise UserError(f"{where}: the label is {text[:60]}; {ONE_EACH}")
    if not text:
        raise UserError(f"{where}: no label; give the picture's class, or remove it")
    if not is_text(text):
        raise UserError(f"{where}: the label {text[:60]!r} holds half of a character; write it whole, as UTF-8")
    return text


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
