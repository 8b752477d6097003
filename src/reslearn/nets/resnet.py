"""A network of the residual family, read top-down: stem, stages of residual blocks, head."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from ..spec.net import BlockSpec, NetSpec
from ..spec.stem import StemSpec
from .blocks import ResidualBlock
from .init import init_resnet
from .layers import conv, global_pool, norm
from .net import AnyHead, Net


class ResNet(Net):
    """Any `NetSpec`. forward: (B, in_channels, H, W) float -> logits (B, num_classes).

    State dict: stem.conv, stem.norm (after stem.lead in a deep stem); stages.S.I.conv1, .norm1, ...,
    .gate.fc1, .shortcut.conv, .shortcut.norm; norm (pre-activation nets alone); head.fc.
    """

    spec: NetSpec

    def __init__(self, spec: NetSpec, *, block: Callable[[BlockSpec], ResidualBlock] = ResidualBlock):
        super().__init__()
        self.spec = spec
        self.stem = Stem(spec.resolved_stem)
        blocks = [[block(b) for b in spec.blocks() if b.stage == s] for s in range(len(spec.stage_blocks))]
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in blocks))
        self.norm = norm(spec.stage_channels[-1]) if spec.activation == "pre" else None
        self.head = Head(spec.stage_channels[-1], spec.num_classes)
        init_resnet(self, spec.init)
        for made in self.blocks() if spec.zero_init_last_gamma else []:
            made.zero_last_gamma()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.last_norm(self.stages(self.stem(x))))  # type: ignore[no-any-return]

    def blocks(self) -> list[ResidualBlock]:
        """Every block in order."""
        return [cast(ResidualBlock, block) for stage in self.stages for block in cast(nn.Sequential, stage)]

    def last_norm(self, x: Tensor) -> Tensor:
        """The BN-ReLU that closes a pre-activation net; a post-activation net needs none."""
        return x if self.norm is None else F.relu(self.norm(x))

    def walk(self, x: Tensor) -> Iterator[tuple[int, str, Tensor]]:
        """(stage, name, map) of the stem (stage -1), of every block, and of a pre-activation net's closing BN-ReLU."""
        x = self.stem(x)
        yield -1, "stem", x
        for block in self.blocks():
            x = block(x)
            yield block.spec.stage, block.spec.name, x
        if self.norm is not None:
            yield len(self.stages) - 1, "norm", self.last_norm(x)

    def stage_maps(self, x: Tensor) -> list[Tensor]:
        """The map that each stage ends with; the last one as the head would read it."""
        last = {stage: x for stage, _, x in self.walk(x)}
        return [last[stage] for stage in range(len(self.stages))]

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """Named intermediates of one forward pass: `stem`, `stages.S.I` for every block, `norm` (pre-activation nets),
        `pool` (B, C) and `logits`. A stage's output is its last block's."""
        out = {name: x for _, name, x in self.walk(x)}
        x = out[list(out)[-1]]
        return out | {"pool": global_pool(x), "logits": self.head(x)}


class Stem(nn.Module):
    """From pixels to the first stage: stride 4 in all, or 1 or 2 with a CIFAR stem."""

    def __init__(self, spec: StemSpec):
        super().__init__()
        self.spec = spec
        *early, last = spec.convs
        self.lead = nn.Sequential()  # the first two convolutions of a deep stem
        for number, early_conv in enumerate(early, 1):
            self.lead.add_module(f"conv{number}", conv(early_conv))
            self.lead.add_module(f"norm{number}", norm(early_conv.out_channels))
            self.lead.add_module(f"relu{number}", nn.ReLU())
        self.conv = conv(last)
        self.norm = norm(last.out_channels) if spec.norms[-1] else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.lead(x))
        if self.norm is not None:
            x = F.relu(self.norm(x))
        side = self.spec.window
        return F.max_pool2d(x, side, stride=2, padding=side // 2) if side else x


class Head(AnyHead):
    """Global average pool and one FC layer: (B, C, H, W) -> logits (B, num_classes)."""

    def __init__(self, channels: int, num_classes: int):
        super().__init__()
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(global_pool(x))  # type: ignore[no-any-return]

    def everywhere(self, last: Tensor, window: int) -> Tensor:
        """A mean and a linear map: all windows are pooled at once."""
        return self.fc(F.avg_pool2d(last, window, stride=1).flatten(2).transpose(1, 2))  # type: ignore[no-any-return]
