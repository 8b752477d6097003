"""Lines for people on standard error, from the first of several processes."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterable

from ..spec.text import shown
from .process_group import from_environment


def speak(text: str) -> None:
    """One line, whatever `text` holds: what would end it or move the cursor is shown escaped. From any process."""
    if sys.stderr is not None:  # print would then take standard output
        with contextlib.suppress(OSError):  # that nobody can hear us is no reason to stop
            print(shown(text), file=sys.stderr, flush=True)


def say(text: str) -> None:
    """One line, from the first process."""
    if from_environment().first:
        speak(text)


def note(text: str) -> None:
    """One line that is good to know."""
    say(f"note: {text}")


def say_notes(notes: Iterable[str]) -> None:
    """What a source has to remark: what its manifest leaves out, what is beside its pictures."""
    for note in notes:
        say(f"note      {note}")


def warn(text: str) -> None:
    """One line about something that is wrong and was got round."""
    say(f"warning: {text}")


@functools.cache
def note_once(text: str) -> None:
    """One line, once however often the same is to be said: a file is opened more than once in a command."""
    note(text)
