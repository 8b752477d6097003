"""Exactly which pixels a data set would be read as: one digest of what is decoded, in order.

What a picture is known by (`keys`) is that of the original. Here a pack counts as what it stores: other bytes are other
pixels. Files that did not change since they were last read are not read again for it.
"""

from __future__ import annotations

import hashlib
import os

import numpy as np

from .dataset import Dataset
from .decode import DECODER
from .key_table import KeyTable, Stamps, places_of, stamp_of
from .keys import SIZE, Keys, bytes_key, file_keys, known
from .memory import root_of
from .pack import PackDataset


class Contents:
    """The pictures of `dataset` as they lie there when this is made."""

    def __init__(self, dataset: Dataset) -> None:
        """Raises `UserError` naming a file that cannot be read."""
        self._dataset = dataset
        self._stamps = _stamps(dataset)  # before anything is read
        root, where = root_of(dataset)
        keys = _stored_keys(root, where) if isinstance(root, PackDataset) else file_keys(dataset)
        digest = hashlib.sha256(f"decoder {DECODER}, {len(keys)} pictures\n".encode())
        digest.update(np.ascontiguousarray(keys).data)
        self.digest = digest.hexdigest()

    def unchanged(self) -> bool:
        """Whether every file is still the one that was there."""
        return self._stamps == _stamps(self._dataset)


def _stamps(dataset: Dataset) -> dict[str, tuple[int, int, int, int]]:
    root, where = root_of(dataset)
    locate = getattr(root, "locate", None)
    files = [] if locate is None else locate(where)[1]
    return {file: stamp_of(file) for file in dict.fromkeys(files)}


def _stored_keys(pack: PackDataset, where: np.ndarray) -> Keys:
    """(N, 16) of the bytes that a pack stores for each picture, with the shape that raw pixels have."""
    names, files = pack.locate(where)
    table = KeyTable(os.path.join(files[0], "stored") if files else "")
    places = places_of(names)
    stamps: Stamps = np.tile(np.array(stamp_of(files[0]) if files else (-1, 0, 0, 0), np.int64), (len(where), 1))
    rows = table.look_up(places, stamps)
    todo = np.flatnonzero(~known(rows))
    for i in todo:
        rows[i, :SIZE] = np.frombuffer(bytes_key(pack.stored(int(where[i]))), np.uint8)
    if len(todo):
        table.add(places[todo], stamps[todo], rows[todo])
    return rows[:, :SIZE]
