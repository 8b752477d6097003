"""A small feature pyramid (arXiv 1612.03144) on a residual backbone: maps of one width at four scales.

python examples/feature_pyramid.py resnet50
python examples/feature_pyramid.py resnet50 --output-stride 8      # the last maps stay large, by dilation
"""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import reslearn


class FeaturePyramid(nn.Module):
    """(B, 3, H, W) -> one map (B, width, H / stride, W / stride) per stride of the backbone, shallow to deep.

    Every map of the backbone is brought to `width` channels by a 1x1 convolution; the deeper result, enlarged where
    its map is smaller, is added; a 3x3 convolution smooths the sum. Channels and strides are known beforehand.
    """

    def __init__(self, backbone: nn.Module, width: int = 128):
        super().__init__()
        self.backbone, self.strides = backbone, backbone.strides
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in backbone.channels)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in backbone.channels)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [lateral(m) for lateral, m in zip(self.lateral, self.backbone(x), strict=True)]
        for shallow in reversed(range(len(maps) - 1)):
            maps[shallow] = maps[shallow] + F.interpolate(maps[shallow + 1], size=maps[shallow].shape[-2:])
        return [smooth(m) for smooth, m in zip(self.smooth, maps, strict=True)]


def main() -> None:
    """Build the pyramid, run one picture through it, and print what comes out."""
    parser = argparse.ArgumentParser(description="A feature pyramid on a residual backbone.")
    parser.add_argument("model", nargs="?", default="resnet18", help="a name of `reslearn list`")
    parser.add_argument("--output-stride", type=int, default=32, choices=(8, 16, 32))
    parser.add_argument("--weights", help="a sealed file or another package's weights")
    options = parser.parse_args()
    backbone = reslearn.create_backbone(options.model, options.weights, output_stride=options.output_stride)
    pyramid = FeaturePyramid(backbone).eval()
    with torch.no_grad():
        maps = pyramid(torch.randn(1, 3, 224, 224))
    for channels, stride, m in zip(backbone.channels, backbone.strides, maps, strict=True):
        print(f"stride {stride:>2}: {channels:>4} channels of the backbone -> {tuple(m.shape)}")


if __name__ == "__main__":
    main()
