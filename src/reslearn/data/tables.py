"""A CSV, TSV or list file that names pictures: path, label, optional split, optional group."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence

import numpy as np

from ..spec.errors import UserError, unknown
from .dataset import Indices
from .folders import SPLIT_NAMES, FileDataset

COLUMNS = {
    "path": ("path", "file", "filename", "filepath", "image", "image_path"),
    "label": ("label", "class", "class_name", "target", "category"),
    "split": ("split", "set", "subset", "partition"),
    "group": ("group", "patient", "subject", "session"),
}


class TableDataset(FileDataset):
    """Pictures named by a table; `groups` (one name per picture, or None) must not be torn apart by a split."""

    groups: tuple[str, ...] | None = None


def open_table(path: str) -> TableDataset:
    """Read a table. Paths are relative to its folder. With a header, columns go by name (`path, label, split, group`
    and the usual synonyms), without one by position. Integer labels keep their order; names are sorted.

    Raises `UserError` naming the line for a missing file, no label, an unknown split, a path listed twice.
    """
    lines, rows = _rows(path)
    header = _header(rows[0]) if rows else None
    if header is not None:
        lines, rows = lines[1:], rows[1:]
    if not rows:
        raise UserError(f"{path}: no rows; each line names a picture and its label")
    where = header or {name: i for i, name in enumerate(("path", "label", "split", "group")) if i < len(rows[0])}
    if "label" not in where or "path" not in where:
        raise UserError(f"{path}: needs a path and a label in each line; found {len(rows[0])} column(s)")
    for line, row in zip(lines, rows, strict=True):
        if len(row) <= max(where.values()):
            raise UserError(f"{path}, line {line}: {len(row)} column(s) where {max(where.values()) + 1} are needed")
    columns = {name: [row[i].strip() for row in rows] for name, i in where.items()}
    _check_labels(path, columns["label"], lines)
    _check_paths(path, columns["path"], lines)
    classes, labels = class_order(columns["label"])
    if len(classes) < 2:
        raise UserError(f"{path}: only one class ('{classes[0]}'); a classifier needs at least two")
    data = TableDataset(
        os.path.dirname(path) or ".",
        columns["path"],
        labels,
        classes=classes,
        splits=_splits(path, columns.get("split"), lines),
        path=path,
    )
    if "group" in columns:
        data.groups = tuple(columns["group"])
    return data


def _rows(path: str) -> tuple[list[int], list[list[str]]]:
    """Line numbers and cells of the rows that are not empty; a row in quotes over several lines has its last number.

    `.csv` and `.tsv` go by their separator; a list file by its last tab, comma or space, without `#` lines.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            if path.lower().endswith((".csv", ".tsv")):
                reader = csv.reader(file, delimiter="\t" if path.lower().endswith(".tsv") else ",")
                table = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
                return [number for number, _ in table], [row for _, row in table]
            # counted before anything is left out
            numbered = [(i, line.strip()) for i, line in enumerate(file, 1) if line.strip() and line[0] != "#"]
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except csv.Error as error:
        raise UserError(f"{path}: not a readable table ({error})") from None
    numbers, lines = [number for number, _ in numbered], [line for _, line in numbered]
    for separator in ("\t", ","):
        if lines and separator in lines[0]:
            return numbers, [line.split(separator) for line in lines]
    return numbers, [line.rsplit(maxsplit=1) for line in lines]


def _header(row: Sequence[str]) -> dict[str, int] | None:
    """Column name -> place, if the row is a header (it names a path and a label column)."""
    cells = [cell.strip().lower() for cell in row]
    found = {
        name: next(cells.index(s) for s in synonyms if s in cells)
        for name, synonyms in COLUMNS.items()
        if set(synonyms) & set(cells)
    }
    return found if {"path", "label"} <= found.keys() else None


def class_order(names: Sequence[str]) -> tuple[tuple[str, ...], Indices]:
    """Class names and the label of each sample: integers in their numeric order, other names in lexical order."""
    distinct = set(names)
    numeric = all(name.isdecimal() for name in distinct)
    classes = tuple(sorted(distinct, key=int) if numeric else sorted(distinct))
    index = {name: i for i, name in enumerate(classes)}
    return classes, np.array([index[name] for name in names], dtype=np.int64)


def _check_labels(path: str, labels: Sequence[str], lines: Sequence[int]) -> None:
    for line, label in zip(lines, labels, strict=True):
        if not label:
            raise UserError(f"{path}, line {line}: no label; give the picture's class, or remove the line")


def _check_paths(path: str, names: Sequence[str], lines: Sequence[int]) -> None:
    folder = os.path.dirname(path)
    seen: dict[str, int] = {}
    for line, name in zip(lines, names, strict=True):
        if name in seen:
            raise UserError(f"{path}, line {line}: {name} is listed already in line {seen[name]}")
        seen[name] = line
        file = os.path.join(folder, name)
        if not os.path.exists(file):
            raise UserError(f"{path}, line {line}: no file {file} (relative paths start at the table's folder)")


def _splits(path: str, names: Sequence[str] | None, lines: Sequence[int]) -> dict[str, Indices]:
    if names is None or not any(names):
        return {}
    splits: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        if name.lower() not in SPLIT_NAMES:
            raise UserError(f"{path}, line {lines[i]}: {unknown('split', name, SPLIT_NAMES)}")
        splits.setdefault(SPLIT_NAMES[name.lower()], []).append(i)
    return {name: np.array(members, dtype=np.int64) for name, members in splits.items()}
