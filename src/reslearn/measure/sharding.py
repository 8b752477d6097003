"""Evaluation over several processes: each scores a contiguous part, none twice, and everyone gets all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset, Indices
from ..data.memory import Subset
from ..runtime.process_group import joined
from ..spec.errors import UserError

Rows = TypeVar("Rows", bound=np.generic)


@dataclass(frozen=True)
class Share:
    """One process's part of `count` pictures: which ones, and they themselves."""

    places: Indices  # in the whole
    pictures: Dataset
    count: int

    @classmethod
    def of(cls, dataset: Dataset) -> Share:
        """What this process scores of `dataset`, all of it outside a process group; `UserError` for no pictures."""
        if len(dataset) == 0:
            raise UserError(f"{dataset.path or 'the data'}: no pictures to evaluate")
        world = joined()
        places = shard(len(dataset), world.rank, world.size)
        return cls(places, dataset if world.size == 1 else Subset(dataset, places), len(dataset))


def shard(count: int, rank: int, world: int) -> Indices:
    """This rank's pictures of `count`: contiguous, sizes differing by at most one, no padding."""
    return np.arange(count * rank // world, count * (rank + 1) // world, dtype=np.int64)


def gather_processes(share: Share, rows: NDArray[Rows]) -> NDArray[Rows]:
    """The rows of all processes in the data's order, on every process."""
    filled = [part for part in joined().gather((share.places, rows)) if len(part[0])]
    return gather([part[1] for part in filled], [part[0] for part in filled], share.count)


def gather(rows: Sequence[NDArray[Rows]], places: Sequence[Indices], count: int) -> NDArray[Rows]:
    """Batches of rows back in the data's order. Raises `RuntimeError` unless every picture is there exactly once."""
    at = np.concatenate(list(places))
    if not np.array_equal(np.sort(at), np.arange(count)):
        raise RuntimeError(f"{len(at)} predictions of {count} pictures: each must be predicted once")
    values = np.concatenate(list(rows))
    gathered = np.empty_like(values)
    gathered[at] = values
    return gathered
