"""`pictures.safetensors` of a run folder: the keys of what it trains on and validates on, picture by picture.

Rows stand as the names in `run.json`'s split. They are filled as pictures are read (all at once where they are kept in
memory, over the first epoch where not), kept with every checkpoint, and are whole before the run is sealed: from them
comes what the sealed file recognises.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ..data.dataset import Dataset
from ..data.decode import DECODER
from ..data.keyed import Keyed
from ..data.keys import FILE, ORIGINAL, PIXELS, ROW, Keys, known
from ..data.known import FORGOTTEN, Known
from ..runtime.container import read_safetensors
from ..runtime.files import write_atomic
from ..runtime.process_group import World

FILE_NAME, KEY, FORMAT = "pictures.safetensors", "reslearn.pictures", 1
_NONE: Keys = np.empty((0, ROW), np.uint8)


@dataclass(frozen=True, eq=False)
class Kept:
    """The file's contents. A row holds a picture's file key, pixel key and original's pixel key; zeros: not known."""

    train: Keys = field(default_factory=lambda: _NONE)  # (N, 48)
    val: Keys = field(default_factory=lambda: _NONE)
    also: Keys = field(default_factory=lambda: _NONE)  # what stood in the places of other pictures, before a resume
    start: Known = field(default_factory=Known)  # what the weights that the run began with have seen


def read_pictures(folder: Path) -> Kept | None:
    """What the run in `folder` has noted so far; None for a run of before, a forgetful one, and a damaged file."""
    try:
        content = read_safetensors(folder / FILE_NAME)[0]
        about = json.loads(json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"][KEY])
        tensors = load(content)
        if about["sha256"] != _digest(tensors):
            return None
        start = Known(tensors["start.trained"], tensors["start.selected"], about["start"])
        return Kept(tensors["train"], tensors["val"], tensors["also"], start)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None


class Pictures:
    """The pictures of a run, noted while they are read."""

    def __init__(self, train: Dataset, val: Dataset | None, start: Known, *, forget: bool = False) -> None:
        self.train, self.val = Keyed(train), None if val is None else Keyed(val)
        self.start, self.forget = start, forget
        self._before = Kept()
        self._written = -1

    def recall(self, folder: Path) -> None:
        """Go on from what the run has noted before it was stopped."""
        kept = read_pictures(folder)
        if kept is None:
            return
        self._before, self.start = kept, kept.start
        for part, rows in ((self.train, kept.train), (self.val, kept.val)):
            if part is not None and len(rows) == len(part):
                lacking = ~known(part.rows)
                part.rows[lacking] = rows[lacking]

    def keep(self, folder: Path) -> None:
        """Write what is known now, unless that is written; nothing for a run that forgets."""
        parts = [self.train.rows, self.val.rows if self.val is not None else _NONE]
        filled = sum(int(known(rows[:, columns]).sum()) for rows in parts for columns in (FILE, PIXELS))
        if self.forget or filled == self._written:
            return
        tensors = {
            "train": np.array(parts[0]),
            "val": np.array(parts[1]),
            "also": self._replaced(),
            "start.trained": self.start.trained,
            "start.selected": self.start.selected,
        }
        about = {"format": FORMAT, "decoder": DECODER, "start": self.start.known_by, "sha256": _digest(tensors)}
        write_atomic(folder / FILE_NAME, save(tensors, metadata={KEY: json.dumps(about)}))
        self._written = filled

    def settle(self, folder: Path, world: World, on_bad_file: Literal["stop", "skip"], selects: bool) -> Known:
        """What recognises the run's pictures; on the first process, all of them.

        What no process has read is read now. With `selects`, something was chosen on the validation pictures.
        """
        self.train.rows[:] = world.largest(self.train.rows)
        if self.forget or not world.first:
            return FORGOTTEN
        self.train.complete(on_bad_file=on_bad_file)
        selected = None
        if self.val is not None:
            self.val.complete()
            selected = self.val.rows
        self.keep(folder)
        for part in (self.train, self.val):
            if part is not None:
                part.remember()
        trained = np.concatenate([self.train.rows, self._replaced()])
        return self.start.with_pictures(trained, selected if selects else None)

    def _replaced(self) -> Keys:
        """Rows of before in whose places other pictures are read now."""
        then, now = self._before.train, self.train.rows
        if len(then) != len(now):
            return np.concatenate([then, self._before.also])
        differs = np.zeros(len(now), bool)
        for column in (FILE, PIXELS, ORIGINAL):
            both = known(then[:, column]) & known(now[:, column])
            differs |= both & (then[:, column] != now[:, column]).any(axis=1)
        return np.concatenate([then[differs], self._before.also])


def _digest(tensors: dict[str, Any]) -> str:
    sha = hashlib.sha256()
    for name in sorted(tensors):
        sha.update(f"{name} {tensors[name].shape}\n".encode() + np.ascontiguousarray(tensors[name]).tobytes())
    return sha.hexdigest()
