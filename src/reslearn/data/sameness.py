"""Whether data is still what it was: recorded pictures and labels, found again by content, else by name.

What a network is shown is decoded pixels, so those decide: another encoding of the same pixels, another name or another
container change nothing. File keys that are equal spare the decoding, where they are keys of what is decoded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .dataset import Dataset, Indices
from .memory import View
from .parts.keyed import Keyed
from .parts.keys import FILE, PIXELS, Keys, known
from .pictures.kinds import DECODER
from .table import as_pictures

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Recorded:
    """Pictures as they were; what is not known of one of them is zeros, or a size of -1."""

    names: Sequence[str]
    labels: Indices | None  # (N,)
    rows: Keys  # (N, 48), as in `keys`
    sizes: Indices  # (N,) bytes, -1 where there was no file
    plain: bool = True  # the file keys were those of the bytes that were decoded
    decoder: int = DECODER  # what made the pixel keys


@dataclass(frozen=True, eq=False)
class FoundAgain:
    """Where recorded pictures are now, and what is no longer as it was."""

    where: Indices  # (N,) places in the data; -1: gone
    relabelled: Indices  # positions among the recorded
    replaced: Indices
    gone: Indices
    by_name: int  # so many were compared by name (and size) alone
    renamed: int

    def changes(self, recorded: Recorded, data: Dataset) -> list[str]:
        """What changed, each kind with its count and one picture's name; empty where nothing did."""
        lines = []
        if len(self.relabelled) and recorded.labels is not None:
            i = int(self.relabelled[0])
            then, now = (data.classes[int(k)] for k in (recorded.labels[i], data.labels[self.where[i]]))
            lines.append(f"{_many(self.relabelled, 'label')} changed ({recorded.names[i]} was {then}, is {now})")
        if len(self.replaced):
            lines.append(f"{_many(self.replaced, 'picture')} replaced ({recorded.names[int(self.replaced[0])]})")
        if len(self.gone):
            of = "one of " if len(self.gone) > 1 else ""
            lines.append(f"{recorded.names[int(self.gone[0])]} ({of}{_many(self.gone, 'picture')}) is gone")
        return lines


def plain(data: Dataset) -> bool:
    """Whether the file keys of `data` are those of what is decoded: a pack's are its index's word on the originals."""
    return as_pictures(data).reader.keys is None


def compare(recorded: Recorded, data: Dataset) -> FoundAgain:
    """Find the recorded pictures in `data`.

    Files are read where the table of files read before does not know them, and decoded where their keys differ. Raises
    `UserError` for a file that cannot be read.
    """
    place = {name: i for i, name in enumerate(data.ids)}
    by_name = np.array([place.get(name, -1) for name in recorded.names], np.int64)
    search = _Search(recorded, data)
    has_key = known(recorded.rows)
    same = np.zeros(len(by_name), bool)
    asked = np.flatnonzero(has_key & (by_name >= 0))
    same[asked] = search.equal(asked, by_name[asked])
    unread = ~has_key & (by_name >= 0)  # nothing but the name tells
    there = as_pictures(data).sizes[by_name[unread]]
    then = recorded.sizes[unread]
    same[unread] = (there == then) | (then < 0) | (there < 0)
    where = np.where(same, by_name, -1)
    lost = np.flatnonzero(has_key & ~same)
    if len(lost):
        where[lost] = search.elsewhere(lost, where[where >= 0])
    search.now.remember()  # for the next time
    found = where >= 0
    changed = np.zeros(len(where), bool)
    if recorded.labels is not None:
        changed[found] = data.labels[where[found]] != recorded.labels[found]
    return FoundAgain(
        where,
        relabelled=np.flatnonzero(changed),
        replaced=np.flatnonzero(~found & (by_name >= 0)),
        gone=np.flatnonzero(~found & (by_name < 0)),
        by_name=int((unread & same).sum()),
        renamed=int((found & (where != by_name)).sum()),
    )


class _Search:
    """Recorded rows against the pictures of `data`, whose keys are made as far as they are needed."""

    def __init__(self, recorded: Recorded, data: Dataset) -> None:
        self.recorded, self.data = recorded, data
        self.now = Keyed(View(self.data, hashes=None))  # a manifest's are hearsay
        self.now.recall()
        self.files_tell = self.recorded.plain and plain(self.data)
        self.pixels_tell = self.recorded.decoder == DECODER

    def equal(self, positions: Indices, places: Indices) -> Mask:
        """(n,) whether the recorded pictures at `positions` are those at `places`, one by one."""
        same = np.zeros(len(positions), bool)
        for column in self._columns():
            left = np.flatnonzero(~same)
            self._ask(column, places[left])
            then, now = self.recorded.rows[positions[left], column], self.now.rows[places[left], column]
            same[left] = known(then) & (then == now).all(axis=1)
        return same

    def elsewhere(self, positions: Indices, taken: Indices) -> Indices:
        """(n,) places, none of them `taken`, of recorded pictures under other names; -1: nowhere.

        Pictures of the test split are none of them: what is moved there was taken out of the run.
        """
        free = np.setdiff1d(np.arange(len(self.data), dtype=np.int64), taken)
        free = np.setdiff1d(free, self.data.splits.get("test", []))
        found = np.full(len(positions), -1, np.int64)
        labels = self.recorded.labels
        for column in self._columns():
            self._ask(column, free)
            there: dict[bytes, list[int]] = defaultdict(list)
            for place in free.tolist():
                there[self.now.rows[place, column].tobytes()].append(place)
            there.pop(bytes(16), None)
            for i in np.flatnonzero(found < 0):
                places = there.get(self.recorded.rows[positions[i], column].tobytes())
                if places:
                    label = None if labels is None else int(labels[positions[i]])
                    alike = [place for place in places if int(self.data.labels[place]) == label]
                    found[i] = (alike or places)[0]
                    places.remove(int(found[i]))
            free = np.setdiff1d(free, found)
            if (found >= 0).all():
                break
        return found

    def _columns(self) -> list[slice]:
        """Which keys tell, the cheap ones first."""
        columns = [FILE] if self.files_tell or not self.pixels_tell else []
        return [*columns, PIXELS] if self.pixels_tell else columns

    def _ask(self, column: slice, places: Indices) -> None:
        if column == FILE:
            self.now.ask_files(places)
        else:
            self.now.complete(places, on_bad_file="skip")


def _many(positions: Indices, what: str) -> str:
    return f"{len(positions):,} {what}{'s' if len(positions) > 1 else ''}"
