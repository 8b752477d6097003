"""What recognises the pictures that a model was trained on, and those that something of it was chosen on.

By content: a filter of keys. A picture is known where the first 8 bytes of any of its keys are there, so of n keys a
picture that was never seen passes for a seen one with a chance of n / 2^64 for each of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...spec.seen import KnownBy, Seen, SeenHeader, weakest
from ..dataset import Dataset
from ..pictures.kinds import DECODER
from .keys import Keys, heads, known, parts

Heads = NDArray[np.int64]  # sorted
Mask = NDArray[np.bool_]
TRAINED, SELECTED = "seen.trained", "seen.selected"  # the tensors of a sealed file


@dataclass(frozen=True, eq=False)
class Known:
    """Pictures known by content."""

    trained: Heads = field(default_factory=lambda: np.empty(0, np.int64))
    selected: Heads = field(default_factory=lambda: np.empty(0, np.int64))
    known_by: KnownBy = "content"
    forgotten: bool = False

    def marks(self, pictures: Dataset, rows: Keys) -> tuple[Mask, Mask]:
        """(trained, selected), each (N,), of pictures whose rows of keys are given as far as they are known."""
        return _found(self.trained, rows), _found(self.selected, rows)

    def with_pictures(self, trained: Keys | None = None, selected: Keys | None = None) -> Known:
        """These and the pictures with the given rows of keys."""
        return union([self, Known(filter_of(trained), filter_of(selected))])

    def header(self) -> SeenHeader:
        """What the sealed file's header says."""
        n = len(self.trained), len(self.selected)
        return SeenHeader(self.known_by, *n, error=sum(n) / 2.0**64, decoder=DECODER, forgotten=self.forgotten)

    def tensors(self) -> dict[str, Heads]:
        """What the sealed file holds beside its networks: the filters that are not empty."""
        return {name: heads for name, heads in ((TRAINED, self.trained), (SELECTED, self.selected)) if len(heads)}


NOTHING = Known(known_by="nothing")
FORGOTTEN = Known(known_by="nothing", forgotten=True)


class Named:
    """Pictures known by the names they have in the data that a run was trained on, and what is known beside."""

    def __init__(self, trained: Iterable[str], selected: Iterable[str], known_by: KnownBy, beside: Known) -> None:
        self.trained, self.selected, self.known_by = frozenset(trained), frozenset(selected), known_by
        self.beside = beside

    def marks(self, pictures: Dataset, rows: Keys) -> tuple[Mask, Mask]:
        """As `Known.marks`."""
        trained, selected = self.beside.marks(pictures, rows)
        return trained | _named(self.trained, pictures.ids), selected | _named(self.selected, pictures.ids)


Recogniser = Known | Named  # tells which pictures of a data set have been seen


def union(known_ones: Sequence[Known]) -> Known:
    """All that any of them knows; how well, the weakest says."""
    return Known(
        np.unique(np.concatenate([one.trained for one in known_ones])),
        np.unique(np.concatenate([one.selected for one in known_ones])),
        weakest(one.known_by for one in known_ones),
    )


def count(recognisers: Sequence[Recogniser], pictures: Dataset, rows: Keys) -> tuple[Seen, Mask]:
    """What several models together have seen of `pictures`, and which of them (N,) any was trained on."""
    trained, selected = np.zeros(len(pictures), bool), np.zeros(len(pictures), bool)
    for one in recognisers:
        marks = one.marks(pictures, rows)
        trained |= marks[0]
        selected |= marks[1]
    grade = weakest(one.known_by for one in recognisers)
    return Seen.counted(int(trained.sum()), int(selected.sum()), grade), trained


def filter_of(rows: Keys | None) -> Heads:
    """The sorted heads of all keys in rows."""
    if rows is None or not len(rows):
        return np.empty(0, np.int64)
    return np.unique(np.concatenate([heads(column[known(column)]) for column in parts(rows)]))


def _found(heads_of: Heads, rows: Keys) -> Mask:
    found = np.zeros(len(rows), bool)
    if len(heads_of):
        for column in parts(rows):
            there = known(column)
            wanted = heads(column)
            at = np.minimum(np.searchsorted(heads_of, wanted), len(heads_of) - 1)
            found |= there & (heads_of[at] == wanted)
    return found


def _named(names: Collection[str], ids: Sequence[str]) -> Mask:
    return np.fromiter((name in names for name in ids), bool, len(ids))
