"""Several networks that answer as one: what a sealed file with more than one member is loaded as."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..nets.net import Net, as_net
from ..spec.choices import Combine


class CombinedNet(Net):
    """Members see the same batch; their answers are averaged with `weights`, which are normalised to sum to one.

    `combine="logits"` averages logits; `"softmax"` averages probabilities and returns the log of the mean, so that a
    softmax of the output is the mean probability again.
    """

    def __init__(self, members: Sequence[nn.Module], *, weights: Sequence[float], combine: str) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        total = sum(weights)
        self.weights = [weight / total for weight in weights]
        self.combine = combine

    def extra_repr(self) -> str:
        """How the members are averaged."""
        return f"weights={self.weights}, combine={self.combine!r}"

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, classes) float32."""
        return self.combined([member(images) for member in self.members])

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """Those of each member, as `0.NAME`, `1.NAME`, ..., and the `logits` of all."""
        each = [as_net(member, "an ensemble's features").features(x) for member in self.members]
        named = {f"{i}.{name}": value for i, found in enumerate(each) for name, value in found.items()}
        return named | {"logits": self.combined([found["logits"] for found in each])}

    def dense(self, images: Tensor, size: int, average: Combine) -> Tensor:
        """Members are combined after each has averaged its own positions."""
        return self.combined([as_net(member, "multi-scale").dense(images, size, average) for member in self.members])

    def combined(self, answers: Sequence[Tensor]) -> Tensor:
        """One (B, classes) answer per member as one, float32."""
        logits = [answer.float() for answer in answers]
        if self.combine == "logits":
            return torch.stack([w * x for w, x in zip(self.weights, logits, strict=True)]).sum(0)
        shares = [x.log_softmax(1) + math.log(w) for w, x in zip(self.weights, logits, strict=True) if w > 0]
        return torch.stack(shares).logsumexp(0)
