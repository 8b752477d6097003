"""How much each block adds to its signal, what part of a signal a ReLU cuts, and what the gates say of classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..engine.scorer import TorchScorer
from ..nets.blocks import ResidualBlock
from ..nets.layers import SqueezeExcitation
from ..nets.net import Net, as_net
from ..spec.errors import UserError

Hooks = list[tuple[nn.Module, Callable[..., None]]]  # modules, and what is called with their outputs


@dataclass(frozen=True)
class Branch:
    """A block with an identity shortcut, y = x + F(x)."""

    block: str
    ratio: float  # |F| / |x|, Euclidean norms over all pictures, channels and positions


@dataclass(frozen=True)
class Cut:
    """A BN and the share of its outputs below 0."""

    layer: str
    share: float


@dataclass(frozen=True)
class Excited:
    """The gate of one block: of each chosen channel the mean excitation over all pictures and, by class, mean and
    standard deviation."""

    block: str
    channels: tuple[int, ...]
    overall: tuple[float, ...]
    classes: dict[str, dict[str, tuple[float, ...]]]  # class -> mean, std


def branch_ratios(scorer: TorchScorer, batches: Iterable[Tensor]) -> list[Branch]:
    """|F| / |x| of every block with an identity shortcut, for prepared uint8 pictures (B, 3, S, S), in evaluation mode.

    Raises `UserError` for a net that has no such block.
    """
    blocks = [block for block in as_net(scorer.net, "responses").blocks() if block.spec.shortcut == "identity"]
    if not blocks:
        raise UserError("a block's |F| / |x| needs identity shortcuts, and this net has none")
    sums = torch.zeros(len(blocks), 2, dtype=torch.float64)

    def add(place: int, which: int, values: Tensor) -> None:
        sums[place, which] += values.detach().double().square().sum().cpu()

    hooks: Hooks = []
    for i, block in enumerate(blocks):
        hooks.append((block, lambda _, args, __, i=i: add(i, 1, args[0])))
        hooks.append((end_of_transform(block), lambda _, __, output, i=i: add(i, 0, output)))
    _run(scorer, batches, hooks)
    return [Branch(block.spec.name, math.sqrt(float(f / x))) for block, (f, x) in zip(blocks, sums, strict=True)]


def end_of_transform(block: ResidualBlock) -> nn.Module:
    """The module whose output the shortcut is added to: the gate, or the last BN (pre-activation: convolution)."""
    if block.spec.gate_channels:
        return block.gate
    last = "norm" if block.spec.activation == "post" else "conv"
    return block.get_submodule(f"{last}{len(block.spec.convs)}")


def cut_shares(scorer: TorchScorer, batches: Iterable[Tensor]) -> list[Cut]:
    """The share of outputs below 0 of every BN, in order, for prepared uint8 pictures (B, 3, S, S), in evaluation
    mode."""
    norms = [(name, m) for name, m in scorer.net.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    sums = torch.zeros(len(norms), 2, dtype=torch.float64)

    def add(place: int, output: Tensor) -> None:
        sums[place] += torch.tensor([float((output < 0).sum()), output.numel()], dtype=torch.float64)

    _run(scorer, batches, [(m, lambda _, __, output, i=i: add(i, output)) for i, (_, m) in enumerate(norms)])
    return [Cut(name, float(below / count)) for (name, _), (below, count) in zip(norms, sums, strict=True)]


def excitations(
    scorer: TorchScorer, batches: Iterable[Tensor], labels: Sequence[int], chosen: dict[str, int], *, channels: int = 50
) -> list[Excited]:
    """What the last gate of each stage lets through (P4 section 7.2, figures 6 and 7), by class.

    `labels` are those of the pictures in the order of `batches`, `chosen` the classes that are told apart, by name;
    at most `channels` of a gate's channels are taken, spread evenly. Raises `UserError` for a net without such gates.
    """
    gates = last_gates(as_net(scorer.net, "excitations"))
    told = torch.as_tensor(list(labels))
    found: list[list[Tensor]] = [[] for _ in gates]
    _run(scorer, batches, [(gate.fc2, lambda _, __, output, i=i: found[i].append(torch.sigmoid(output).float().cpu()))
                           for i, (_, gate) in enumerate(gates)])  # fmt: skip
    return [_excited(name, torch.cat(parts), told, chosen, channels)
            for (name, _), parts in zip(gates, found, strict=True)]  # fmt: skip


def last_gates(net: Net) -> list[tuple[str, SqueezeExcitation]]:
    """The last gate of each stage that has one, by its block's name."""
    found: dict[int, tuple[str, SqueezeExcitation]] = {}
    for block in net.blocks():
        if type(block.gate) is SqueezeExcitation:
            found[block.spec.stage] = (block.spec.name, block.gate)
    if not found:
        raise UserError("excitations need a net with squeeze-and-excitation gates, such as se_resnet20_cifar")
    return list(found.values())


def _excited(name: str, values: Tensor, labels: Tensor, chosen: dict[str, int], channels: int) -> Excited:
    count = values.shape[1]
    picked = torch.linspace(0, count - 1, min(channels, count)).round().long()
    values = values[:, picked]
    by_class = {}
    for label, index in chosen.items():
        own = values[labels == index]
        by_class[label] = {"mean": _tuple(own.mean(0)), "std": _tuple(own.std(0, unbiased=False))}
    return Excited(name, tuple(picked.tolist()), _tuple(values.mean(0)), by_class)


def _tuple(values: Tensor) -> tuple[float, ...]:
    return tuple(round(value, 5) for value in values.tolist())


def _run(scorer: TorchScorer, batches: Iterable[Tensor], hooks: Hooks) -> None:
    with hooked(hooks), scorer.ready():
        for images in batches:
            scorer(images)


@contextmanager
def hooked(hooks: Hooks) -> Iterator[None]:
    """Forward hooks for as long as the context lasts."""
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
