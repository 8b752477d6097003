"""VGG (arXiv 1409.1556): the plain baseline, stages of 3x3 convolutions with a max-pool after each."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ..spec.vgg import VggSpec
from .init import init_vgg
from .layers import global_pool, norm
from .net import AnyHead, Net


class Vgg(Net):
    """Any `VggSpec`. forward: (B, in_channels, H, W) float -> logits (B, num_classes).

    State dict: stages.S.I.conv, stages.S.I.norm; head.fc1, head.fc2 (ImageNet head), head.fc.
    """

    spec: VggSpec

    def __init__(self, spec: VggSpec):
        super().__init__()
        self.spec = spec
        stages = [[VggLayer(i, o, batch_norm=spec.batch_norm) for i, o in stage] for stage in spec.convs()]
        self.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        self.head = VggHead(spec)
        init_vgg(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stage_maps(x)[-1])  # type: ignore[no-any-return]

    def stage_maps(self, x: Tensor) -> list[Tensor]:
        """The map that each stage ends with, after its 2x2 max-pool."""
        maps = []
        for stage in self.stages:
            x = F.max_pool2d(stage(x), kernel_size=2, stride=2)
            maps.append(x)
        return maps

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """Named intermediates of one forward pass: `stages.S` for every stage (pooled), `logits`."""
        out = {f"stages.{s}": stage_map for s, stage_map in enumerate(self.stage_maps(x))}
        out["logits"] = self.head(out[f"stages.{len(self.stages) - 1}"])
        return out


class VggLayer(nn.Module):
    """3x3 convolution with bias, BN where the spec has it, ReLU. (B, in, H, W) -> (B, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, *, batch_norm: bool):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm = norm(out_channels) if batch_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class VggHead(AnyHead):
    """ImageNet: pool to 7x7, then FC-ReLU-dropout twice and one FC. CIFAR: global pool and one FC."""

    def __init__(self, spec: VggSpec):
        super().__init__()
        *hidden, last = spec.fc_layers()
        self.hidden = bool(hidden)
        if self.hidden:
            self.fc1, self.fc2 = (nn.Linear(i, o) for i, o in hidden)
        self.fc = nn.Linear(*last)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, x: Tensor) -> Tensor:
        if not self.hidden:
            return self.fc(global_pool(x))  # type: ignore[no-any-return]
        x = F.adaptive_avg_pool2d(x, 7).flatten(1)
        for fc in (self.fc1, self.fc2):
            x = self.dropout(F.relu(fc(x)))
        return self.fc(x)  # type: ignore[no-any-return]
