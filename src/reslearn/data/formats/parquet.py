"""Parquet files in the layout Hugging Face uses for images (`image.bytes`, `label`), read row by row.

A column file has no cheap random access, so a set is packed on first use; this is what the pack is written from.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...spec.errors import UserError
from ..dataset import Image, Indices
from ..layout.archives import folder_split
from ..layout.found import Found
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
from ..memory import identity_digest
from ..pictures.decode import decode_bytes
from .shards import shard_split, splits_of


class ParquetDataset(Found):
    """Rows of Parquet files in order; one row group is held at a time, so read forwards.

    `asked` names the image and label column where the files leave a choice, as DATA `d.parquet#image=photo` does.
    """

    groups: tuple[str, ...] | None = None  # as of a table

    def __init__(self, files: Sequence[str], path: str, asked: Mapping[str, str] | None = None) -> None:
        self.path = os.path.abspath(path)
        self._files = list(files)
        self._starts: list[tuple[int, int, int]] = []  # first row, file, row group
        self.image, label, names = choose_columns(files, path, asked or {})
        others = [] if asked else other_labels(files[0], path, label)
        labels: list[Any] = []
        called: list[str | None] = []  # what the pictures' files were called, where the set says so
        per_row: list[str | None] = []
        beside = beside_columns(files, path, label)
        cells: dict[str, list[Any]] = {kind: [] for kind in beside}
        for number, file in enumerate(files):
            table = open_parquet(file, path)
            for group in range(table.num_row_groups):
                self._starts.append((len(labels), number, group))
                labels += read_group(file, path, group, label, table).column(0).to_pylist()
                names_of = read_group(file, path, group, f"{self.image}.path", table)
                called += _called(names_of, len(labels) - len(called))
                for kind, name in beside.items():
                    cells[kind] += read_group(file, path, group, name, table).column(0).to_pylist()
            split = shard_split(file) or (folder_split(file, path) if os.path.isdir(path) else None)
            per_row += [split] * table.metadata.num_rows
        per_row, unread = row_splits(per_row, cells.get("split"), beside.get("split", ""), path)
        kept, remarks = kept_rows(labels, called, per_row, names, path)
        self._rows: Indices = np.array(kept, dtype=np.int64)  # of each picture, counted through all files
        self.classes, self.labels = row_classes([labels[i] for i in kept], kept, names, path)
        self.splits: Mapping[str, Indices] = splits_of([per_row[i] for i in kept], path)
        self.ids: Sequence[str] = [f"{self._shown(i)}:{i}" for i in kept]
        if not kept:
            raise UserError(f"{path}: no rows with a picture and a label")
        self._notes = [*others, *unread, *remarks]
        if "group" in cells:
            self.groups = tuple("" if cells["group"][i] is None else str(cells["group"][i]) for i in kept)
        self._bare: dict[int, str] = {}  # rows without a picture, found on the way, and what they have instead
        if len(self.classes) < 2:
            self.problems = (f"{path}: {len(self.classes)} class(es); a classifier needs at least two",)
        self._held: tuple[int, Any] = (-1, None)

    def _shown(self, row: int) -> str:
        return os.path.basename(self._files[self._starts[self._group(row)][1]])

    def _group(self, row: int) -> int:
        return int(np.searchsorted([start for start, _, _ in self._starts], row, side="right")) - 1

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """What is not read; rows without a picture are counted as far as they were come across."""
        if not self._bare:
            return tuple(self._notes)
        row, instead = next(iter(self._bare.items()))
        line = f"{self.path}: {len(self._bare)} row(s) hold no picture: row {row} has {instead}"
        return (*self._notes, line)

    def __len__(self) -> int:
        return len(self.labels)

    def raw(self, i: int) -> bytes:
        """The encoded bytes of picture `i`; none for a row that has no picture."""
        row = int(self._rows[i])
        place = self._group(row)
        held, column = self._held
        start, file, group = self._starts[place]
        if held != place:
            table = read_group(self._files[file], self.path, group, self.image)
            column = table.column(0).combine_chunks()
            self._held = (place, column)
        data = column[row - start].as_py()
        raw = data.get("bytes") if isinstance(data, dict) else data
        if isinstance(raw, bytes):
            return raw
        name = data.get("path") if isinstance(data, dict) else None
        self._bare[row] = f"the {'address' if is_address(name) else 'path'} {name}" if name else "nothing"
        return b""

    def read(self, i: int) -> tuple[Image, int]:
        """Decode picture `i`; an unreadable one is a `UserError` naming the file and row."""
        return self.decode(i, self.raw(i)), int(self.labels[i])

    def decode(self, i: int, raw: bytes) -> Image:
        """The pixels of picture `i`, given its bytes."""
        return decode_bytes(raw, f"{self.path}: {self.ids[i]}")

    def fingerprint(self) -> str:
        """Digest of rows, labels, class names and the files' sizes."""
        digest = hashlib.sha256(identity_digest(self.ids, self.labels, self.classes))
        digest.update(repr([os.path.getsize(file) for file in self._files]).encode())
        return digest.hexdigest()[:32]


def _called(table: Any, rows: int) -> list[str | None]:
    """The file names in the image column of a row group, None where it has none."""
    if not table.num_columns:
        return [None] * rows
    return [value.get("path") if isinstance(value, dict) else None for value in table.column(0).to_pylist()]
