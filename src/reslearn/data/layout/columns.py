"""A CSV, TSV or list file that any program wrote: its rows, and which columns are the picture, the label, the split
and the group, by name, one-hot, or by place."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...spec.errors import UserError, some
from ...spec.text import counted
from ..pictures.kinds import EXTENSIONS
from .charset import text_file
from .labels import LABELS, ONE_EACH, one_label

# Of each kind the first name that is there counts, so new ones go to the end.
COLUMNS = {
    "path": (
        *("path", "file", "filename", "filepath", "image", "image_path", "file_name", "file_path", "image_name"),
        *("image_file", "img", "img_path", "img_name", "picture", "photo", "image_id", "img_id", "id"),
    ),
    "label": LABELS,
    "split": ("split", "set", "subset", "partition"),
    "group": ("group", "patient", "subject", "session"),
}
_INDEX = {"", "index", "unnamed: 0"}  # what pandas writes in front
_SPLITTING = re.compile(r"(is_?)?(train|val|valid|validation|test)(ing)?|folds?", re.IGNORECASE)
_YES, _NO = {"1", "1.0", "true"}, {"0", "0.0", "false", ""}


@dataclass(frozen=True)
class Rows:
    """Cells of the rows that are not empty, the number of each one's line, and a note where characters were guessed."""

    lines: list[int]
    cells: list[list[str]]
    note: str = ""


@dataclass(frozen=True)
class Columns:
    """One cell per picture in each; `split` and `group` are None where the table has none."""

    lines: list[int]
    path: list[str]
    label: list[str]
    split: list[str] | None
    group: list[str] | None
    header: dict[str, str]  # what the first line calls each of these, empty where it is no header
    notes: list[str]

    def rows(self, kept: Sequence[int]) -> Columns:
        """The same of some rows."""
        columns: dict[str, Any] = {name: getattr(self, name) for name in _CELLS}
        columns = {name: column and [column[i] for i in kept] for name, column in columns.items()}
        return replace(self, **columns)


_CELLS = ("lines", *COLUMNS)  # those fields of `Columns` that have a cell per picture


def read_columns(path: str, asked: Mapping[str, str]) -> Columns:
    """Read a table. `asked` names some of its columns by their header, as DATA `t.csv#label=species` does.

    With a header, columns go by name (`COLUMNS`); a label column of any name is taken if only one is left, and columns
    of 0 and 1 with one 1 a row are one-hot. Without a header: path, label, split, group. Raises `UserError` naming the
    line and what was found.
    """
    rows = _read_rows(path)
    if not rows.cells:
        raise UserError(f"{path}: no rows; each line names a picture and its label")
    head = [" ".join(cell.split()) for cell in rows.cells[0]]
    where = _by_name(path, head, rows, asked)
    lines, cells = (rows.lines, rows.cells) if where is None else (rows.lines[1:], rows.cells[1:])
    if not cells:
        raise UserError(f"{path}: no rows; each line names a picture and its label")
    places = _by_place(path, head) if where is None else where
    hot = [i for i in range(len(head)) if f"hot {i}" in places]
    if "path" not in places or not ("label" in places or hot):
        raise UserError(
            f"{path}, line {lines[0]}: needs a path and a label in each line; found {counted(len(cells[0]), 'column')}"
        )
    need = max(places.values()) + 1
    for line, row in zip(lines, cells, strict=True):
        if len(row) < need:
            raise UserError(f"{path}, line {line}: {counted(len(row), 'column')} where {need} are needed")
    columns = {name: [row[i].strip() for row in cells] for name, i in places.items()}
    for column in columns.values():
        for line, cell in zip(lines, column, strict=True):
            if "\n" in cell:
                raise UserError(f"{path}, line {line}: a line break in a cell; is a quote before it not closed?")
    if hot:
        columns["label"] = [
            _hot_label(f"{path}, line {line}", head, hot, row) for line, row in zip(lines, cells, strict=True)
        ]
    for line, cell in zip(lines, columns["path"], strict=True):
        if not cell:
            raise UserError(f"{path}, line {line}: no path; name the picture, or remove the line")
    label = [one_label(cell, f"{path}, line {line}") for line, cell in zip(lines, columns["label"], strict=True)]
    if all(os.path.splitext(name)[1].lower() in EXTENSIONS for name in label):
        raise UserError(
            f"{path}, line {lines[0]}: the label {label[0]} is the name of a picture; the path comes first, or a "
            f"header says which column is what, as {path}#path=NAME&label=NAME does"
        )
    header = {} if where is None else {name: head[i] for name, i in places.items()}
    notes = [rows.note] if rows.note else []
    if header and not hot:
        notes += _remarks(path, head, header["label"], asked)
    return Columns(lines, columns["path"], label, columns.get("split"), columns.get("group"), header, notes)


def _remarks(path: str, head: Sequence[str], label: str, asked: Mapping[str, str]) -> list[str]:
    """Which column is the label, where that was not the only answer."""
    unread = [name for name in head if name != label and _SPLITTING.fullmatch(name)]
    line = f"{path}: {some(unread)} not read; a column split says train, val or test"
    notes = [line] if unread else []
    others = [name for name in head if name != label and name.lower() in COLUMNS["label"]]
    if "label" in asked or not (others or label.lower() not in COLUMNS["label"]):
        return notes
    why = f"and not {some(others)}" if others else "the only one left"
    return [f"{path}: the label is the column '{label}', {why}", *notes]


def _by_name(path: str, head: Sequence[str], rows: Rows, asked: Mapping[str, str]) -> dict[str, int] | None:
    """Column -> place, if the first row is a header: it names a path column and one that can be the label."""
    names = [cell.lower() for cell in head]
    found = {
        name: next(names.index(s) for s in synonyms if s in names)
        for name, synonyms in COLUMNS.items()
        if set(synonyms) & set(names)
    }
    often = Counter(names)
    twice = [names[i] for i in found.values() if often[names[i]] > 1]
    if twice:
        raise UserError(f"{path}, line {rows.lines[0]}: two columns are called '{twice[0]}'; rename one")
    for kind, name in asked.items():
        if kind not in COLUMNS or name.lower() not in names:
            what = f"there is no column '{name}'" if kind in COLUMNS else f"'{kind}' is none of {', '.join(COLUMNS)}"
            raise UserError(f"{path}#{kind}={name}: {what}; line {rows.lines[0]} has {some(head, 20)}")
        found[kind] = names.index(name.lower())
    if "path" not in found or "label" in found:
        if asked and "path" not in found:
            raise UserError(
                f"{path}: which column names the pictures? Found {some(head, 20)}; add path=NAME after the #"
            )
        return found if "path" in found else None
    others = [i for i, name in enumerate(names) if i not in found.values() and name not in _INDEX]
    if len(others) <= 1:
        return found | {"label": others[0]} if others else None
    body = [row for row in rows.cells[1:] if len(row) == len(head)]
    hot = [i for i in others if all(row[i].strip().lower() in _YES | _NO for row in body)]
    single = all(sum(row[i].strip().lower() in _YES for i in hot) == 1 for row in body)
    if len(hot) > 1 and (single or hot == others):
        return found | {f"hot {i}": i for i in hot}
    choices = some([head[i] for i in others], 20)
    raise UserError(f"{path}, line {rows.lines[0]}: which column is the label? Found {choices}; give {path}#label=NAME")


def _by_place(path: str, first: Sequence[str]) -> dict[str, int]:
    """Places in a table without a header; MXNet's lists have a number, the label and then the path."""
    if path.lower().endswith(".lst") and len(first) > 2 and first[0].isdecimal() and _is_number(first[1]):
        if len(first) > 3:
            raise UserError(f"{path}: {len(first) - 2} labels in each line; {ONE_EACH}")
        return {"label": 1, "path": 2}
    return {name: i for i, name in enumerate(COLUMNS) if i < len(first)}


def _is_number(text: str) -> bool:
    try:
        return bool(float(text) + 1)
    except ValueError:
        return False


def _hot_label(where: str, head: Sequence[str], hot: Sequence[int], row: Sequence[str]) -> str:
    """The name of the column that has the 1."""
    yes = [head[i] for i in hot if row[i].strip().lower() in _YES]
    if len(yes) != 1:
        remedy = ONE_EACH if yes else "give the picture's class, or remove the line"
        raise UserError(f"{where}: {f'{len(yes)} labels ({some(yes)})' if yes else 'no label'}; {remedy}")
    return yes[0]


def _read_rows(path: str) -> Rows:
    """Read a table. A row in quotes over several lines has its last one's number.

    `.csv` and `.tsv` go by a comma or tab, or what else parts their first line (Excel writes `;` in many countries, and
    tabs as UTF-16); a list file by its last tab, comma or space, without `#` lines.
    """
    read = text_file(path)
    text = replace(read, text=read.text.replace("\r\n", "\n").replace("\r", "\n"))
    if not path.lower().endswith((".csv", ".tsv")):
        return _list(text.text, text.note)
    first = text.text.lstrip("\n").split("\n", 1)[0]
    if first.lower().startswith("sep=") and len(first) == 5:  # Excel's own line
        separator = first[4]
    else:
        separators = "\t,;|" if path.lower().endswith(".tsv") else ",;\t|"
        separator = next((s for s in separators if s in first), separators[0])
        first = ""
    try:
        reader = csv.reader(io.StringIO(text.text, newline=""), delimiter=separator)
        table = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not a readable table ({error})") from None
    table = table[1:] if first else table
    return Rows([number for number, _ in table], [row for _, row in table], text.note)


def _list(text: str, note: str) -> Rows:
    # counted before anything is left out
    numbered = [(i, line.strip()) for i, line in enumerate(io.StringIO(text), 1) if line.strip() and line[0] != "#"]
    numbers, lines = [number for number, _ in numbered], [line for _, line in numbered]
    for separator in ("\t", ","):
        if lines and separator in lines[0]:
            return Rows(numbers, [line.split(separator) for line in lines], note)
    return Rows(numbers, [line.rsplit(maxsplit=1) for line in lines], note)
