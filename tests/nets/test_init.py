"""First weights: He's variances, uniform FC, gamma 1 and beta 0, and the last gamma where asked."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from reslearn.nets.build import create_model


@pytest.mark.parametrize(("mode", "factor"), [("fan_out", 1), ("fan_in", 2)])
def test_convolutions_have_he_s_standard_deviation(mode, factor):
    torch.manual_seed(0)
    net = create_model("resnet18", stage_blocks=(1, 1, 1, 1), init=mode)
    conv = net.stages[3][0].conv1.weight  # 256 -> 512, 3x3: fan-in is half of fan-out
    assert conv.std().item() == pytest.approx(math.sqrt(2 * factor / (9 * 512)), rel=0.01)
    assert abs(conv.mean().item()) < 1e-4


def test_fc_and_batch_norm():
    net = create_model("resnet18")
    bound = 1 / math.sqrt(512)
    assert net.head.fc.weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    assert not net.head.fc.bias.any()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.weight.eq(1).all() and module.bias.eq(0).all() and module.eps == 1e-5


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_net_with_zero_last_gamma_starts_as_its_shortcuts(name):
    torch.manual_seed(0)
    net = create_model(name, zero_init_last_gamma=True)
    x = torch.rand(2, net.stages[0][1].spec.in_channels, 8, 8)
    assert torch.equal(net.stages[0][1](x), x)
    lasts = [block.norm3 if name == "resnet50" else block.norm2 for block in net.blocks()]
    assert all(not last.weight.any() for last in lasts)
    assert net.stages[1][0].shortcut.norm.weight.eq(1).all()


def test_the_signal_keeps_its_size_through_a_plain_net():
    """1502.01852 section 2.2: without BN, the variance neither explodes nor vanishes over the layers."""
    torch.manual_seed(0)
    net = create_model("plain20_cifar", stage_channels=(64, 64, 64), stem_channels=64, init="fan_in").eval()
    features = net.features(torch.randn(4, 3, 32, 32))
    first, last = features["stem"].square().mean(), features["stages.2.2"].square().mean()
    assert 0.1 < (last / first).item() < 10
