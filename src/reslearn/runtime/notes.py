"""Lines for people on standard error, from the first of several processes."""

from __future__ import annotations

import functools
import sys

from .process_group import from_environment


def note(text: str) -> None:
    """One line."""
    if from_environment().first:
        print(f"note: {text}", file=sys.stderr, flush=True)


@functools.cache
def note_once(text: str) -> None:
    """One line, once however often the same is to be said: a file is opened more than once in a command."""
    note(text)
