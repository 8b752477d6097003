"""Parquet files in the layout Hugging Face uses for images (`image.bytes`, `label`), read row by row.

A column file has no cheap random access, so a set is packed on first use; this is what the pack is written from.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..spec.errors import UserError
from .dataset import Image, Indices
from .decode import decode_bytes
from .memory import identity_digest
from .shards import shard_split, splits_of
from .tables import class_order

LABELS = ("label", "labels", "fine_label", "class", "target")


class ParquetDataset:
    """Rows of Parquet files in order; one row group is held at a time, so read forwards."""

    def __init__(self, files: Sequence[str], path: str) -> None:
        self._arrow = _pyarrow(path)
        self.path = os.path.abspath(path)
        self.notes: tuple[str, ...] = ()
        self._files = list(files)
        self._starts: list[tuple[int, int, int]] = []  # first row, file, row group
        labels: list[Any] = []
        per_sample: list[str | None] = []
        names: list[str] | None = None
        self._image = ""
        for number, file in enumerate(files):
            table = self._open(file)
            self._image, label, names = _columns(table.schema_arrow, file)
            for group in range(table.num_row_groups):
                self._starts.append((len(labels), number, group))
                labels += table.read_row_group(group, columns=[label]).column(0).to_pylist()
            per_sample += [shard_split(file)] * table.metadata.num_rows
        self.classes, self.labels = _labels(labels, names, path)
        self.splits: Mapping[str, Indices] = splits_of(per_sample, path)
        self.ids: Sequence[str] = [f"{self._shown(i)}:{i}" for i in range(len(labels))]
        self._held: tuple[int, Any] = (-1, None)

    def _shown(self, i: int) -> str:
        return os.path.basename(self._files[self._starts[self._group(i)][1]])

    def _group(self, i: int) -> int:
        return int(np.searchsorted([start for start, _, _ in self._starts], i, side="right")) - 1

    def _open(self, file: str) -> Any:
        try:
            return self._arrow.ParquetFile(file)
        except Exception as error:  # pyarrow raises its own kinds
            raise UserError(f"{file}: not a readable Parquet file ({error})") from None

    def __len__(self) -> int:
        return len(self.labels)

    def raw(self, i: int) -> bytes:
        """The encoded bytes of row `i`."""
        place = self._group(i)
        held, column = self._held
        start, file, group = self._starts[place]
        if held != place:
            table = self._open(self._files[file]).read_row_group(group, columns=[self._image])
            column = table.column(0).combine_chunks()
            self._held = (place, column)
        data = column[i - start].as_py()
        raw = data.get("bytes") if isinstance(data, dict) else data
        if not isinstance(raw, bytes):
            raise UserError(f"{self._files[file]}: row {i - start} of group {group} has no image bytes")
        return raw

    def read(self, i: int) -> tuple[Image, int]:
        """Decode row `i`; an unreadable one is a `UserError` naming the file and row."""
        return self.decode(i, self.raw(i)), int(self.labels[i])

    def decode(self, i: int, raw: bytes) -> Image:
        """The pixels of row `i`, given its bytes."""
        return decode_bytes(raw, f"{self.path}: {self.ids[i]}")

    def fingerprint(self) -> str:
        """Digest of rows, labels, class names and the files' sizes."""
        digest = hashlib.sha256(identity_digest(self.ids, self.labels, self.classes))
        digest.update(repr([os.path.getsize(file) for file in self._files]).encode())
        return digest.hexdigest()[:32]


def _pyarrow(path: str) -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise UserError(f"{path}: reading Parquet needs pyarrow; run: pip install 'reslearn[arrow]'") from None
    return pyarrow.parquet


def _columns(schema: Any, file: str) -> tuple[str, str, list[str] | None]:
    """Names of the image and label columns, and the class names that Hugging Face's metadata lists, if any."""
    image = [f.name for f in schema if str(f.type).startswith("struct") and f.type.get_field_index("bytes") >= 0]
    image += [f.name for f in schema if str(f.type) in {"binary", "large_binary"}]
    label = [name for name in LABELS if name in schema.names]
    if not image or not label:
        raise UserError(
            f"{file}: needs an image column (a struct with 'bytes') and a label column ({', '.join(LABELS)}); "
            f"it has {', '.join(schema.names)}"
        )
    metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    feature = metadata.get("info", {}).get("features", {}).get(label[0], {})
    return image[0], label[0], feature.get("names")


def _labels(labels: Sequence[Any], names: Sequence[str] | None, path: str) -> tuple[tuple[str, ...], Indices]:
    if any(label is None for label in labels):
        raise UserError(f"{path}: row {labels.index(None)} has no label")
    if names is None:
        classes, y = class_order([str(label) for label in labels])
    else:
        classes, y = tuple(names), np.asarray(labels, dtype=np.int64)
        if len(y) and not 0 <= y.min() <= y.max() < len(classes):
            raise UserError(f"{path}: label {int(y.max() if y.max() >= len(classes) else y.min())} has no class name")
    if len(classes) < 2:
        raise UserError(f"{path}: {len(classes)} class(es); a classifier needs at least two")
    return classes, y
