"""VGG, the plain baseline of the residual papers (arXiv 1409.1556, Table 1). No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .rule import Count, Dropped, check_fields
from .rules import check_stages


@dataclass(frozen=True)
class VggSpec:
    """Stages of 3x3 convolutions (with bias), each followed by ReLU and each stage by a 2x2 max-pool; then the head."""

    name: str
    stage_convs: tuple[int, ...]  # convolutions in each stage
    stage_channels: tuple[int, ...] = (64, 128, 256, 512, 512)
    batch_norm: bool = False  # BN between convolution and ReLU; the convolution keeps its bias
    head: Literal["imagenet", "cifar"] = "imagenet"  # pool to 7x7 and three FC, or global pool and one FC
    hidden_channels: Count = 4096  # of the two hidden FC layers
    dropout: Dropped = 0.5  # after each hidden FC layer
    in_channels: Count = 3
    num_classes: Count = 1000
    variant: str | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        check_stages("stage_convs", self.stage_convs, self.stage_channels)

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
