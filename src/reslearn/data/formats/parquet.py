"""Parquet files in the layout Hugging Face uses for images (`image.bytes`, `label`), read row by row.

A column file has no cheap random access, so a set is packed on first use; this is what the pack is written from.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from ...spec.credentials import without_secrets
from ...spec.errors import UserError
from ...spec.text import counted
from ..layout.archives import folder_split
from ..layout.named_files import is_address
from ..layout.parquet_columns import (
    beside_columns,
    choose_columns,
    kept_rows,
    open_parquet,
    other_labels,
    read_group,
    row_classes,
    row_splits,
)
from ..table import Found, Pictures, Table
from .files import Encoded
from .shards import shard_split, splits_of


def open_rows(files: Sequence[str], path: str, asked: Mapping[str, str] | None = None) -> Pictures:
    """Rows of Parquet files in order.

    `asked` names the image and label column where the files leave a choice, as DATA `d.parquet#image=photo` does.
    """
    starts: list[tuple[int, int, int]] = []  # first row, file, row group
    image, label, names = choose_columns(files, path, asked or {})
    others = [] if asked else other_labels(files[0], path, label)
    labels: list[Any] = []
    called: list[str | None] = []  # what the pictures' files were called, where the set says so
    per_row: list[str | None] = []
    beside = beside_columns(files, path, label)
    cells: dict[str, list[Any]] = {kind: [] for kind in beside}
    for number, file in enumerate(files):
        table = open_parquet(file, path)
        for group in range(table.num_row_groups):
            starts.append((len(labels), number, group))
            labels += read_group(file, path, group, label, table).column(0).to_pylist()
            there = read_group(file, path, group, f"{image}.path", table)
            images = there.column(0).to_pylist() if there.num_columns else [None] * (len(labels) - len(called))
            called += [value.get("path") if isinstance(value, dict) else None for value in images]
            for kind, name in beside.items():
                cells[kind] += read_group(file, path, group, name, table).column(0).to_pylist()
        split = shard_split(file) or (folder_split(file, path) if os.path.isdir(path) else None)
        per_row += [split] * table.metadata.num_rows
    per_row, unread = row_splits(per_row, cells.get("split"), beside.get("split", ""), path)
    groups = cells.get("group")
    kept, remarks = kept_rows(labels, called, per_row, names, path)
    classes, of_kept = row_classes([labels[i] for i in kept], kept, names, path)
    if not kept:
        raise UserError(f"{path}: no rows with a picture and a label")
    problem = f"{path}: {counted(len(classes), 'class', several='classes')}; a classifier needs at least two"
    reader = _Rows(os.path.abspath(path), files, image, starts, kept)
    return Pictures(
        Table(
            reader.names,
            of_kept,
            classes,
            splits_of([per_row[i] for i in kept], path),
            reader.path,
            groups=tuple("" if (cell := groups[i]) is None else str(cell) for i in kept) if groups else None,
            notes=(*others, *unread, *remarks),
            found=Found(problems=(problem,) if len(classes) < 2 else ()),
        ),
        reader,
    )


class _Rows(Encoded):
    """The rows `kept` of Parquet files; one row group is held at a time, so read forwards."""

    def __init__(
        self, path: str, files: Sequence[str], image: str, starts: list[tuple[int, int, int]], kept: Sequence[int]
    ) -> None:
        self.path, self._files, self._image, self._starts = path, list(files), image, starts
        self._rows = list(kept)  # of each picture, counted through all files
        self.names = [f"{os.path.basename(files[starts[self._group(i)][1]])}:{i}" for i in kept]
        self._bare: dict[int, str] = {}  # rows without a picture, found on the way, and what they have instead
        self._held: tuple[int, Any] = (-1, None)

    def _group(self, row: int) -> int:
        return bisect_right(self._starts, row, key=lambda group: group[0]) - 1

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """Rows without a picture are counted as far as they were come across."""
        if not self._bare:
            return ()
        row, instead = next(iter(self._bare.items()))
        return (f"{self.path}: {counted(len(self._bare), 'row')} without a picture: row {row} has {instead}",)

    def name(self, row: int) -> str:
        """The set, the file and the row."""
        return f"{self.path}: {self.names[row]}"

    def raw(self, row: int) -> bytes:
        """The encoded bytes of a picture; none for a row that has no picture."""
        row = self._rows[row]
        place = self._group(row)
        held, column = self._held
        start, file, group = self._starts[place]
        if held != place:
            table = read_group(self._files[file], self.path, group, self._image)
            column = table.column(0).combine_chunks()
            self._held = (place, column)
        data = column[row - start].as_py()
        raw = data.get("bytes") if isinstance(data, dict) else data
        if isinstance(raw, bytes):
            return raw
        name = data.get("path") if isinstance(data, dict) else None
        told = f"the {'address' if is_address(name) else 'path'} {without_secrets(name)}" if name else "nothing"
        self._bare[row] = told
        return b""

    def seal(self) -> bytes:
        """The files' sizes."""
        return repr([os.path.getsize(file) for file in self._files]).encode()
