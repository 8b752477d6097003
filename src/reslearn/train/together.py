"""What makes several processes one run: the same statistics, the same weights, and the proof of it.

Processes share gradients, so their weights stay equal. Without synchronised batch normalisation each has its own
running statistics; the first process's are the run's, as DDP has them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..nets.layers import norms
from ..runtime.process_group import World
from ..spec.errors import Fault, Retold, UserError
from .checkpoint import Progress

T = TypeVar("T")


def together(world: World, work: Callable[[], T]) -> T:
    """What `work` returns. Where it raises `UserError` in any process it does so in all, and one of them says it."""
    result, refusal = None, None
    try:
        result = work()
    except UserError as error:
        refusal = error
    refused = [str(told) for told in world.gather(refusal and str(refusal)) if told is not None]
    if refused:
        if world.first:
            raise UserError(refused[0]) from refusal
        raise Retold(refused[0]) from refusal
    return cast(T, result)


def share_statistics(net: nn.Module, world: World) -> None:
    """Give every process the first one's running statistics, and whatever else are buffers."""
    _broadcast(net.buffers(), world)


def share_state(net: nn.Module, world: World) -> None:
    """Give every process the first one's weights and statistics."""
    _broadcast(net.state_dict().values(), world)


@torch.no_grad()
def average_statistics(net: nn.Module, world: World) -> None:
    """Average what each process measured on its own batches, as if one had measured all of them."""
    if world.size == 1:
        return
    for norm in norms(net):
        for statistic in (norm.running_mean, norm.running_var):
            if statistic is not None:
                dist.all_reduce(statistic)
                statistic /= world.size


def check_equal(net: nn.Module, world: World) -> None:
    """Raise `Fault` unless the network is the same to the bit in every process."""
    if world.size == 1:
        return
    digests = world.gather(digest(net))
    if len(set(digests)) > 1:
        held = ", ".join(f"{rank}: {text[:12]}" for rank, text in enumerate(digests))
        raise Fault(f"the processes ended with different weights ({held}), so nothing was sealed; please report it")


def check_same_start(folder: Path, progress: Progress | None, world: World) -> None:
    """Raise `UserError` unless every process has read the same checkpoint of the run in `folder`."""
    steps = world.gather(0 if progress is None else progress.step)
    if len(set(steps)) > 1:
        found = ", ".join(map(str, steps))
        raise UserError(f"{folder}: the processes find checkpoints of steps {found} in it; let all see the same folder")


def digest(net: nn.Module) -> str:
    """sha256 of a network's weights and statistics."""
    sha = hashlib.sha256()
    for name, tensor in net.state_dict().items():
        sha.update(name.encode())
        sha.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


@torch.no_grad()
def _broadcast(tensors: Iterable[Tensor], world: World) -> None:
    if world.size == 1:
        return
    for tensor in tensors:
        plain = tensor.contiguous()  # channels_last is no layout that can be sent
        dist.broadcast(plain, 0)
        tensor.copy_(plain)
