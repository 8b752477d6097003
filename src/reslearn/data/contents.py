"""Exactly which pixels a data set would be read as: one digest of what is decoded, in order.

What a picture is known by (`keys`) is that of the original, and a manifest may tell it. Here only the bytes count that
are decoded: a pack is what it stores, and a source from elsewhere is what it gives. Files that did not change since
they were last read are not read again for it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace

import numpy as np

from .dataset import Dataset, Indices
from .formats.pack import Packed
from .memory import View
from .parts.keyed import file_keys, located
from .pictures.kinds import DECODER
from .table import Pictures, Reader, as_pictures


class Contents:
    """The pictures of `dataset` as they lie there when this is made."""

    def __init__(self, dataset: Dataset) -> None:
        """Raises `UserError` naming a file that cannot be read."""
        self._pictures = pictures = as_pictures(dataset)
        self._stamps = located(pictures)[1]  # before anything is read
        if isinstance(pictures.reader, Packed):
            pack = pictures.reader
            table = replace(pictures.table, path=os.path.join(pack.files[0], "stored"), hashes=None)
            pictures = Pictures(table, _Stored(pack), pictures.where)
        keys = file_keys(View(pictures, hashes=None))  # a manifest's are hearsay
        digest = hashlib.sha256(f"decoder {DECODER}, {len(keys)} pictures\n".encode())
        digest.update(np.ascontiguousarray(keys).data)
        self.digest = digest.hexdigest()

    def unchanged(self) -> bool:
        """Whether every file is still the one that was there."""
        return np.array_equal(self._stamps, located(self._pictures)[1])


class _Stored(Reader):
    """What a pack stores for each picture, with the shape that raw pixels have: not what it knows of the originals."""

    encoded = True

    def __init__(self, pack: Packed) -> None:
        self._pack = pack

    def raw(self, row: int) -> bytes:
        return self._pack.whole(row)

    def locate(self, rows: Indices) -> tuple[list[str], list[str]]:
        return self._pack.locate(rows)
