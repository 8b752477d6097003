"""The one way from prepared pictures to logits: validation in training, evaluation, prediction and probes take it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data.dataset import Image
from ..data.preprocess import Normalise, apply, to_batch
from ..nets.net import as_net
from ..runtime.inference import device_of, evaluating
from ..runtime.settings import Precision
from ..runtime.switches import owned
from ..spec.choices import Combine, Engine, Width
from ..spec.preprocess import Preprocess

Logits = NDArray[np.float32]
SIDE = 256  # pixels: a forward pass takes `batch_size` pictures up to this size, and as many pixels of larger ones


class Scorer(Protocol):
    """Prepared pictures, uint8 (B, 3, H, W) of any number, to logits, float32 (B, classes). Threads may share one."""

    @property
    def engine(self) -> Engine:
        """What computes the answers."""

    @property
    def precision(self) -> Width:
        """The answers' precision."""

    @property
    def prepares(self) -> Preprocess | None:
        """How whole pictures are prepared by the engine itself; None where it takes prepared ones alone."""

    @property
    def takes_bytes(self) -> bool:
        """Whether it prepares and normalises inside, so that normalised pictures are nothing to it."""

    @property
    def batch_size(self) -> int:
        """Pictures of one forward pass, at most."""

    def ready(self) -> contextlib.AbstractContextManager[None]:
        """Keeps the network in its place between the calls in the block; without it each call puts it there."""

    def __call__(self, images: Tensor) -> Logits:
        """Every picture as it is."""

    def normalised(self, batch: Tensor) -> Logits:
        """float32 (B, channels, S, S), normalised already as the network reads it -> (B, classes)."""

    def whole(self, pictures: Sequence[Image]) -> Logits:
        """RGB uint8 pictures (H, W, 3) of any sizes, prepared as the model reads them, by the engine if it can."""

    def dense(self, images: Tensor, average: Combine) -> Logits:
        """Larger pictures scored at every position of the size that the network was trained at, averaged."""


class TorchScorer:
    """A network of torch, at a precision, on a device: where it is unless told otherwise."""

    engine: Engine = "torch"
    prepares: Preprocess | None = None
    takes_bytes = False

    def __init__(
        self,
        net: nn.Module,
        normalise: Normalise,
        *,
        precision: Precision = "fp32",
        device: str | None = None,
        threads: int | None = None,
        batch_size: int = 256,
    ) -> None:
        """`threads` are torch's, as they are unless given. Raises `UserError` for a precision that there is not."""
        self.net, self.batch_size, self.threads = net, batch_size, threads
        self.precision: Precision = precision
        self.device = device or device_of(net)
        self.normalise = normalise.to(self.device)
        self._answer = self._forward()

    def _forward(self) -> Callable[[Tensor], Tensor]:
        """What is called with normalised pictures; made once."""
        return self.net

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """The network on its device in evaluation mode, under its precision, without gradients."""
        threads = contextlib.nullcontext() if self.threads is None else owned(self.threads)
        with threads, evaluating(self.net, self.precision, self.device):
            yield

    def __call__(self, images: Tensor) -> Logits:
        return self._passes(images, SIDE, self._answer)

    def normalised(self, batch: Tensor) -> Logits:
        """float32 (B, channels, H, W), normalised already."""
        return self._passes(batch, SIDE, self.net)

    def whole(self, pictures: Sequence[Image]) -> Logits:
        """RGB uint8 pictures (H, W, 3) of any sizes, as many at a time as are scored at once."""
        preprocess = self.normalise.preprocess
        step = at_once(self.batch_size, preprocess.size, preprocess.size)
        parts = [pictures[i : i + step] for i in range(0, len(pictures), step)]
        with self.ready():
            return np.concatenate([self(to_batch([apply(one, preprocess) for one in part])) for part in parts])

    def dense(self, images: Tensor, average: Combine) -> Logits:
        """As `nets.net.Net.dense` says. Raises `UserError` for a network that is not of the catalogue."""
        net, size = as_net(self.net, "multi-scale"), self.normalise.preprocess.size
        return self._passes(images, min(size, SIDE), lambda x: net.dense(x, size, average))

    def _passes(self, images: Tensor, side: int, forward: Callable[[Tensor], Tensor]) -> Logits:
        rows = []
        with self.ready():
            for part in torch.split(images, at_once(self.batch_size, *images.shape[2:], side=side)):
                x = part.to(self.device, non_blocking=True)
                x = x.to(self.normalise.dtype) if x.is_floating_point() else self.normalise(x)
                x = x.to(memory_format=torch.channels_last)
                rows.append(forward(x).float().cpu().numpy())
        return np.concatenate(rows)


def at_once(batch_size: int, height: int, width: int, *, side: int = SIDE) -> int:
    """How many pictures are taken at once: `batch_size` of up to `side` x `side` pixels, fewer of larger ones."""
    return max(min(batch_size, batch_size * side**2 // (height * width)), 1)
