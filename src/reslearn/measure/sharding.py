"""Evaluation over several processes: each scores a contiguous part, none twice, and everyone gets all rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch.distributed as dist
from numpy.typing import NDArray

from ..data.dataset import Indices

Rows = TypeVar("Rows", bound=np.generic)


def processes() -> tuple[int, int]:
    """(rank, number of processes); (0, 1) outside a process group."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else (0, 1)


def shard(count: int, rank: int, world: int) -> Indices:
    """This rank's pictures of `count`: contiguous, sizes differing by at most one, no padding."""
    return np.arange(count * rank // world, count * (rank + 1) // world, dtype=np.int64)


def gather_processes(places: Indices, rows: NDArray[Rows], count: int) -> NDArray[Rows]:
    """The rows of all processes in the data's order, on every process."""
    world = processes()[1]
    if world == 1:
        return gather([rows], [places], count)
    parts: list[tuple[Indices, NDArray[Rows]] | None] = [None] * world
    dist.all_gather_object(parts, (places, rows))
    filled = [part for part in parts if part is not None and len(part[0])]
    return gather([part[1] for part in filled], [part[0] for part in filled], count)


def from_first(value: Any) -> Any:
    """The first process's `value`, on every process."""
    if processes()[1] == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box)
    return box[0]


def gather(rows: Sequence[NDArray[Rows]], places: Sequence[Indices], count: int) -> NDArray[Rows]:
    """Batches of rows back in the data's order. Raises `RuntimeError` unless every picture is there exactly once."""
    at = np.concatenate(list(places))
    if not np.array_equal(np.sort(at), np.arange(count)):
        raise RuntimeError(f"{len(at)} predictions of {count} pictures: each must be predicted once")
    values = np.concatenate(list(rows))
    gathered = np.empty_like(values)
    gathered[at] = values
    return gathered
