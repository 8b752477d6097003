"""VGG, the plain baseline of the residual papers (arXiv 1409.1556, Table 1). No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .errors import UserError, check_choice
from .rules import check_depth


@dataclass(frozen=True)
class VggSpec:
    """Stages of 3x3 convolutions (with bias), each followed by ReLU and each stage by a 2x2 max-pool; then the head."""

    name: str
    stage_convs: tuple[int, ...]  # convolutions in each stage
    stage_channels: tuple[int, ...] = (64, 128, 256, 512, 512)
    batch_norm: bool = False  # BN between convolution and ReLU; the convolution keeps its bias
    head: Literal["imagenet", "cifar"] = "imagenet"  # pool to 7x7 and three FC, or global pool and one FC
    hidden_channels: int = 4096  # of the two hidden FC layers
    dropout: float = 0.5  # after each hidden FC layer
    in_channels: int = 3
    num_classes: int = 1000
    variant: str | None = None

    def __post_init__(self) -> None:
        check_choice("head", self.head, ("imagenet", "cifar"))
        if len(self.stage_convs) != len(self.stage_channels) or not self.stage_convs:
            raise UserError("stage_convs and stage_channels must have one entry per stage, and at least one stage")
        for field in ("in_channels", "num_classes", "hidden_channels"):
            if getattr(self, field) < 1:
                raise UserError(f"{field} is {getattr(self, field)}; it must be at least 1")
        check_depth("stage_convs", self.stage_convs)
        if min(self.stage_channels) < 1:
            raise UserError("every entry of stage_channels must be at least 1")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout is {self.dropout}; it must be at least 0 and below 1")

    @property
    def image_size(self) -> int:
        """Side of the picture this net is meant for."""
        return 32 if self.head == "cifar" else 224

    @property
    def depth(self) -> int:
        """Convolutions and FC layers."""
        return sum(self.stage_convs) + (3 if self.head == "imagenet" else 1)

    @property
    def stage_strides(self) -> tuple[int, ...]:
        """Input pixels per pixel of each stage's output, its pool included."""
        return tuple(2 ** (stage + 1) for stage in range(len(self.stage_convs)))

    def _repr_html_(self) -> str:
        from .shown import network_html

        return network_html(self)

    def convs(self) -> list[list[tuple[int, int]]]:
        """(in_channels, out_channels) of every 3x3 convolution, stage by stage."""
        stages, channels = [], self.in_channels
        for count, out in zip(self.stage_convs, self.stage_channels, strict=True):
            stages.append([(channels, out)] + [(out, out)] * (count - 1))
            channels = out
        return stages

    def fc_layers(self) -> list[tuple[int, int]]:
        """(in_features, out_features) of every FC layer."""
        channels, hidden = self.stage_channels[-1], self.hidden_channels
        if self.head == "cifar":
            return [(channels, self.num_classes)]
        return [(channels * 7 * 7, hidden), (hidden, hidden), (hidden, self.num_classes)]
