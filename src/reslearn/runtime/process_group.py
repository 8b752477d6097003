"""This process among its fellows, as `torchrun` starts them; alone when there are none."""

from __future__ import annotations

import contextlib
import datetime
import functools
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ..spec.errors import Fault, UserError

if TYPE_CHECKING:  # `--help` waits for no arrays
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")
Number = TypeVar("Number", bound="np.generic")
_joined = itertools.count()


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
        import numpy as np

        return [float(x) for x in _reduced(np.array(values, np.float64), "SUM")]

    def largest(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The largest of each number over all processes."""
        return values if self.size == 1 else _reduced(values, "MAX")

    def tell(self, value: T) -> T:
        """The first process's `value`, on every process."""
        if self.size == 1:
            return value
        import torch.distributed as dist

        box: list[T] = [value]
        dist.broadcast_object_list(box)
        return box[0]

    def gather(self, value: T) -> list[T]:
        """Every process's `value`, in the order of their ranks, on every process."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        values: list[T] = [value] * self.size
        dist.all_gather_object(values, value)
        return values

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            import torch.distributed as dist

            dist.barrier()


def _reduced(values: NDArray[Number], how: Literal["SUM", "MAX"]) -> NDArray[Number]:
    """Each number over all processes."""
    import torch
    import torch.distributed as dist

    total = torch.from_numpy(values.copy()).to("cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(total, getattr(dist.ReduceOp, how))
    return total.cpu().numpy()


def from_environment() -> World:
    """What `torchrun` told this process."""
    told = os.environ.get
    return World(int(told("RANK", "0")), int(told("WORLD_SIZE", "1")), int(told("LOCAL_RANK", "0")))


def joined() -> World:
    """This process among those of the group it has joined; alone outside one."""
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        return World()
    return World(dist.get_rank(), dist.get_world_size(), from_environment().local)


def restarted() -> bool:
    """Whether elastic `torchrun` has started this command again after a failure."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def speaks_for_all() -> bool:
    """Whether this process says what stops the command: of those that `torchrun` started, the first that asks does.

    Any can be the one whose input is wrong, on whatever machine; and all end as soon as one does, so none waits for
    another to speak. Other launchers keep no place to ask at: there each speaks for itself.
    """
    told = os.environ.get
    if from_environment().size == 1 or told("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return True
    try:
        import torch.distributed as dist

        wait, place = datetime.timedelta(seconds=10), (told("MASTER_ADDR", ""), int(told("MASTER_PORT", "")))
        store = dist.TCPStore(*place, is_master=False, timeout=wait)  # type: ignore[attr-defined]
        return bool(store.add(f"reslearn/said/{told('TORCHELASTIC_RESTART_COUNT')}", 1) == 1)
    except (ImportError, ValueError, RuntimeError):  # a line too many is better than none
        return True


@contextlib.contextmanager
def process_group(device: str) -> Iterator[World]:
    """Join the process group for the block: nccl between GPUs, gloo between CPUs. Does nothing for one process.

    A group that the caller has joined already is used as it is. Each process of a machine takes the GPU of its
    number, so whatever is put on `cuda` must be put there inside. Raises `UserError` for a numbered `device`, which
    all would share, and where there are fewer GPUs than processes, and `Fault` where another process has ended.
    """
    world = from_environment()
    if world.size == 1:
        yield world
        return
    import torch
    import torch.distributed as dist

    if dist.is_initialized():
        yield joined()
        return

    if device.startswith("cuda"):
        choose_gpu(device, world, torch.cuda.device_count())
        torch.cuda.set_device(world.local)
    backend = "nccl" if device.startswith("cuda") else "gloo"
    # a second group in one process, or of processes that were started again, would otherwise find the first's addresses
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    store = dist.PrefixStore(f"group/{attempt}/{next(_joined)}", _meeting_place())  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=store, rank=world.rank, world_size=world.size)
    try:
        yield world
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "by peer" not in str(error):  # gloo's are plain ones
            raise
        raise Fault(f"another of the {world.size} processes has ended; what it said tells why") from error
    finally:
        dist.destroy_process_group()


@functools.cache
def _meeting_place() -> Any:
    """Where the processes that `torchrun` started find each other."""
    from torch.distributed.rendezvous import rendezvous

    return next(rendezvous("env://"))[0]


def choose_gpu(device: str, world: World, gpus: int) -> None:
    """Raise `UserError` unless every process of this machine can have a GPU of its own."""
    if device != "cuda":
        raise UserError(f"device is {device}; {world.size} processes each take a GPU of their own: use cuda")
    if world.local >= gpus:
        raise UserError(
            f"process {world.local} of this machine finds {gpus} GPUs; start as many processes as there are GPUs "
            "(torchrun --nproc-per-node), or use cpu"
        )
