"""Initial weights, drawn in module order from torch's generator: He's normal distribution for convolutions."""

from __future__ import annotations

import math

from torch import Tensor, nn

from .layers import SqueezeExcitation


def init_resnet(net: nn.Module, mode: str) -> None:
    """Convolutions by `mode` (`fan_in`: 1502.01852 eq. 10, `fan_out`: eq. 14), a gate's FC layers by eq. 10 (P4 names
    1502.01852 for all its layers); the classifier uniform in +-1 / sqrt(in), as the authors' Torch code has it (P1 does
    not say); zero biases, gamma 1 and beta 0."""
    gates = {fc for module in net.modules() if isinstance(module, SqueezeExcitation) for fc in module.children()}
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            he_normal(module, mode)
        elif isinstance(module, nn.Linear):
            if module in gates:
                he_normal(module, "fan_in")
            else:
                bound = 1 / math.sqrt(module.in_features)
                nn.init.uniform_(module.weight, -bound, bound)
            zero_bias(module)


def init_vgg(net: nn.Module) -> None:
    """Convolutions by fan-out, FC layers normal with std 0.01, zero biases: the form that trains from scratch."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            he_normal(module, "fan_out")
            zero_bias(module)
        elif isinstance(module, nn.Linear):
            if has_memory(module.weight):
                nn.init.normal_(module.weight, std=0.01)
            zero_bias(module)


def he_normal(layer: nn.Conv2d | nn.Linear, mode: str) -> None:
    """Zero mean, std sqrt(2 / n) with n = k^2 * in (`fan_in`, per group) or k^2 * out (`fan_out`, over all groups)."""
    if has_memory(layer.weight):
        nn.init.kaiming_normal_(layer.weight, mode=mode, nonlinearity="relu")  # type: ignore[arg-type]


def has_memory(weight: Tensor) -> bool:
    """Whether there is anything to draw. On `torch.device("meta")` torch would load its compiler for that, a second."""
    return not weight.is_meta


def zero_bias(layer: nn.Conv2d | nn.Linear) -> None:
    """Set the bias to zero where there is one."""
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
