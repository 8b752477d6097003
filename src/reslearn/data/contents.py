"""Exactly which pixels a data set would be read as: one digest of what is decoded, in order.

What a picture is known by (`keys`) is that of the original, and a manifest may tell it. Here only the bytes count that
are decoded: a pack is what it stores, and a source from elsewhere is what it gives. Files that did not change since
they were last read are not read again for it.
"""

from __future__ import annotations

import hashlib
import os

import numpy as np

from .dataset import Dataset, Indices
from .formats.pack import Packed
from .memory import View
from .parts.key_table import KeyTable, Stamps, places_of, stamp_of
from .parts.keyed import file_keys
from .parts.keys import SIZE, Keys, bytes_key, known, pixel_key
from .pictures.decode import DECODER
from .table import as_pictures


class Contents:
    """The pictures of `dataset` as they lie there when this is made."""

    def __init__(self, dataset: Dataset) -> None:
        """Raises `UserError` naming a file that cannot be read."""
        self._dataset = dataset
        self._stamps = _stamps(dataset)  # before anything is read
        pictures = as_pictures(dataset)
        if not pictures.reader.ours:
            keys = _pixel_keys(pictures)
        elif isinstance(pictures.reader, Packed):
            keys = _stored_keys(pictures.reader, pictures.where)
        else:
            keys = file_keys(View(pictures, hashes=None))  # a manifest's are hearsay
        digest = hashlib.sha256(f"decoder {DECODER}, {len(keys)} pictures\n".encode())
        digest.update(np.ascontiguousarray(keys).data)
        self.digest = digest.hexdigest()

    def unchanged(self) -> bool:
        """Whether every file is still the one that was there."""
        return self._stamps == _stamps(self._dataset)


def _stamps(dataset: Dataset) -> dict[str, tuple[int, int, int, int]]:
    pictures = as_pictures(dataset)
    located = pictures.reader.locate(pictures.where)
    return {} if located is None else {file: stamp_of(file) for file in dict.fromkeys(located[1])}


def _pixel_keys(dataset: Dataset) -> Keys:
    rows = b"".join(pixel_key(np.asarray(dataset.read(i)[0])) for i in range(len(dataset)))
    return np.frombuffer(rows, np.uint8).reshape(len(dataset), SIZE)


def _stored_keys(pack: Packed, where: Indices) -> Keys:
    """(N, 16) of the bytes that a pack stores for each picture, with the shape that raw pixels have."""
    names, files = pack.locate(where)
    table = KeyTable(os.path.join(files[0], "stored") if files else "")
    places = places_of(names)
    stamps: Stamps = np.tile(np.array(stamp_of(files[0]) if files else (-1, 0, 0, 0), np.int64), (len(where), 1))
    rows = table.look_up(places, stamps)
    todo = np.flatnonzero(~known(rows))
    for i in todo:
        rows[i, :SIZE] = np.frombuffer(bytes_key(pack.whole(int(where[i]))), np.uint8)
    if len(todo):
        table.add(places[todo], stamps[todo], rows[todo])
    return rows[:, :SIZE]
