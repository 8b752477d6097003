"""Which samples are trained on and which are validated on: stratified, decided by identity, never by file order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from ..spec.errors import UserError
from .dataset import Dataset, Indices


def choose_splits(dataset: Dataset, *, val_fraction: float = 0.1, split_seed: int = 0) -> dict[str, Indices]:
    """`train`, `val` (maybe empty) and, where the data declares one, `test`: sorted indices into `dataset`.

    A declared `val` wins; otherwise a stratified `val_fraction` of train is held out (0: none). `test` is
    never touched. Raises `UserError` for a fraction outside [0, 1) or a data set without training pictures.
    """
    if not 0 <= val_fraction < 1:
        raise UserError(f"--val-fraction is {val_fraction:g}; it must lie in [0, 1)")
    declared = dataset.splits
    train = declared["train"] if declared else np.arange(len(dataset), dtype=np.int64)
    if declared and not len(train):
        raise UserError(f"{dataset.path}: there is nothing to train on; its splits are {', '.join(sorted(declared))}")
    chosen = {"train": np.sort(train), "val": np.empty(0, np.int64)}
    if len(declared.get("val", ())):
        chosen["val"] = np.sort(declared["val"])
    elif val_fraction > 0:
        ids = dataset.ids
        count = round(val_fraction * len(train))
        held = stratified(dataset.labels[train], [ids[int(i)] for i in train], count, split_seed, "val")
        chosen["val"] = np.sort(train[held])
        chosen["train"] = np.sort(np.delete(train, held))
    if "test" in declared:
        chosen["test"] = np.sort(declared["test"])
    return chosen


def stratified(labels: Indices, ids: Sequence[str], count: int, seed: int, purpose: str) -> Indices:
    """Positions of `count` samples, each class within one of its fair share (largest remainders get the rest).

    Within a class the order is a keyed hash of the identity, so neither file order nor other files matter.
    """
    held = [members[:n] for members, n in zip(*_shares(labels, ids, count, seed, purpose), strict=True)]
    return np.sort(np.concatenate(held)) if held else np.empty(0, np.int64)


def _shares(
    labels: Indices, ids: Sequence[str], count: int, seed: int, purpose: str
) -> tuple[list[Indices], list[int]]:
    rank = hash_order(ids, seed, purpose)
    members = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    members = [m[np.argsort(rank[m], kind="stable")] for m in members]
    fair = np.array([len(m) * count / max(len(labels), 1) for m in members])
    take = np.floor(fair).astype(int)
    first = np.argsort(take - fair, kind="stable")  # largest remainders first
    take[first[: count - take.sum()]] += 1
    return members, take.tolist()


def hash_order(ids: Sequence[str], seed: int, purpose: str) -> Indices:
    """One 63-bit number per identity, a keyed hash: sorting by it shuffles in a way that only identity decides."""
    stem = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8)
    numbers = np.empty(len(ids), np.int64)
    for i, name in enumerate(ids):
        h = stem.copy()
        h.update(name.encode(errors="surrogateescape"))
        numbers[i] = int.from_bytes(h.digest(), "little") >> 1
    return numbers
