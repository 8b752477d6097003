"""How the gradient fares on its way back: norms per layer, P1's evidence that degradation is no vanishing gradient."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class GradientNorm:
    """One convolution's gradients, as Euclidean norms."""

    layer: str
    weight: float  # of the loss by the layer's weights
    signal: float  # of the loss by the layer's output, over the whole batch


def gradient_norms(net: nn.Module, images: Tensor, labels: Tensor) -> list[GradientNorm]:
    """Gradient norms of every convolution on one batch (B, 3, S, S), in training mode. `net` itself is not touched."""
    probe = copy.deepcopy(net).float().train()
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
