"""Where a command's words go: one JSON value on standard output with `--json`, everything else on standard error.

Nothing else in the package prints. Each call is a line (`put`, `say`), a table or a JSON value, so that a name of a
class, file or model cannot end a line, begin one of ours, or move the cursor: `shown` escapes what would.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.files import writable_target
from ..runtime.notes import say as say
from ..runtime.notes import say_notes as say_notes
from ..runtime.process_group import from_environment
from ..runtime.replacing import PAGE, Kind, check_outside_runs, replaceable
from ..spec.codec import finite
from ..spec.errors import Fault, UserError
from ..spec.seen import Seen
from ..spec.text import shown, shown_json

if TYPE_CHECKING:
    from rich.console import RenderableType

WORDS = 24  # characters that a column of words has at least
MOST = 10_000  # characters of a line of a table


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
            check_outside_runs(replaceable(path, kind, option), option)
            if kind is PAGE and path.suffix.lower() not in ("", ".html", ".htm"):
                raise UserError(f"{option} {path}: a page is HTML; name it {path.with_suffix('.html').name}")
        place = os.path.realpath(path)
        if place in named:
            raise UserError(f"{option} {path}: {named[place]} names the same file; give each its own")
        named[place] = option


def emit(value: object, as_json: bool, human: Callable[[], None]) -> None:
    """Print a command's result: as JSON, or by calling `human`, which prints for a person.

    Raises `Fault` where standard output is closed, `OSError` naming it where it cannot be written.
    """
    if not from_environment().first:
        return
    if sys.stdout is None:
        raise Fault("standard output is closed, so the result cannot be printed; the work itself is done")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may hold what this terminal cannot show
    with _naming_standard_output():
        if as_json:
            print(_printable_json(finite(value)))
        else:
            human()
        sys.stdout.flush()  # here, where an error is still ours to tell


def put(*lines: str) -> None:
    """Lines of a result, on standard output; an empty one where none is given."""
    for line in lines or ("",):
        print(shown(line))


def print_seen(label: str, seen: Seen) -> None:
    """A line on what the model has seen of the pictures that were scored, where a person must know it."""
    if seen.worth_saying:
        put(f"{label}{seen}")


def put_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: bool = True, pad_edge: bool = True
) -> None:
    """A table without lines; all columns but the first stand to the right, unless `right` is false: then the last one
    holds words, which stand below each other where a terminal is narrow."""
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=pad_edge)
    rows = list(rows)
    for i, column in enumerate(columns):
        words = not right and i == len(columns) - 1
        widest = max(cell_len(shown(cell)) for cell in (column, *(row[i] for row in rows)))
        table.add_column(
            Text(shown(column)),
            justify="right" if right and i else "left",
            no_wrap=not words,
            overflow="fold",
            min_width=WORDS if words else widest,
        )
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row))  # as text: a name in brackets is no style
    put_renderable(table)


def put_renderable(drawn: RenderableType, *, style: str | None = None) -> None:
    """What rich draws, made of words of ours or of `shown` ones. In a terminal too narrow for a table its rows go on
    in the next line: no name or number is cut."""
    from rich.console import Console

    console = Console(highlight=False)
    console.width = max(console.width, console.measure(drawn, options=console.options.update(width=MOST)).minimum)
    console.print(drawn, style=style)


def rewrite_line(text: str, *, last: bool) -> None:
    """Progress on a terminal: this line in place of the one before."""
    print(f"\r{shown(text)}", end="\n" if last else "", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _naming_standard_output() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # whoever read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        error.filename = error.filename or "standard output"
        raise


def _printable_json(value: object) -> str:
    """JSON as people read it, or all in ASCII where standard output cannot carry a character of it."""
    text = shown_json(json.dumps(value, ensure_ascii=False, allow_nan=False))
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False)
    return text


def progress(what: str) -> Callable[[int, int], None]:
    """A line on standard error now and then: rewritten in place on a terminal, every ten seconds elsewhere."""
    terminal = sys.stderr is not None and sys.stderr.isatty()
    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if terminal and (now - last > 0.1 or done == total):
            rewrite_line(f"{done:,} of {total:,} {what}", last=done == total)
            last = now
        elif not terminal and now - last > 10:
            say(f"{done:,} of {total:,} {what}")
            last = now

    return tell
