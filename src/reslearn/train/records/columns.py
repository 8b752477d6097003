"""The names of a record's pictures, where they are many: a file of one column beside it, so that it stays small.

`pictures-DIGEST.csv` has the names under each other. The record holds the file's name and sha256, so the two cannot
come apart unnoticed: one that is rewritten gets a list of another name first, and the old list goes last.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...runtime.files import write_atomic, write_json
from ...runtime.opening import read_regular
from ...spec.errors import UserError

MANY = 100_000  # pictures; a record of more has a list beside it. Of 1.3 million, JSON takes 2.2 s to read, this 0.5 s
FORMAT = 2  # of a record that has
FIELD = "list"  # where the record names the file
_NAME = re.compile(r"pictures-[0-9a-f]{16}\.csv")


def write_with_list(path: Path, value: dict[str, Any], names: Sequence[str] | None, **told: Any) -> None:
    """Write the record `value` to `path`, and `names` into a list beside it, of which the record says what is `told`.

    With None the record says all itself, and no list stays there.
    """
    name = ""
    if names is not None:
        content = _text(names).encode(errors="surrogatepass")  # names need not be UTF-8, and must come back
        digest = hashlib.sha256(content).hexdigest()
        name = f"pictures-{digest[:16]}.csv"
        about = {"file": name, "bytes": len(content), "sha256": digest, **told}
        value = {**value, FIELD: about, "format": FORMAT}
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


def read_list(path: Path, value: dict[str, Any]) -> tuple[tuple[str, ...], dict[str, Any]] | None:
    """The names in the list that the record `value`, read from `path`, names, and what it says of them; None for none.

    The field that names it is taken out of `value`. Raises `UserError` where the file is not the one that was written.
    """
    about = value.pop(FIELD, None)
    match about:
        case None:
            return None
        case {"file": str(name), "bytes": int(size), "sha256": str(digest)} if is_list(name) and size >= 0:
            return _names(_content(path, path.parent / name, size, digest)), about
    raise damaged(path)


def damaged(path: Path) -> UserError:
    """What to say where a record and its list do not fit together."""
    return UserError(f"{path}: {FIELD} does not say which pictures are meant; it is damaged, put a copy of it back")


def _content(record: Path, file: Path, size: int, digest: str) -> str:
    try:
        content = read_regular(file, size) if file.stat().st_size == size else b""
    except FileNotFoundError:
        raise UserError(f"{file}: not there, and {record} tells of it; put a copy of it back") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise UserError(f"{file}: not the list of pictures that {record} was written with; put a copy of it back")
    return content.decode(errors="surrogatepass")


def _text(names: Sequence[str]) -> str:
    """One column of a CSV. Hardly any name needs quotes, and where none does, a million are joined at once."""
    text = "\r\n".join(["name", *names, ""])
    plain = all(names) and '"' not in text and "," not in text
    if plain and text.count("\n") == text.count("\r") == len(names) + 1:
        return text
    out = io.StringIO(newline="")
    csv.writer(out).writerows([name] for name in ("name", *names))
    return out.getvalue()


def _names(text: str) -> tuple[str, ...]:
    if '"' not in text:
        return tuple(text.split("\r\n")[1:-1])
    return tuple(row[0] for row in csv.reader(io.StringIO(text, newline="")))[1:]
