"""Frozen values to JSON and back. Reading checks every field; an unknown one names its nearest neighbours."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
from collections.abc import Mapping
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from .errors import UserError, unknown

T = TypeVar("T")
SPOKEN = {  # what other programs call a field
    "learning_rate": "lr",
    "wd": "weight_decay",
    "batch": "batch_size",
    "bs": "batch_size",
    "optimiser": "optimizer",
    "size": "image_size",
    "imgsz": "image_size",
    "warmup_epochs": "warmup",
    "flip": "augment.flip",
}


def to_json(value: Any) -> Any:
    """Dataclasses to dicts, tuples to lists, paths to texts, all the way down; what has a `to_json` is asked for it."""
    if hasattr(value, "to_json"):
        return value.to_json()
    if dataclasses.is_dataclass(value):
        return fields_to_json(value)
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return str(value) if isinstance(value, os.PathLike) else value


def fields_to_json(value: Any) -> dict[str, Any]:
    """A dataclass's fields by name, in their order: what most of its `to_json` return."""
    return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}


def finite(value: Any) -> Any:
    """JSON has no NaN or infinity: they become None, all the way down."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


def from_json(cls: type[T], data: Any, where: str) -> T:
    """Build the dataclass `cls` from parsed JSON, whose values must be of their fields' own kinds: `true` is no number.

    `where` names the file in the error.
    """
    if not isinstance(data, Mapping):
        raise UserError(f"{where}: expected an object with the fields of {cls.__name__}, found {type(data).__name__}")
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in data:
        if key not in names:
            raise UserError(f"{where}: {unknown('field', key, names)}")
    value = _validate(cls, data, where)
    _check_kinds(data, value, where, "")
    return value


@functools.cache
def _adapter(cls: type[Any]) -> Any:
    from pydantic import TypeAdapter  # 0.1 s: only when a file is read

    return TypeAdapter(cls)


def _check_kinds(raw: Any, value: Any, where: str, place: str) -> None:
    """Raise `UserError` where reading turned a boolean, a number or a text into something of another kind."""
    if isinstance(raw, Mapping):
        inner = value if isinstance(value, Mapping) else vars(value)
        for key, item in raw.items():
            name = f"{place}.{key}" if place else str(key)
            if key not in inner:
                raise UserError(f"{where}: {unknown('field', name, [f'{place}.{field}' for field in inner])}")
            _check_kinds(item, inner[key], where, name)
    elif isinstance(raw, (list, tuple)):
        for i, (item, result) in enumerate(zip(raw, value, strict=True)):
            _check_kinds(item, result, where, f"{place}.{i}")
    elif (isinstance(raw, (bool, str)) or isinstance(value, bool)) and type(raw) is not type(value):
        kinds = {bool: "true or false", str: "a text", int: "a whole number", float: "a number"}
        raise UserError(f"{where}: {place} is {json.dumps(raw)}; expected {kinds.get(type(value), 'another kind')}")


def _validate(cls: type[T], data: Any, where: str, prefix: str = "") -> T:
    from pydantic import ValidationError

    try:
        valid: T = _adapter(cls).validate_python(data)  # type: ignore[arg-type]  # a type can be hashed
        return valid
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = str(first["msg"]).removeprefix("Value error, ")
        starts = (f"{place}.",) if place else tuple(f"{f.name} is " for f in dataclasses.fields(cls))  # type: ignore[arg-type]
        if first["type"] == "value_error" and message.startswith(starts):  # our own sentence names its field already
            raise UserError(f"{where}: {prefix}{message}") from None
        given = f" (found {first['input']!r:.80})" if isinstance(first["input"], (str, int, float)) else ""
        raise UserError(f"{where}: {prefix + place + ': ' if place else ''}{message}{given}") from None


def parse_assignments(texts: list[str], example: str = "lr=0.05") -> dict[str, str]:
    """`["lr=0.1"]` -> {"lr": "0.1"}; a text without `=` is an error that gives an `example`."""
    for text in texts:
        if "=" not in text:
            raise UserError(f"--set {text}: expected field=value, e.g. --set {example}")
    return {name.strip(): value.strip() for name, _, value in (text.partition("=") for text in texts)}


def set_fields(value: T, assignments: Mapping[str, str], where: str = "--set", prefix: str = "") -> T:
    """A copy of a dataclass with `field=text` assignments applied; `a.b` reaches into a nested one.

    A text is read as its field's type: `3,3,3`, `(3, 3, 3)` or `[3,3,3]` where that is a tuple, `none` or `null` where
    the field may be None, else as JSON where it parses (numbers, true) and as a plain string otherwise. `prefix` is
    what the user typed before the field, e.g. `spec.`; errors, all `UserError`, name the field with it.
    """
    valid, data = settable(value), to_json(value)
    for path, text in assignments.items():
        if path not in valid:
            if path in field_paths(value):
                raise UserError(f"{where} {prefix}{path}: it describes and changes nothing, so it is no field to set")
            if SPOKEN.get(path) in valid:
                raise UserError(f"{where}: unknown field '{prefix + path}'; did you mean {prefix + SPOKEN[path]}?")
            raise UserError(f"{where}: {unknown('field', prefix + path, [prefix + name for name in valid])}")
        *outer, last = path.split(".")
        place, owner = data, value
        for name in outer:
            place, owner = place[name], getattr(owner, name)
        place[last] = _parse(text, get_type_hints(type(owner))[last], f"{where} {prefix}{path}={text}")
    return _validate(type(value), data, where, prefix)


def field_kind(value: Any, path: str) -> Literal["several", "whole", "other"]:
    """What the settable field `path` of a dataclass takes: several values at once, a whole number, or anything else.

    A field that there is not takes anything: `set_fields` says what is wrong with it.
    """
    *outer, last = path.split(".")
    for name in outer:
        value = getattr(value, name, None)
    hint = get_type_hints(type(value)).get(last) if dataclasses.is_dataclass(value) else None
    kinds = (
        [kind for kind in get_args(hint) or (hint,) if kind is not NoneType]
        if get_origin(hint) is not tuple
        else [hint]
    )
    if any(get_origin(kind) is tuple for kind in kinds):
        return "several"
    return "whole" if kinds == [int] else "other"


def _parse(text: str, hint: Any, where: str) -> Any:
    """The value that `text` gives a field of type `hint`; `where` is the assignment as it was typed."""
    if NoneType in get_args(hint) and text.lower() in ("none", "null"):
        return None
    if get_origin(hint) is not tuple:
        return _read(text)
    items, kinds = _items(text), get_args(hint)
    types = (int, float) if kinds[0] is float else (kinds[0],)
    right = all(type(item) in types for item in items)  # a bool is an int, and no number here
    if not right or (Ellipsis not in kinds and len(items) != len(kinds)):
        words, example = _FORMS[kinds[0]]
        count = "" if Ellipsis in kinds else f"{len(kinds)} "
        raise UserError(f"{where}: expected {count}{words} with commas between, e.g. {example}")
    return items


_FORMS = {int: ("whole numbers", "4,8"), float: ("numbers", "0.5,0.75")}


def _items(text: str) -> list[Any]:
    """What stands between the commas of `a,b`, `(a, b)` or `[a,b]`."""
    whole = _read(text)
    if isinstance(whole, list):
        return whole
    inner = text.strip()
    if inner[:1] + inner[-1:] in ("()", "[]"):
        inner = inner[1:-1].strip()
    return [_read(item.strip()) for item in inner.removesuffix(",").split(",")] if inner else []


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or more than Python's parser can hold
        return text


def settable(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that `set_fields` takes, as `dotted.path -> value`: all but those that describe it."""
    told = {f.name for f in dataclasses.fields(value) if "describes" in f.metadata}
    return {path: item for path, item in field_paths(value).items() if path not in told}


def field_paths(value: Any, prefix: str = "") -> dict[str, Any]:
    """Every field of a dataclass as `dotted.path -> value`."""
    paths: dict[str, Any] = {}
    for f in dataclasses.fields(value):
        item = getattr(value, f.name)
        if dataclasses.is_dataclass(item):
            paths |= field_paths(item, f"{prefix}{f.name}.")
        else:
            paths[prefix + f.name] = item
    return paths
