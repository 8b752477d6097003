"""The pictures of a record, where they are many: a CSV beside it, a line each, so that the record itself stays small.

`pictures-DIGEST.csv` has three columns, which the record's kind names: the part or fold of a picture, its label (empty
where none is recorded), its name. The record holds the file's name and sha256, so the two cannot come apart unnoticed:
one that is rewritten gets a list of another name first, and the old list goes last.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ...runtime.files import write_atomic, write_json
from ...runtime.opening import read_regular
from ...spec.errors import UserError

MANY = 100_000  # pictures; a record of more has its list beside it. Of ImageNet's 1.3 million, JSON took 2.4 s to read
FORMAT = 2  # of a record that has
FIELD = "list"  # where the record names the file
_NAME = re.compile(r"pictures-[0-9a-f]{16}\.csv")
Row = tuple[str, str, str]  # part or fold, label, name


def write_with_list(path: Path, value: dict[str, Any], first: str, rows: Iterable[Row] | None) -> None:
    """Write the record `value` to `path`, and `rows`, of which `first` is the first column's name, beside it.

    With None the record says all itself, and no list stays there.
    """
    name = ""
    if rows is not None:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow((first, "label", "name"))
        writer.writerows(rows)
        content = text.getvalue().encode(errors="surrogatepass")  # names need not be UTF-8, and must come back
        digest = hashlib.sha256(content).hexdigest()
        name = f"pictures-{digest[:16]}.csv"
        value = {**value, FIELD: {"file": name, "bytes": len(content), "sha256": digest}, "format": FORMAT}
        write_atomic(path.parent / name, content)
    write_json(path, value)
    for other in lists_in(path.parent):
        if other.name != name:
            other.unlink(missing_ok=True)


def lists_in(folder: Path) -> list[Path]:
    """The lists of pictures that lie in a folder, whether a record names them or not."""
    return [folder / name for name in os.listdir(folder) if is_list(name)]


def is_list(name: str) -> bool:
    """Whether a file is called as such a list is."""
    return _NAME.fullmatch(name) is not None


def read_list(path: Path, value: dict[str, Any]) -> Iterator[Row] | None:
    """The rows of the list that the record `value`, read from `path`, names; None where it names none.

    The field that names it is taken out of `value`. Raises `UserError` where the file is not the one that was written.
    """
    told = value.pop(FIELD, None)
    if told is None:
        return None
    match told:
        case {"file": str(name), "bytes": int(size), "sha256": str(digest)} if is_list(name) and size >= 0:
            return _rows(path.parent / name, _content(path, path.parent / name, size, digest))
    raise UserError(
        f"{path}: {FIELD} does not say which list of pictures is meant; it is damaged, put a copy of it back"
    )


def _content(record: Path, file: Path, size: int, digest: str) -> bytes:
    try:
        content = read_regular(file, size) if file.stat().st_size == size else b""
    except FileNotFoundError:
        raise UserError(f"{file}: not there, and {record} tells of it; put a copy of it back") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise UserError(f"{file}: not the list of pictures that {record} was written with; put a copy of it back")
    return content


def _rows(file: Path, content: bytes) -> Iterator[Row]:
    try:
        rows = csv.reader(io.StringIO(content.decode(errors="surrogatepass"), newline=""))
        next(rows, None)  # the columns' names
        for row in rows:
            part, label, name = row
            yield part, label, name
    except (ValueError, csv.Error) as error:
        raise UserError(f"{file}: not a list of pictures ({error}); put a copy of it back") from None
