"""What measuring needs of a loaded model: the part of `bundle.file.Loaded` that it reads."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor, nn

from ..data.known import Recogniser
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
