"""Exact batch-normalisation statistics: averaged over many batches with the final weights, not a moving average."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ..nets.layers import norms


def exact_bn_statistics(net: nn.Module, batches: Iterable[Tensor]) -> int:
    """Replace every running mean and variance by its average over `batches` of normalised images (B, C, H, W).

    As 1502.03167, algorithm 2, and as the released ResNets: the mean of the batches' means, and of their unbiased
    variances. Everything but batch normalisation stays in evaluation mode, so dropout and stochastic depth are off.
    Returns the number of batches; with none, nothing changes. Modes are restored.
    """
    tracking = [norm for norm in norms(net) if norm.track_running_stats]
    if not tracking:
        return 0
    modes = [(module, module.training) for module in net.modules()]
    momenta = [norm.momentum for norm in tracking]
    count = 0
    try:
        net.eval()
        for images in batches:
            if count == 0:
                for norm in tracking:
                    norm.reset_running_stats()
                    norm.momentum = None  # torch's name for a cumulative average
                    norm.training = True
            with torch.no_grad():
                net(images.to(memory_format=torch.channels_last))
            count += 1
    finally:
        for norm, momentum in zip(tracking, momenta, strict=True):
            norm.momentum = momentum
        for module, training in modes:
            module.training = training
    return count
