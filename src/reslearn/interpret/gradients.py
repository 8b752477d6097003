"""How the gradient fares on its way back: norms per layer, P1's evidence that degradation is no vanishing gradient."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..nets.net import as_net


@dataclass(frozen=True)
class GradientNorm:
    """One convolution's gradients, as Euclidean norms."""

    layer: str
    weight: float  # of the loss by the layer's weights
    signal: float  # of the loss by the layer's output, over the whole batch


@dataclass(frozen=True)
class Factor:
    """One block with an identity shortcut, y = x + F(x), and what it does to the gradient g that comes back to it."""

    block: str
    along: float  # 1 + F': the share of g that goes on in g's own direction, 1 + <g, J_F' g> / <g, g>
    norm: float  # |g behind it| / |g before it|


def path_factors(net: nn.Module, images: Tensor, labels: Tensor) -> list[Factor]:
    """The factor 1 + F' of each identity block along the way back of the loss's gradient, from the last block to the
    first, on one batch (B, 3, S, S) in training mode. `net` itself is not touched.

    In a pre-activation net nothing stands on the shortcut, and `along` is that factor exactly (P2 equation 5); in a
    post-activation net the ReLU after the addition is part of it.
    """
    probe = as_net(copy.deepcopy(net).to(images.dtype).train(), "path factors")
    met: list[tuple[str, Tensor, Tensor]] = []
    for block in probe.blocks():
        if block.spec.shortcut == "identity":
            block.register_forward_hook(lambda _, args, y, name=block.spec.name: met.append((name, args[0], y)))
    with torch.enable_grad():
        loss = F.cross_entropy(probe(images), labels)
        gradients = torch.autograd.grad(loss, [x for _, *pair in met for x in pair])
    found = []
    for i, (name, *_) in enumerate(met):
        behind, before = gradients[2 * i].double(), gradients[2 * i + 1].double()
        square = before.square().sum()
        found.append(Factor(name, float((behind * before).sum() / square), float(behind.norm() / square.sqrt())))
    return found[::-1]


def gradient_norms(net: nn.Module, images: Tensor, labels: Tensor) -> list[GradientNorm]:
    """Gradient norms of every convolution on one batch (B, 3, S, S), in training mode and in the batch's type: float64
    where norms may lie below 1e-38. `net` itself is not touched."""
    probe = copy.deepcopy(net).to(images.dtype).train()
    signals: dict[str, float] = {}
    convs = {name: module for name, module in probe.named_modules() if isinstance(module, nn.Conv2d)}
    for name, module in convs.items():
        module.register_forward_hook(lambda _, __, output, name=name: _watch(output, name, signals))
    with torch.enable_grad():
        F.cross_entropy(probe(images), labels).backward()  # type: ignore[no-untyped-call]
    return [
        GradientNorm(name, float(module.weight.grad.norm()), signals[name])
        for name, module in convs.items()
        if module.weight.grad is not None
    ]


def _watch(output: Tensor, name: str, signals: dict[str, float]) -> None:
    def note(gradient: Tensor) -> None:
        signals[name] = float(gradient.norm())

    output.register_hook(note)  # type: ignore[no-untyped-call]
