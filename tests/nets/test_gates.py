"""P4's other gates against their formulas, built from the parts of the usual block; counted as they are built."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reslearn.nets.build import create_model
from reslearn.nets.init import init_resnet
from reslearn.nets.layers import SqueezeExcitation
from reslearn.spec.catalogue import get_spec
from reslearn.spec.cost import cost

SMALL = {"stage_blocks": (2, 1, 1), "se_reduction": 4}
GATES = ("se_max", "se_no_squeeze", "se_relu", "se_tanh", "se_stage:2", "se_pre", "se_post", "se_identity", "se_3x3")


def block_of(variant, name="resnet164_cifar"):
    """The second block of a small net, in evaluation mode, with statistics of its own."""
    torch.manual_seed(1)
    net = create_model(name, variant=variant, **SMALL)
    net(torch.randn(8, 3, 8, 8))
    return net.blocks()[1].eval()


def excitation(gate, x, squeeze=lambda x: x.mean((2, 3)), last=torch.sigmoid):
    weights = [gate.fc1.weight, gate.fc1.bias, gate.fc2.weight, gate.fc2.bias]
    hidden = F.relu(squeeze(x) @ weights[0].T + weights[1])
    return last(hidden @ weights[2].T + weights[3])[:, :, None, None]


@pytest.fixture
def x():
    return torch.randn(2, 64, 8, 8, generator=torch.Generator().manual_seed(5)).relu()


@pytest.mark.parametrize("variant", [None, *GATES])
@pytest.mark.parametrize("name", ["resnet164_cifar", "resnet50"])
def test_parameters_are_counted_and_learn(variant, name):
    net = create_model(
        name, variant=variant, num_classes=10, **(SMALL | {"stage_blocks": (2, 1, 1, 1)[: 3 if "cifar" in name else 4]})
    )
    assert sum(p.numel() for p in net.parameters()) == cost(net.spec).parameters
    net(torch.randn(2, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize(
    ("variant", "how"),
    [
        (None, {}),
        ("se_max", {"squeeze": lambda x: x.flatten(2).max(2).values}),
        ("se_relu", {"last": F.relu}),
        ("se_tanh", {"last": torch.tanh}),
    ],
)
def test_squeeze_and_function(variant, how, x):
    block = block_of(variant)
    y = block.post_transform(x)
    assert torch.allclose(block(x), F.relu(x + y * excitation(block.gate, y, **how)), atol=1e-5)


def test_without_a_squeeze_each_position_has_its_own_gate(x):
    block = block_of("se_no_squeeze")
    y = block.post_transform(x)
    one = y[:, :, 3:4, 5:6]  # a map of one position is its own mean
    assert torch.allclose(block.gate(y)[:, :, 3:4, 5:6], one * excitation(block.gate, one), atol=1e-6)


def test_places_as_figure_5_draws_them(x):
    before, after, shortcut, inside = (block_of(f"se_{name}") for name in ("pre", "post", "identity", "3x3"))
    assert torch.allclose(before(x), F.relu(x + before.post_transform(x * excitation(before.gate, x))), atol=1e-5)
    summed = F.relu(x + after.post_transform(x))
    assert torch.allclose(after(x), summed * excitation(after.gate, summed), atol=1e-5)
    gated = x * excitation(shortcut.gate, x)
    assert torch.allclose(shortcut(x), F.relu(gated + shortcut.post_transform(x)), atol=1e-5)
    y = F.relu(inside.norm2(inside.conv2(F.relu(inside.norm1(inside.conv1(x))))))
    y = inside.norm3(inside.conv3(y * excitation(inside.gate, y)))
    assert torch.allclose(inside(x), F.relu(x + y), atol=1e-5)
    assert inside.gate.fc1.in_features == 16  # of the 3x3, not of the block


def test_gates_in_one_stage_alone():
    net = create_model("resnet164_cifar", variant="se_stage:3", **SMALL)
    assert [isinstance(b.gate, nn.Identity) for b in net.blocks()] == [True, True, False, True]


def test_the_gates_of_the_papers_net_count_as_it_prints():
    r50 = {"stride_on": "1x1", "se_bias": False}
    assert round(cost(get_spec("se_resnet50", variant="se_no_squeeze", **r50)).macs / 1e9, 2) == 4.27  # P4 table 16
    for stage, printed in ((2, 25.6), (3, 25.7)):  # P4 table 13
        spec = get_spec("se_resnet50", variant=f"se_stage:{stage}", **r50)
        assert round(cost(spec).parameters / 1e6, 1) == printed


def test_gates_start_as_p4_says():
    """1502.01852 for all layers: variance 2 / fan-in, zero bias."""
    torch.manual_seed(0)
    net = create_model("se_resnet18", num_classes=10)
    init_resnet(net, "fan_out")
    gate = next(m for m in reversed(list(net.modules())) if isinstance(m, SqueezeExcitation))
    for fc in (gate.fc1, gate.fc2):
        assert float(fc.weight.detach().std()) == pytest.approx((2 / fc.in_features) ** 0.5, rel=0.05)
        assert not fc.bias.any()
