"""Samples that must stay together (one patient, one scene, exact duplicates), and how to split without parting them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..dataset import Dataset, Indices
from ..memory import Subset
from ..table import as_pictures
from .keyed import file_keys
from .keys import known

Matrix = NDArray[np.float64]


def units(dataset: Dataset, hashes: Sequence[str] | None, groups: Sequence[str] | None) -> Indices | None:
    """(len,) a number per unit: samples of one group, or of one content hash, share it. None if all stand alone.

    An empty group name means no group.
    """
    groups = groups if groups is not None else as_pictures(dataset).table.groups
    if groups is None and hashes is None:
        return None
    unit = np.arange(len(dataset))
    for names in (groups, hashes):
        first: dict[str, int] = {}
        one = np.array([first.setdefault(name, i) if name else i for i, name in enumerate(names or ())], np.int64)
        others = np.flatnonzero(one != np.arange(len(one)))
        unit = linked(unit, others, one[others])
    return None if len(np.unique(unit)) == len(dataset) else unit


def linked(group: Indices, left: Indices, right: Indices) -> Indices:
    """(n,) `group` once left[i] and right[i] are in one group for every i. A group's number is its lowest member's."""
    if not len(left):
        return group
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends, at = np.unique(group[np.stack([left, right])], return_inverse=True)  # groups with a link, ascending
    links = coo_array((np.ones(len(left), bool), tuple(at.reshape(2, -1))), shape=(len(ends), len(ends)))
    _, part = connected_components(links, directed=False)
    _, lowest = np.unique(part, return_index=True)
    number = np.arange(len(group))
    number[ends] = ends[lowest[part]]
    return np.asarray(number[group])


def twins(dataset: Dataset) -> list[str]:
    """(len,) the key of every picture that may have an exact twin in `dataset`, empty for the others.

    Of files only those that share their size with another are read; pictures in no file are alike in size. Where all
    are one picture, nothing keeps them apart, and none is named.
    """
    pictures = as_pictures(dataset)
    if pictures.reader.sizes is None and pictures.reader.images is None:
        return list(pictures.table.hashes or [""] * len(dataset))
    _, group, count = np.unique(pictures.sizes, return_inverse=True, return_counts=True)
    several = np.flatnonzero(count[group] > 1)
    names = [""] * len(dataset)
    keys = file_keys(Subset(dataset, several), on_bad_file="skip")
    for i, key, there in zip(several, keys, known(keys), strict=True):
        names[int(i)] = key.tobytes().hex() if there else ""
    return names if len(set(names)) > 1 else [""] * len(dataset)


def assign_groups(labels: Indices, unit: Indices, rank: Indices, shares: Matrix, known: Indices) -> Indices:
    """(len,) the split of each sample; units stay whole, known samples (>= 0) stay where they are.

    Largest units first, each to the split that its classes lack most. For units of one class the outcome is provably
    within the largest unit of each class's share; for mixed ones a few rounds of moving units see to it.
    """
    _, member = np.unique(unit, return_inverse=True)
    count, classes = int(member.max()) + 1, int(labels.max()) + 1
    content = np.zeros((count, classes))
    np.add.at(content, (member, labels), 1)
    size, tie = content.sum(1), np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(tie, member, rank)
    place = np.full(count, -1, np.int64)
    place[member[known >= 0]] = known[known >= 0]  # new members follow those that are known
    lack = content.sum(0) * shares[:, None]  # (splits, classes)
    for u in np.flatnonzero(place >= 0):
        lack[place[u]] -= content[u]
    free = np.flatnonzero(place < 0)
    for u in free[np.lexsort((tie[free], -size[free]))]:
        place[u] = int(np.argmax(lack @ content[u]))
        lack[place[u]] -= content[u]
    bound = np.array([size[content[:, c] > 0].max(initial=0) for c in range(classes)])
    _mend(place, lack, content, bound, free)
    out = place[member]
    return np.where(known >= 0, known, out)


def _mend(place: Indices, lack: Matrix, content: Matrix, bound: Matrix, free: Indices) -> None:
    """Move single units while a class is off by more than its largest unit and a move lessens that."""

    def excess(deficits: Matrix) -> float:
        return float((np.clip(np.abs(deficits) - bound, 0, None) ** 2).sum())

    for _ in range(50):
        now, moved = excess(lack), False
        if now <= 1e-12:
            return
        for u in free:
            for split in range(len(lack)):
                if split == place[u]:
                    continue
                trial = lack.copy()
                trial[place[u]] += content[u]
                trial[split] -= content[u]
                if excess(trial) < now - 1e-12:
                    lack[:], place[u], now, moved = trial, split, excess(trial), True
        if not moved:
            return
