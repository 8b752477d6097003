"""Which picture is held out in which fold of a cross-validation."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ..data.dataset import Dataset, Indices
from ..data.memory import Subset
from ..data.parts.grouping import twins
from ..data.parts.splits import assign, check_count, check_folds, check_parts
from ..spec.errors import UserError


def choose_folds(
    dataset: Dataset,
    count: int,
    *,
    split_seed: int = 0,
    groups: Sequence[str] | None = None,
    left_out: Collection[str] = (),
) -> tuple[dict[str, int], str]:
    """Identity -> fold 1 ... `count` of every picture outside `test`, and how: declared, grouped or stratified.

    `left_out` are identities that stand in no fold: of what cannot be read. Splits named fold0, fold1, ... that the
    data declares are taken as they are. `groups` (one name per picture) and exact duplicates are not torn apart. Raises
    `UserError` where a fold or a training part would lack a class.
    """
    check_count(count, len(dataset))
    declared = [dataset.splits.get(f"fold{k}") for k in range(count)]
    pool: Indices = np.setdiff1d(np.arange(len(dataset)), dataset.splits.get("test", []))
    if left_out:
        pool = pool[[dataset.ids[int(i)] not in left_out for i in pool]]
    if any(name.startswith("fold") for name in dataset.splits):
        if any(part is None for part in declared) or f"fold{count}" in dataset.splits:
            there = sum(name.startswith("fold") for name in dataset.splits)
            raise UserError(f"{dataset.path}: it declares {there} folds; give --folds {there}")
        where = np.zeros(len(dataset), np.int64)
        for k, part in enumerate(declared):
            where[part] = k + 1
        where, method = where[pool], "declared"
        pool, where = pool[where > 0], where[where > 0]
    else:
        whole = Subset(dataset, pool)
        check_folds(whole, count)
        chosen = None if groups is None else [groups[int(i)] for i in pool]
        shares = {f"fold{k}": 1 / count for k in range(count)}
        where = assign(whole, shares, seed=split_seed, groups=chosen, alike=twins(whole)) + 1
        method = "stratified" if groups is None else "grouped"
    check_parts(Subset(dataset, pool), where - 1, [f"fold {k + 1}" for k in range(count)])
    return {dataset.ids[int(i)]: int(k) for i, k in zip(pool, where, strict=True)}, method
