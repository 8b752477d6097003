"""torch's compiler as an engine: the network frozen into kernels, built once for each size of batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..data.preprocess import Normalise
from ..runtime.choice import has_compiler
from ..runtime.settings import Precision
from ..spec.choices import Engine
from ..spec.errors import UserError
from .scorer import SIDE, Logits, TorchScorer, at_once


class CompiledScorer(TorchScorer):
    """A network compiled with its weights as constants. Batches are filled up to a power of two, so that kernels are
    built a few times and not for every number of pictures."""

    engine: Engine = "compiled"

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
        """Raises `UserError` where no C++ compiler is here."""
        super().__init__(net, normalise, precision=precision, device=device, threads=threads, batch_size=batch_size)
        if not self.device.startswith("cuda") and not has_compiler():
            raise UserError(
                "--engine compiled needs a C++ compiler, and g++ is not here; install it, or use another engine"
            )
        self._compiled: Any = torch.compile(net, dynamic=False, options={"freezing": True})

    def __call__(self, images: Tensor) -> Logits:
        count, most = len(images), at_once(self.batch_size, *images.shape[2:])
        rest = count % most
        if rest:
            full = min(1 << (rest - 1).bit_length(), most)
            images = torch.cat([images, images[-1:].expand(full - rest, -1, -1, -1)])
        return self._passes(images, SIDE, self._compiled)[:count]
