"""Frozen values to JSON and back. Reading checks every field; an unknown one names its nearest neighbours."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, TypeVar

from .errors import UserError, unknown

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """Dataclasses to dicts and tuples to lists, all the way down."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return value


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
    """Build the dataclass `cls` from parsed JSON. `where` names the file or option in the error."""
    if not isinstance(data, Mapping):
        raise UserError(f"{where}: expected an object with the fields of {cls.__name__}, found {type(data).__name__}")
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in data:
        if key not in names:
            raise UserError(f"{where}: {unknown('field', key, names)}")
    return _validate(cls, data, where)


def _validate(cls: type[T], data: Any, where: str) -> T:
    from pydantic import TypeAdapter, ValidationError  # 0.1 s: only when a file is read

    try:
        return TypeAdapter(cls).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = str(first["msg"]).removeprefix("Value error, ")
        raise UserError(f"{where}: {place + ': ' if place else ''}{message}") from None


def parse_assignments(texts: list[str]) -> dict[str, str]:
    """`["lr=0.1"]` -> {"lr": "0.1"}; a text without `=` is an error."""
    for text in texts:
        if "=" not in text:
            raise UserError(f"--set {text}: expected field=value, e.g. --set lr=0.05")
    return {name.strip(): value.strip() for name, _, value in (text.partition("=") for text in texts)}


def set_fields(value: T, assignments: Mapping[str, str], where: str = "--set") -> T:
    """A copy of a dataclass with `field=text` assignments applied; `a.b` reaches into a nested one.

    Texts are read as JSON where they parse (numbers, true, null, lists) and as plain strings otherwise.
    """
    valid, data = field_paths(value), to_json(value)
    for path, text in assignments.items():
        if path not in valid:
            raise UserError(f"{where}: {unknown('field', path, valid)}")
        *outer, last = path.split(".")
        place = data
        for name in outer:
            place = place[name]
        place[last] = _parse(text)
    return _validate(type(value), data, where)


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def field_paths(value: Any, prefix: str = "") -> dict[str, Any]:
    """Every settable field of a dataclass as `dotted.path -> value`."""
    paths: dict[str, Any] = {}
    for f in dataclasses.fields(value):
        item = getattr(value, f.name)
        if dataclasses.is_dataclass(item):
            paths |= field_paths(item, f"{prefix}{f.name}.")
        else:
            paths[prefix + f.name] = item
    return paths
