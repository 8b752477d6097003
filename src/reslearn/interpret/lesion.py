"""What a trained net loses with one block removed (1605.06431): parallel paths survive it, layers in series do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from ..nets.blocks import ResidualBlock
from ..nets.net import Net
from ..spec.errors import UserError


@dataclass(frozen=True)
class Lesions:
    """Errors in percent: of the whole net, and with each droppable block removed."""

    intact: float
    dropped: tuple[tuple[str, float], ...]  # (block, error without it), in order


class Dropped(nn.Module):
    """What is left of a block without its transform: the shortcut, which for a plain block means passing x on."""

    def __init__(self, block: ResidualBlock):
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.block.shortcut is None else self.block.shortcut(x)
        return F.relu(y) if self.block.spec.activation == "post" else y


def droppable(net: Net) -> list[str]:
    """Blocks that keep their input's shape. The others cannot be dropped from a plain net, so they stay in both."""
    blocks = net.blocks()
    if not blocks:
        raise UserError("a lesion study needs a net of residual or plain blocks")
    return [b.spec.name for b in blocks if b.spec.stride == 1 and b.spec.in_channels == b.spec.out_channels]


@contextmanager
def without_block(net: Net, name: str) -> Iterator[Net]:
    """`net` with the block called `name` (such as `stages.1.3`) replaced by its shortcut; whole again afterwards."""
    stage = net.get_submodule(name.rpartition(".")[0])
    index = int(name.rpartition(".")[2])
    if not isinstance(stage, nn.Sequential) or not isinstance(block := stage[index], ResidualBlock):
        raise UserError(f"{name} is no block of this net; its blocks: {', '.join(droppable(net))}")
    stage[index] = Dropped(block)
    try:
        yield net
    finally:
        stage[index] = block


def lesion_study(net: Net, error: Callable[[Net], float]) -> Lesions:
    """Drop each droppable block in turn and ask `error` (percent, on the same pictures each time)."""
    intact, dropped = error(net), []
    for name in droppable(net):
        with without_block(net, name):
            dropped.append((name, error(net)))
    return Lesions(intact, tuple(dropped))
