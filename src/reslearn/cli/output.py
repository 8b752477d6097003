"""Where a command's words go: one JSON value on standard output with `--json`, everything else on standard error."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ..runtime.files import writable_target
from ..runtime.process_group import from_environment
from ..runtime.replacing import Kind, replaceable
from ..spec.codec import finite
from ..spec.errors import UserError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on standard output and nothing else there.")]


def say(line: str) -> None:
    """One line of progress or warning, on standard error at once; the first of several processes speaks."""
    if from_environment().first:
        print(line, file=sys.stderr, flush=True)


def say_notes(dataset: object) -> None:
    """What a source has to remark, or that of a part: what its manifest leaves out, what is beside its pictures."""
    while not hasattr(dataset, "notes") and hasattr(dataset, "source"):
        dataset = dataset.source
    for note in getattr(dataset, "notes", ()):
        say(f"note      {note}")


def check_targets(files: Mapping[str, tuple[Path | None, Kind | None]]) -> None:
    """Before any work: raise `UserError` for an option whose file cannot be written where it is named.

    With a kind, what is there must be of that kind; without, whoever writes it looks. No two may name one file.
    """
    named: dict[str, str] = {}
    for option, (path, kind) in files.items():
        if path is None:
            continue
        if kind is None:
            writable_target(path, where=option)
        else:
            replaceable(path, kind, option)
        place = os.path.realpath(path)
        if place in named:
            raise UserError(f"{option} {path}: {named[place]} names the same file; give each its own")
        named[place] = option


def emit(value: Any, as_json: bool, human: Callable[[], None]) -> None:
    """Print a command's result: as JSON, or by calling `human`, which prints for a person."""
    if not from_environment().first:
        return
    if as_json:
        print(_printable_json(finite(value)))
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may hold what this terminal cannot show
    human()


def _printable_json(value: Any) -> str:
    """JSON as people read it, or all in ASCII where standard output cannot carry a character of it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False)
    return text
