"""This process among its fellows, as `torchrun` starts them; alone when there are none."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class World:
    """`rank` of `size` processes; `local` numbers them on this machine."""

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def sum(self, *values: float) -> list[float]:
        """The sums of `values` over all processes, in float64."""
        if self.size == 1:
            return list(values)
        import torch
        import torch.distributed as dist

        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        total = torch.tensor(values, dtype=torch.float64, device=device)
        dist.all_reduce(total)
        return [float(value) for value in total.tolist()]

    def largest(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The largest of each number over all processes."""
        if self.size == 1:
            return values
        import torch
        import torch.distributed as dist

        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        most = torch.from_numpy(values.copy()).to(device)
        dist.all_reduce(most, dist.ReduceOp.MAX)
        return most.cpu().numpy()

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            import torch.distributed as dist

            dist.barrier()


def from_environment() -> World:
    """What `torchrun` told this process."""
    told = os.environ.get
    return World(int(told("RANK", "0")), int(told("WORLD_SIZE", "1")), int(told("LOCAL_RANK", "0")))


def restarted() -> bool:
    """Whether elastic `torchrun` has started this command again after a failure."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


@contextlib.contextmanager
def process_group(device: str) -> Iterator[World]:
    """Join the process group for the block: nccl between GPUs, gloo between CPUs. Does nothing for one process."""
    world = from_environment()
    if world.size == 1:
        yield world
        return
    import torch
    import torch.distributed as dist

    if device.startswith("cuda"):
        torch.cuda.set_device(world.local)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield world
    finally:
        dist.destroy_process_group()
