"""How strongly each layer responds: P1 figure 7, with the closed form that holds it to account."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..engine.scorer import TorchScorer
from ..nets.net import Net, as_net
from ..spec.errors import UserError


@dataclass(frozen=True)
class Response:
    """One layer's responses: its standard deviation over pictures, positions and channels together."""

    layer: str
    std: float
    closed_form: float  # sqrt(mean gamma^2 + var beta): what BN's own parameters promise


def response_layers(net: Net) -> list[tuple[str, nn.BatchNorm2d]]:
    """The BN after each 3x3 convolution, stem included, in order: 6n + 1 of them in a CIFAR net of 6n + 2 layers.

    Raises `UserError` for a net whose BN comes before its convolutions, where the figure is not defined.
    """
    blocks = net.blocks()
    if not blocks or blocks[0].spec.activation != "post":
        raise UserError("layer responses are defined for post-activation nets: BN after each convolution")
    found = [("stem", net.stem.norm)]
    for block in blocks:
        for number, conv in enumerate(block.spec.convs, 1):
            if conv.kernel == 3:
                found.append((f"{block.spec.name}.conv{number}", getattr(block, f"norm{number}")))
    return [(name, norm) for name, norm in found if isinstance(norm, nn.BatchNorm2d)]


def layer_responses(scorer: TorchScorer, batches: Iterable[Tensor]) -> list[Response]:
    """Responses of every 3x3 layer to `batches` of prepared pictures, uint8 (B, 3, S, S), in evaluation mode.

    A response is a layer's output after its BN and before the ReLU or the addition that follows (P1 4.2).
    """
    layers = response_layers(as_net(scorer.net, "responses"))
    sums = torch.zeros(len(layers), 3, dtype=torch.float64)  # count, sum, sum of squares

    def add(index: int, output: Tensor) -> None:
        values = output.detach().double()
        sums[index] += torch.stack([torch.tensor(values.numel()), values.sum().cpu(), values.square().sum().cpu()])

    handles = [
        norm.register_forward_hook(lambda _, __, output, index=index: add(index, output))
        for index, (_, norm) in enumerate(layers)
    ]
    try:
        with scorer.ready():
            for images in batches:
                scorer(images)
    finally:
        for handle in handles:
            handle.remove()
    counts, means, squares = sums[:, 0], sums[:, 1] / sums[:, 0], sums[:, 2]
    stds = (squares / counts - means.square()).clamp(min=0).sqrt().tolist()
    return [Response(name, std, closed_form(norm)) for (name, norm), std in zip(layers, stds, strict=True)]


def closed_form(norm: nn.BatchNorm2d) -> float:
    """The deviation that BN's parameters promise: channel c has mean beta_c and deviation |gamma_c|."""
    gamma, beta = norm.weight.detach().double(), norm.bias.detach().double()
    return math.sqrt(float(gamma.square().mean() + beta.var(unbiased=False)))
