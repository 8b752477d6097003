"""The few layers every network here is made of. All maps are (B, C, H, W), all vectors (B, C)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..spec.net import BlockSpec
from ..spec.stem import ConvSpec


def conv(spec: ConvSpec) -> nn.Conv2d:
    """(B, in, H, W) -> (B, out, H / stride, W / stride), rounded up. No bias: BN follows or has gone before."""
    thin = spec.kernel == 1 and spec.stride > 1 and spec.in_channels < 8
    return (PoolingConv2d if spec.pool > 1 else ThinConv2d if thin else nn.Conv2d)(
        spec.in_channels,
        spec.out_channels,
        spec.kernel,
        stride=spec.stride,
        padding=spec.dilation * (spec.kernel // 2),
        dilation=spec.dilation,
        groups=spec.groups,
        bias=False,
    )


class ThinConv2d(nn.Conv2d):
    """A strided 1x1 convolution of less than 8 channels, which picks its pixels itself.

    On processors without AVX-512, oneDNN writes beyond its buffers in the weights' gradient of one that is laid out
    channels last (torch 2.13).
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x[:, :, :: self.stride[0], :: self.stride[1]], self.weight, self.bias, groups=self.groups)


class PoolingConv2d(nn.Conv2d):
    """A convolution that halves the map by pooling: a 1x1 reads means, a larger one leaves its largest values."""

    def forward(self, x: Tensor) -> Tensor:
        if self.kernel_size == (1, 1):
            return super().forward(F.avg_pool2d(x, 2, ceil_mode=True))
        return F.max_pool2d(super().forward(x), 2, ceil_mode=True)


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation (1502.03167) with a trained scale gamma and shift beta per channel."""
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)


def norms(net: nn.Module) -> list[_BatchNorm]:
    """The batch-normalisation layers of `net`."""
    return [layer for layer in net.modules() if isinstance(layer, _BatchNorm)]


def global_pool(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C): the mean over all positions."""
    return x.mean(dim=(2, 3))


class SqueezeExcitation(nn.Module):
    """P4: rescale each channel by a gate in 0..1 computed from all channels' means. (B, C, H, W) -> the same."""

    def __init__(self, block: BlockSpec):
        super().__init__()
        gated, hidden = block.gated_channels or block.out_channels, block.gate_channels or 1
        self.fc1 = nn.Linear(gated, hidden, bias=block.gate_bias)
        self.fc2 = nn.Linear(hidden, gated, bias=block.gate_bias)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.excitation(self.squeeze(x))[:, :, None, None]

    def squeeze(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C)."""
        return global_pool(x)

    def excitation(self, squeezed: Tensor) -> Tensor:
        """(B, C) -> the gate of each channel, (B, C) in 0..1."""
        return torch.sigmoid(self.fc2(F.relu(self.fc1(squeezed))))


class DropPath(nn.Module):
    """Stochastic depth (1603.09382): while training, drop whole samples with probability `p`, scale the others up."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        keep = 1 - self.p
        return x * (x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(keep) / keep)
