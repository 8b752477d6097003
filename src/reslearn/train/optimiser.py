"""Optimisers from a recipe: which parameters are decayed, and by which rule they move."""

from __future__ import annotations

import torch
from torch import nn

from ..spec.recipe import Recipe


def build_optimiser(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with momentum in PyTorch's form: v = m v + g, w -= lr v.

    The papers' Caffe has the learning rate inside v; the two are identical while the rate is constant and differ for
    a few steps after each drop. Decay reaches every parameter, or convolution and FC kernels alone (`decay`).
    """
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for parameter in net.parameters():
        (decayed if recipe.decay == "all" or parameter.ndim > 1 else spared).append(parameter)
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return torch.optim.SGD(
        [group for group in groups if group["params"]],
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Give every parameter group the learning rate of this step."""
    for group in optimiser.param_groups:
        group["lr"] = lr
