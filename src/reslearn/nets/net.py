"""What every network of the house offers beside its logits, so that nobody asks of what kind it is."""

from __future__ import annotations

import math

from torch import Tensor, nn

from ..spec.choices import Combine
from ..spec.errors import UserError
from ..spec.net import Spec
from .blocks import ResidualBlock


class AnyHead(nn.Module):
    """The last layers of a network: (B, C, H, W) -> logits (B, num_classes)."""

    def everywhere(self, last: Tensor, window: int) -> Tensor:
        """(B, C, H, W) -> (B, positions, num_classes): the head on every window x window piece of a map."""
        pieces = last.unfold(2, window, 1).unfold(3, window, 1).permute(0, 2, 3, 1, 4, 5)
        scores: Tensor = self(pieces.reshape(-1, last.shape[1], window, window))
        return scores.view(len(last), -1, scores.shape[1])


class Net(nn.Module):
    """A residual network, a VGG, or several that answer as one. forward: (B, C, H, W) -> logits (B, num_classes)."""

    spec: Spec  # several that answer as one have none of their own
    head: AnyHead

    def blocks(self) -> list[ResidualBlock]:
        """Every residual or plain block in order; a VGG has none."""
        return []

    def stage_maps(self, x: Tensor) -> list[Tensor]:
        """The map that each stage ends with; the last one as the head reads it."""
        raise NotImplementedError

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """Named intermediates of one forward pass, `logits` among them."""
        raise NotImplementedError

    def dense(self, images: Tensor, size: int, average: Combine) -> Tensor:
        """(B, num_classes): the head applied at every position of the last map, as if cut to the map of a `size`
        picture, averaged (softmax: the log of the mean probability).

        A picture of the training size has one position, and scores as it does in one crop (up to a constant per
        picture under `softmax`). Raises `UserError` for a picture smaller than `size`.
        """
        window = self.stage_maps(images.new_zeros(1, images.shape[1], size, size))[-1].shape[-1]
        last = self.stage_maps(images)[-1]
        if min(last.shape[-2:]) < window:
            raise UserError(f"a picture of {tuple(images.shape[-2:])} pixels is smaller than the training size {size}")
        logits = self.head.everywhere(last, window).float()
        if average == "logits":
            return logits.mean(1)
        return logits.log_softmax(2).logsumexp(1) - math.log(logits.shape[1])


def as_net(net: nn.Module, what: str) -> Net:
    """`net` as one of the house. Raises `UserError` for any other, which `what` cannot be done with."""
    if not isinstance(net, Net):
        raise UserError(f"{what} needs a network of the catalogue; {type(net).__name__} has no stage maps")
    return net
