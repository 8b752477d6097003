"""The exceptions that mean "your input is wrong" and "something broke", and the sentence for an unknown name."""

from __future__ import annotations

import difflib
import math
import numbers
import os
from collections.abc import Iterable, Sequence
from typing import Any


class UserError(ValueError):
    """Input that the user can mend. The message is one line: what is wrong, where, and what would be right.

    The command line prints it as it is and exits with status 2; a library call raises it.
    """


class BadPicture(UserError):
    """One picture that cannot be read. What reads many may do without it, where its user says so."""


class Fault(RuntimeError):
    """Something broke that is not the user's input: a process that died, a folder that vanished, a mistake of ours.

    The message is one line: what happened and what to do. The command line prints it and exits with status 1.
    """


class Retold(UserError):
    """What stops this process because another one's input is wrong, which says it: here it is not said again."""


def unknown(kind: str, name: object, choices: Iterable[str]) -> UserError:
    """An error for a name that is not one of `choices`, naming the nearest ones first: longer ones, then alike ones."""
    valid = list(choices)
    longer = [choice for choice in valid if name and choice.startswith(str(name))][:3]
    near = [*longer, *(c for c in difflib.get_close_matches(str(name), valid, n=3, cutoff=0.5) if c not in longer)][:4]
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    else:
        hint = f"valid: {', '.join(valid) if len(valid) <= 12 else some(valid, 8)}"
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))
    return UserError(f"unknown {kind} '{shown}'; {hint}")


def some(names: Sequence[str], most: int = 3) -> str:
    """A few of many names, for a line."""
    return ", ".join(names[:most]) + (f", ... ({len(names):,} in all)" if len(names) > most else "")


def check_choice(kind: str, value: object, choices: Iterable[object]) -> None:
    """Raise `UserError` unless `value` is one of `choices`; the message lists them."""
    valid = list(choices)
    if value not in valid:
        raise UserError(f"{kind} is {value!r}; valid: {', '.join(map(repr, valid))}")


def path_text(value: object, what: str) -> str:
    """A path as text. Raises `UserError`, which begins with `what` is taken, for anything that is no path."""
    if not isinstance(value, (str, os.PathLike)):
        raise UserError(f"{what}; found {type(value).__name__}")
    text = os.fspath(value)
    if not text.strip():
        raise UserError(f"{what}; found an empty text")
    return text


def check_at_least(name: str, value: Any, least: float, most: float = 10**9) -> None:
    """Raise `UserError` unless `value` is absent or a number of at least `least` and at most `most`."""
    real = isinstance(value, numbers.Real)
    if value is not None and not real:
        raise UserError(f"{name} is {value!r}; it must be a number, at least {least}")
    if real and not least <= value < math.inf:
        raise UserError(f"{name} is {value}; it must be at least {least}")
    if real and value > most:
        raise UserError(f"{name} is {f'{value:,}' if value < 10**18 else 'far too large'}; it must be at most {most:,}")
