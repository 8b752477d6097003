"""Which samples are trained on, validated on, tested on: stratified, by identity, never by file order.

Without groups each class is within one sample of its share in every split. With groups (or known duplicates, which
are one) no group is torn apart, and each class is within the size of its largest group.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...spec.errors import UserError
from ...spec.rule import is_number
from ..dataset import Dataset, Indices
from ..memory import Subset
from ..table import as_pictures
from .grouping import assign_groups, twins, units
from .keys import identities

Counts = NDArray[np.int64]


def choose_splits(dataset: Dataset, *, val_fraction: float = 0.1, split_seed: int = 0) -> dict[str, Indices]:
    """`train`, `val` (maybe empty) and, where the data declares one, `test`: sorted indices into `dataset`.

    A declared `val` wins; otherwise a stratified `val_fraction` of train is held out (0: none). `test` is
    never touched; no class is held out whole, and exact duplicates lie on one side. Raises `UserError` for a fraction
    outside [0, 1), a data set without training pictures, and groups of which none can be held out without a class.
    """
    if not 0 <= val_fraction < 1:
        raise UserError(f"--val-fraction is {val_fraction:g}; it must lie in [0, 1)")
    declared = dataset.splits
    train = np.sort(declared.get("train", np.empty(0, np.int64)) if declared else np.arange(len(dataset)))
    if not len(train):
        remedy = "; cross-validate with `reslearn crossval`" if "fold0" in declared else ""
        raise UserError(f"{dataset.path}: it declares {', '.join(sorted(declared))} and no train{remedy}")
    chosen = {"train": train.astype(np.int64), "val": np.empty(0, np.int64)}
    if len(declared.get("val", ())):
        chosen["val"] = np.sort(declared["val"])
    elif val_fraction > 0:
        part = Subset(dataset, chosen["train"])
        alike = twins(part)
        where = assign(part, {"train": 1 - val_fraction, "val": val_fraction}, seed=split_seed, alike=alike)
        where = _learnable(part, where, split_seed, alike)
        chosen = {"train": train[where == 0], "val": train[where == 1]}
    if "test" in declared:
        chosen["test"] = np.sort(declared["test"])
    return chosen


def _learnable(part: Dataset, where: Indices, seed: int, alike: Sequence[str]) -> Indices:
    """`where` (0 train, 1 val) with the smallest unit of each class that train would lack moved back to train."""
    labels, where = part.labels, where.copy()
    lacking = np.setdiff1d(labels, labels[where == 0])
    if not len(lacking):
        return where
    together = units(part, alike, None)
    _, member = np.unique(np.arange(len(part)) if together is None else together, return_inverse=True)
    size, tie = np.bincount(member), np.full(int(member.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(tie, member, hash_order(identities(part)[1], seed))
    for c in lacking:
        if (where[labels == c] == 0).any():  # came back with another class
            continue
        units_of_c = np.unique(member[labels == c])
        where[member == units_of_c[np.lexsort((tie[units_of_c], size[units_of_c]))[0]]] = 0
    if together is not None and not (where == 1).any():
        raise UserError(
            f"{part.path}: class '{part.classes[int(lacking[0])]}' lies in one group with all that could be held out, "
            "and training would lack it; regroup, add pictures, or hold out none with --val-fraction 0"
        )
    return where


def check_count(folds: int, pictures: int) -> None:
    """Raise `UserError` unless `folds` is a whole number from 2 to that of the pictures."""
    if not is_number(folds, whole=True):
        raise UserError(f"folds is {folds!r}; it must be a whole number, at least 2")
    if not 2 <= folds <= pictures:
        raise UserError(f"--folds is {folds}; it must lie in 2..{pictures}, the number of pictures")


def check_folds(dataset: Dataset, folds: int) -> None:
    """Raise `UserError` unless every fold can hold out a picture of every class."""
    counts = np.bincount(dataset.labels)
    check_count(folds, len(dataset))
    if folds > counts[counts > 0].min():
        name = dataset.classes[int(np.flatnonzero(counts == counts[counts > 0].min())[0])]
        raise UserError(f"--folds is {folds}, but class '{name}' has only {counts[counts > 0].min()} pictures")


def check_parts(dataset: Dataset, where: Indices, names: Sequence[str]) -> None:
    """Raise `UserError` where a fold is empty or holds all there is of a class; `where` (len,) points into `names`."""
    for k, fold in enumerate(names):
        if not (where == k).any():
            raise UserError(f"{fold} of {len(names)} would be empty: there are fewer groups than folds; lower --folds")
        missing = np.setdiff1d(dataset.labels, dataset.labels[where != k])
        if len(missing):
            name = dataset.classes[int(missing[0])]
            raise UserError(f"class '{name}' lies in one group, all in {fold}; the others could not learn it: regroup")


def assign(
    dataset: Dataset,
    fractions: Mapping[str, float],
    *,
    seed: int = 0,
    known: Indices | None = None,
    groups: Sequence[str] | None = None,
    hashes: Sequence[str] | None = None,
    alike: Sequence[str] | None = None,
) -> Indices:
    """(len,) the place in `fractions` (which sum to 1) of the split each sample goes to.

    `known` (len,) holds the split of samples that have one already, -1 elsewhere: they stay, and the others go where
    their class is short. `groups` and known duplicates stay together; both, given here, win over the data set's own.
    `alike` are duplicates that decide about nothing but staying together.
    """
    shares = np.array(list(fractions.values()), dtype=np.float64)
    if (shares <= 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise UserError(f"split fractions are {shares.tolist()}; they must be positive and sum to 1")
    ids = identities(dataset)[1] if hashes is None else list(hashes)
    fixed = np.full(len(dataset), -1, np.int64) if known is None else known
    if alike is None:
        alike = as_pictures(dataset).table.hashes if hashes is None else hashes
    together = units(dataset, alike, groups)
    rank = hash_order(ids, seed)
    if together is not None:
        return assign_groups(dataset.labels, together, rank, shares, fixed)
    out = fixed.copy()
    quota = quotas(np.bincount(dataset.labels), shares)
    for c in np.flatnonzero(quota.sum(1)):
        members = np.flatnonzero((dataset.labels == c) & (fixed < 0))
        members = members[np.argsort(rank[members], kind="stable")]
        have = np.bincount(fixed[(dataset.labels == c) & (fixed >= 0)], minlength=len(shares))
        take = quota[c] if not have.any() else _fill((len(members) + have.sum()) * shares, have, len(members))
        out[members] = np.repeat(np.arange(len(shares)), take)
    return out


def quotas(counts: Counts, shares: NDArray[np.float64]) -> Counts:
    """(classes, splits) whole numbers: rows sum to `counts`, every entry is its fair share rounded down or up, and
    the roundings are spread so that the splits' totals are right too."""
    fair = counts[:, None] * shares
    quota = np.floor(fair + 1e-9).astype(np.int64)
    total = fair.sum(0)
    for c in np.argsort(-counts, kind="stable"):
        rest = int(counts[c] - quota[c].sum())
        open_to = fair[c] - quota[c] > 1e-9
        short = np.where(open_to, total - quota.sum(0), -np.inf)
        quota[c, np.argsort(-short, kind="stable")[:rest]] += 1
    return quota


def _fill(fair: NDArray[np.float64], have: Counts, count: int) -> Counts:
    """How many of `count` new samples each split gets: one after another to the split that is shortest of its share."""
    add = np.zeros_like(have)
    for _ in range(count):
        add[np.argmax(fair - have - add)] += 1
    return add


def stratified(labels: Indices, ids: Sequence[str], count: int, seed: int) -> Indices:
    """Sorted positions of `count` samples, each class within one of its share; identity alone decides which."""
    quota = quotas(np.bincount(labels), np.array([1 - count / len(labels), count / len(labels)]))[:, 1]
    rank = hash_order(ids, seed)
    held = []
    for c, n in enumerate(quota):
        members = np.flatnonzero(labels == c)
        held.append(members[np.argsort(rank[members], kind="stable")][:n])
    return np.sort(np.concatenate(held))


def hash_order(ids: Sequence[str], seed: int) -> Indices:
    """One 63-bit number per identity, a keyed hash: sorting by it shuffles in a way that only identity decides."""
    stem = hashlib.blake2b(str(seed).encode(), digest_size=8)
    numbers = np.empty(len(ids), np.int64)
    for i, name in enumerate(ids):
        h = stem.copy()
        h.update(name.encode(errors="surrogateescape"))
        numbers[i] = int.from_bytes(h.digest(), "little") >> 1
    return numbers
