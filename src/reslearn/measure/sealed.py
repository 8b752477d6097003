"""What measuring needs of a loaded model: the part of `bundle.file.Loaded` that it reads."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..data.parts.known import Recogniser
from ..runtime.settings import Precision
from ..spec.errors import UserError
from ..spec.preprocess import Preprocess


class Header(Protocol):
    """The facts of a sealed file's header that a score depends on."""

    @property
    def preprocess(self) -> Preprocess: ...
    @property
    def classes(self) -> tuple[str, ...] | None: ...
    @property
    def num_classes(self) -> int: ...
    @property
    def data(self) -> dict[str, Any] | None: ...


class Sealed(Protocol):
    """A loaded model."""

    @property
    def net(self) -> nn.Module: ...
    @property
    def bundle(self) -> Header: ...
    @property
    def mean_image(self) -> Tensor | None: ...
    @property
    def known(self) -> Recogniser: ...
    def identity(self) -> str:
        """A digest of everything that its answers depend on."""


def check_width(net: nn.Module, precision: Precision) -> None:
    """Raise `UserError` where a score would be called fp32 though the weights have been given another width."""
    other = {p.dtype for p in net.parameters() if p.is_floating_point()} - {torch.float32}
    if other and precision == "fp32":
        width = str(other.pop()).removeprefix("torch.")
        raise UserError(
            f"the network's weights are {width}, so its score is none of fp32; net.float(), or load it again"
        )
