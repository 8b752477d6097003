"""Evaluation over several processes: each scores a contiguous part, none twice, and everyone gets all rows."""

from __future__ import annotations

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
    """One process's part of `count` pictures."""

    pictures: Dataset
    count: int

    @classmethod
    def of(cls, dataset: Dataset) -> Share:
        """What this process scores of `dataset`, all of it outside a process group; `UserError` for no pictures."""
        if len(dataset) == 0:
            raise UserError(f"{dataset.path or 'the data'}: no pictures to evaluate")
        world = joined()
        part = dataset if world.size == 1 else Subset(dataset, shard(len(dataset), world.rank, world.size))
        return cls(part, len(dataset))

    def gather(self, rows: NDArray[Rows]) -> NDArray[Rows]:
        """The rows of all processes, on every process, in the data's order: parts follow each other as ranks do.

        Raises `RuntimeError` unless there is one for every picture.
        """
        values = np.concatenate([part for part in joined().gather(rows) if len(part)])
        if len(values) != self.count:
            raise RuntimeError(f"{len(values)} predictions of {self.count} pictures: each must be predicted once")
        return values


def shard(count: int, rank: int, world: int) -> Indices:
    """This rank's pictures of `count`: contiguous, sizes differing by at most one, no padding."""
    return np.arange(count * rank // world, count * (rank + 1) // world, dtype=np.int64)
