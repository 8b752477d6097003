"""A CSV, TSV or list file that names pictures: path, label, optional split, optional group."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...spec.credentials import without_secrets
from ...spec.errors import UserError, some, unknown
from ...spec.text import counted
from ..dataset import Indices
from ..layout.columns import Columns, read_columns
from ..layout.labels import class_order
from ..layout.listing import SPLIT_NAMES, in_clutter, split_of
from ..layout.named_files import NamedFiles, is_address
from ..pictures.kinds import EXTENSIONS
from ..strings import StringTable
from ..table import Found, Pictures, Reader, Table
from .files import Files

Made = Callable[[Sequence[str]], Reader]


def open_table(path: str, asked: Mapping[str, str], *, made: Made | None = None) -> Pictures:
    """Read a table. Paths are relative to its folder. With a header, columns go by name, without one by position;
    `asked` names them otherwise. Integer labels keep their order; names are sorted. `made` makes the reader of a table
    that names addresses, which without it are refused.

    Missing files and a single class are in `found`. Raises `UserError` naming the line for no label or several, an
    unknown split, a path listed twice.
    """
    folder = os.path.dirname(path) or "."
    columns = read_columns(path, asked)
    table = table_of(path, columns, NamedFiles(folder), urls=made is not None)
    reader = made(table.ids) if made is not None and is_address(table.ids[0]) else Files(folder, StringTable(table.ids))
    return Pictures(replace(table, path=os.path.abspath(path)), reader)


def table_of(path: str, columns: Columns, files: NamedFiles, *, urls: bool = False) -> Table:
    """What the table at `path` says of the pictures that `files` finds; with `urls` they may be addresses."""
    columns, notes = _without_clutter(path, columns)
    names, missing = _find_files(path, columns, files, urls)
    classes, labels = class_order(columns.label)
    problems = (f"{path}: only one class ('{classes[0]}'); a classifier needs at least two",)
    return Table(
        StringTable(names),
        np.asarray(labels, dtype=np.int64),
        tuple(classes),
        _splits(path, columns.split, columns.lines),
        path,
        groups=None if columns.group is None else tuple(columns.group),
        notes=(*columns.notes, *notes),
        found=Found(sealed=False, problems=problems if len(classes) < 2 else (), missing=missing),
    )


def _without_clutter(path: str, columns: Columns) -> tuple[Columns, list[str]]:
    """Without the rows that name hidden or system files below the table's folder, and a line that counts them.

    What all paths have in common is not looked at: a set may well lie in a hidden folder.
    """
    plain = [name.replace("\\", "/") for name in columns.path]
    first, last = min(plain), max(plain)  # what these have in common all have
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    common = first[:shared].rpartition("/")[0]
    hidden = [i for i, name in enumerate(plain) if in_clutter(name[len(common) :].lstrip("/"))]
    if not hidden or len(hidden) == len(plain):
        return columns, []
    names = some([plain[i] for i in hidden])
    line = f"{path}: {counted(len(hidden), 'row')} with hidden or system files, left out: {names}"
    return columns.rows(sorted({*range(len(plain))} - {*hidden})), [line]


def _find_files(path: str, columns: Columns, files: NamedFiles, urls: bool) -> tuple[list[str], dict[str, str]]:
    """The files' relative paths, and of the missing ones the line to say so.

    Raises `UserError` for an address, and for a file that is listed twice: by one path, or by two under different
    labels or in different splits.
    """
    folder = os.path.dirname(path) or "."
    here = os.path.abspath(folder)
    names: list[str] = []
    missing: dict[str, str] = {}
    by_path: dict[str, int] = {}
    by_place: dict[tuple[int, int], int] = {}
    for i, (line, name) in enumerate(zip(columns.lines, columns.path, strict=True)):
        where = f"{path}, line {line}"
        if is_address(name) and not urls:
            raise UserError(
                f"{where}: {without_secrets(name)} is an address; add --allow-urls, or download the pictures and name "
                "the files"
            )
        if urls and is_address(name) != is_address(columns.path[0]):
            raise UserError(
                f"{where}: {without_secrets(name)}: some rows name files and some addresses; make two tables of it"
            )
        try:
            found = None if is_address(name) else files.find(name)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        if is_address(name):
            pass
        elif found is None:
            missing[name] = f"{where}: no file {os.path.join(folder, name)} ({_paths_of(path, columns)})"
            if i == 0 and not columns.header and os.path.splitext(name)[1].lower() not in EXTENSIONS:
                raise UserError(_no_header(path, columns, missing[name]))
        else:
            name, place = found[0], (found[1].st_dev, found[1].st_ino)
            twin = by_place.setdefault(place, i) if found[1].st_ino else i
            others = [c for c in (columns.label, columns.split) if c is not None and c[i] != c[twin]]
            if others and os.path.normpath(names[twin]) != os.path.normpath(name):
                raise UserError(
                    f"{where}: {name} is the file of line {columns.lines[twin]}, {names[twin]}, under another label or "
                    "in another split; list it once"
                )
        key = os.path.normpath(os.path.join(here, name))
        if key in by_path:
            raise UserError(f"{where}: {name} is listed already in line {columns.lines[by_path[key]]}")
        by_path[key] = i
        names.append(name)
    return names, missing


def _paths_of(path: str, columns: Columns) -> str:
    """What a path of the table means, for one that is not there."""
    start = "relative paths start at the table's folder"
    return f"{start}; the column is '{columns.header['path']}', else: {path}#path=NAME" if columns.header else start


def _no_header(path: str, columns: Columns, missing: str) -> str:
    """Why the first line is neither a header nor a picture."""
    cells = [columns.path[0], columns.label[0]]
    cells += [column[0] for column in (columns.split, columns.group) if column is not None]
    return (
        f"{missing}; if line {columns.lines[0]} is a header, none of {', '.join(cells)} is known to name the pictures: "
        f"call that column path and the other label, or give {path}#path=NAME&label=NAME"
    )


def _splits(path: str, names: Sequence[str] | None, lines: Sequence[int]) -> dict[str, Indices]:
    if names is None or not any(names):
        return {}
    splits: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        split = split_of(name)
        if not name:
            raise UserError(f"{path}, line {lines[i]}: no split, and others have one; say it in each line or in none")
        if split is None:
            raise UserError(f"{path}, line {lines[i]}: {unknown('split', name, SPLIT_NAMES)}")
        splits.setdefault(split, []).append(i)
    return {name: np.array(members, dtype=np.int64) for name, members in splits.items()}
