"""The door of Python: what every public call of `reslearn` checks and says alike, whoever wrote the function behind it.

Arguments of a wrong kind are told before any work, read from the function's own signature; errors name arguments where
a command's name options. What needs more than a kind (a model, data, a network) the function itself tells better.
"""

from __future__ import annotations

import functools
import inspect
import os
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from .errors import UserError
from .rule import is_number
from .text import shown
from .voice import as_arguments

_WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}


def public(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` as users call it by `name`. Raises `TypeError` for arguments that it has not, as Python does."""
    signature = inspect.signature(function)
    about = next((one.name for one in signature.parameters.values() if one.default is one.empty), None)
    rest = next((one.name for one in signature.parameters.values() if one.kind is one.VAR_KEYWORD), "")

    @functools.wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        try:
            bound = signature.bind(*given, **named)
        except TypeError as error:
            raise TypeError(f"reslearn.{name}: {error}") from None
        try:
            kinds = kinds_of(function)
            _check(kinds, bound.arguments | bound.arguments.get(rest, {}), about)
            bound.arguments.update({name: _own(value, kinds.get(name, ())) for name, value in bound.arguments.items()})
            return function(*bound.args, **bound.kwargs)
        except UserError as error:
            error.args = (shown(as_arguments(str(error))), *error.args[1:])
            raise

    return call


@functools.cache
def kinds_of(function: Callable[..., Any]) -> dict[str, tuple[Any, ...]]:
    """The arguments whose kinds are plain ones, with these: numbers, texts, paths, choices, None."""
    hints = get_type_hints(function)
    found: dict[str, tuple[Any, ...]] = {}
    for parameter in inspect.signature(function).parameters.values():
        hint = hints.get(parameter.name)
        if parameter.kind is parameter.VAR_KEYWORD:
            several = next((one for one in get_args(hint) if is_typeddict(one)), None)
            found |= _plain(get_type_hints(several)) if several is not None else {}
        else:
            found |= _plain({parameter.name: hint})
    return found


def _plain(hints: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    split = {name: _members(hint) for name, hint in hints.items()}
    return {name: members for name, members in split.items() if all(map(_is_plain, members))}


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _is_plain(kind: Any) -> bool:
    return kind in (*_WORDS, types.NoneType) or get_origin(kind) in (Literal, os.PathLike)


def _check(kinds: Mapping[str, tuple[Any, ...]], arguments: Mapping[str, Any], about: str | None) -> None:
    """Raise `UserError` for one of these that is of none of its kinds, or an empty text.

    Of what kind the argument must be that a call is `about`, the function says in its own words.
    """
    for name, value in arguments.items():
        if name not in kinds:
            continue
        if isinstance(value, str) and not value.strip():
            raise UserError(f"{name} is an empty text; give it, or leave it out")
        if isinstance(value, str) and "\0" in value:
            raise UserError(f"{name} is {value!r}; a text holds no NUL character")
        if name != about and not any(_is_of(value, kind) for kind in kinds[name]):
            raise UserError(f"{name} is {_shown(value)}; {_wanted(kinds[name])}")


def _own(value: Any, kinds: tuple[Any, ...]) -> Any:
    """A number as Python's own, which records can hold: NumPy's, a fraction."""
    if not is_number(value) or type(value) in (int, float):
        return value
    return int(value) if int in kinds and is_number(value, whole=True) else float(value) if float in kinds else value


def _is_of(value: Any, kind: Any) -> bool:
    if kind is bool:
        return type(value).__name__ in ("bool", "bool_")  # Python's, and NumPy's of either age
    if kind in (int, float):
        return is_number(value, whole=kind is int)
    if get_origin(kind) is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(kind))
    return isinstance(value, os.PathLike if get_origin(kind) is os.PathLike else kind)


def _wanted(kinds: tuple[Any, ...]) -> str:
    """`it must be a path`, `valid: 'a', 'b'`."""
    choices = [repr(choice) for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    if choices:
        return f"valid: {', '.join(choices)}"
    if any(get_origin(kind) is os.PathLike for kind in kinds):
        return "it must be a path"
    return f"it must be {' or '.join(_WORDS[kind] for kind in kinds if kind is not types.NoneType)}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 and "\n" not in text else type(value).__name__
