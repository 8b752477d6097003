"""torch's compiler as an engine: the network frozen into kernels, built once for each size of batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..runtime.choice import has_compiler
from ..spec.choices import Engine
from ..spec.errors import UserError
from .scorer import Logits, TorchScorer, at_once


class CompiledScorer(TorchScorer):
    """A network compiled with its weights as constants. Batches are filled up to a power of two, so that kernels are
    built a few times and not for every number of pictures."""

    engine: Engine = "compiled"

    def _forward(self) -> Callable[[Tensor], Tensor]:
        """The compiled network. Raises `UserError` where no C++ compiler is here."""
        if not self.device.startswith("cuda") and not has_compiler():
            raise UserError(
                "--engine compiled needs a C++ compiler, and g++ is not here; install it, or use another engine"
            )
        compiled: Callable[[Tensor], Tensor] = torch.compile(self.net, dynamic=False, options={"freezing": True})
        return compiled

    def normalised(self, batch: Tensor) -> Logits:
        """As `TorchScorer.normalised` says."""
        return self(batch)

    def __call__(self, images: Tensor) -> Logits:
        count, most = len(images), at_once(self.batch_size, *images.shape[2:])
        rest = count % most
        if rest:
            full = min(1 << (rest - 1).bit_length(), most)
            images = torch.cat([images, images[-1:].expand(full - rest, -1, -1, -1)])
        return super().__call__(images)[:count]
