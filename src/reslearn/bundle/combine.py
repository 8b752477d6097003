"""Several networks that answer as one: what a sealed file with more than one member is loaded as."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class CombinedNet(nn.Module):
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

    def combined(self, answers: Sequence[Tensor]) -> Tensor:
        """One (B, classes) answer per member as one, float32."""
        logits = [answer.float() for answer in answers]
        if self.combine == "logits":
            return torch.stack([w * x for w, x in zip(self.weights, logits, strict=True)]).sum(0)
        shares = [x.log_softmax(1) + math.log(w) for w, x in zip(self.weights, logits, strict=True) if w > 0]
        return torch.stack(shares).logsumexp(0)
