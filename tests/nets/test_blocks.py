"""The residual block and its parts: gradients, shortcut options, the three forms of ResNeXt, what training draws."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reslearn.nets.blocks import ResidualBlock
from reslearn.nets.build import create_model
from reslearn.nets.layers import DropPath, SqueezeExcitation, conv
from reslearn.nets.shortcut import PadShortcut, build_shortcut
from reslearn.spec.net import NetSpec
from reslearn.spec.stem import ConvSpec


def block_of(index: int = 1, *, block: str = "basic", channels=(4, 6), **fields) -> ResidualBlock:
    """Block `index` of a two-stage net of one block each, in float64: block 1 halves the map and widens it."""
    fields = {"group_width": 2 if block == "bottleneck" else None, "in_channels": 2, "num_classes": 3} | fields
    spec = NetSpec("x", "cifar", channels[0], block, (1, 1), channels, **fields)
    torch.manual_seed(0)
    made = ResidualBlock(spec.blocks()[index]).double()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.5)
    return made


KINDS = {
    "plain": {"shortcut": "none"},
    "A": {"shortcut": "A"},
    "A end": {"shortcut": "A", "pad_channels": "end"},
    "B": {"shortcut": "B"},
    "C": {"shortcut": "C"},
    "bottleneck 1x1": {"block": "bottleneck", "stride_on": "1x1"},
    "bottleneck 3x3": {"block": "bottleneck", "stride_on": "3x3"},
    "resnext": {"block": "bottleneck", "groups": 3, "group_width": 2},
    "se": {"se_reduction": 2},
    "pre": {"activation": "pre", "projection_norm": False},
    "pre A": {"activation": "pre", "shortcut": "A"},
    "pool": {"downsample": "pool"},
    "pre pool": {"downsample": "pool", "activation": "pre", "projection_norm": False},
    "pre bottleneck se": {"activation": "pre", "projection_norm": False, "block": "bottleneck", "se_reduction": 2},
}


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind, index):
    block = block_of(index, **KINDS[kind])
    x = torch.randn(2, 4, 4, 4, dtype=torch.float64, requires_grad=True)
    parameters = tuple(block.parameters())

    assert torch.autograd.gradcheck(lambda x, *_: block(x), (x, *parameters), atol=1e-6)


def test_option_a_subsamples_and_pads_with_zero_channels():
    x = torch.arange(2 * 3 * 4 * 4.0).view(2, 3, 4, 4)
    both = PadShortcut(2, 1, 2)(x)
    assert both.shape == (2, 6, 2, 2)
    assert torch.equal(both[:, 1:4], x[:, :, ::2, ::2])
    assert not both[:, 0].any() and not both[:, 4:].any()
    spec = lambda where: NetSpec("x", "cifar", 4, "basic", (1, 1), (4, 9), shortcut="A", pad_channels=where)  # noqa: E731
    halves = build_shortcut(spec("both").blocks()[1])
    end = build_shortcut(spec("end").blocks()[1])
    assert (halves.front, halves.back, end.front, end.back) == (2, 3, 0, 5)


def test_option_a_does_not_spread_a_bad_value_into_the_padding():
    padded = PadShortcut(1, 1, 1)(torch.full((1, 1, 1, 1), float("nan")))
    assert padded.flatten().isnan().tolist() == [False, True, False]


def test_a_thin_projection_is_torch_s_own():
    ours, theirs = conv(ConvSpec(4, 6, 1, stride=2)), nn.Conv2d(4, 6, 1, stride=2, bias=False)
    theirs.load_state_dict(ours.state_dict())
    assert type(ours) is not nn.Conv2d
    for wide_or_not_strided in (ConvSpec(8, 6, 1, stride=2), ConvSpec(4, 6, 1), ConvSpec(4, 6, 3, stride=2)):
        assert type(conv(wide_or_not_strided)) is nn.Conv2d
    for size in (8, 7):
        x = torch.randn(2, 4, size, size)
        torch.testing.assert_close(ours(x), theirs(x))


THIN = """
import torch
from reslearn.nets.layers import conv
from reslearn.spec.stem import ConvSpec
layer, kept = conv(ConvSpec(4, 8, 1, stride=2)).to(memory_format=torch.channels_last), []
for _ in range(200):
    layer.zero_grad()
    layer(torch.randn(8, 4, 8, 8).to(memory_format=torch.channels_last)).square().sum().backward()
    kept.append([torch.zeros(count) for count in (8, 16, 32, 33)])
"""


def test_a_thin_projection_keeps_to_its_memory_on_any_processor():
    """torch's own, strided, ends with a corrupted heap there."""
    environ = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", THIN], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_block_that_pools_is_its_formula():
    block = block_of(1, downsample="pool").eval()
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    y = F.relu(block.norm1(F.max_pool2d(F.conv2d(x, block.conv1.weight, padding=1), 2)))
    mean = block.shortcut.norm(F.conv2d(F.avg_pool2d(x, 2), block.shortcut.conv.weight))
    assert torch.equal(block(x), F.relu(mean + block.norm2(block.conv2(y))))
    odd = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    assert block(odd).shape == block_of(1)(odd).shape == (2, 6, 3, 3)  # rounded up, as a stride does


@pytest.mark.parametrize("activation", ["post", "pre"])
def test_a_block_is_its_shortcut_plus_its_plain_twin(activation):
    residual = block_of(1, shortcut="A", activation=activation).eval()
    plain = block_of(1, shortcut="none", activation=activation).eval()
    assert plain.load_state_dict(residual.state_dict())  # an option-A net and its plain twin share every parameter
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    if activation == "post":
        raw = plain.post_transform(x)
        assert torch.equal(plain(x), F.relu(raw))
        assert torch.equal(residual(x), F.relu(residual.shortcut(x) + raw))
    else:
        active = F.relu(residual.norm1(x))
        assert torch.equal(residual(x), residual.shortcut(active) + plain(x))


def test_an_identity_of_a_preactivation_net_is_not_activated():
    spec = NetSpec("x", "cifar", 4, "basic", (2,), (4,), activation="pre")
    block = ResidualBlock(spec.blocks()[1]).eval()
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(block(x), x)


def test_the_gate_rescales_before_the_addition():
    block = block_of(1, se_reduction=2, shortcut="A").eval()
    assert isinstance(block.gate, SqueezeExcitation)
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    y = block.post_transform(x)
    squeezed = y.mean((2, 3))
    hidden = F.relu(squeezed @ block.gate.fc1.weight.T + block.gate.fc1.bias)
    scale = torch.sigmoid(hidden @ block.gate.fc2.weight.T + block.gate.fc2.bias)
    expected = F.relu(block.shortcut(x) + y * scale[:, :, None, None])
    torch.testing.assert_close(block(x), expected)


def by_branches(block: ResidualBlock, x: torch.Tensor, *, concatenate: bool) -> torch.Tensor:
    """The transform of a ResNeXt bottleneck as P3 Figure 3 draws it: (a) each branch its own 1x1-3x3-1x1, summed;
    (b) the branches concatenated before one last 1x1. BN stands after the aggregation (P3 footnote)."""
    groups, outputs = block.conv2.groups, []
    width = block.conv2.out_channels // groups
    y = torch.cat([F.conv2d(x, w, stride=block.conv1.stride) for w in block.conv1.weight.split(width)], 1)
    y = F.relu(block.norm1(y))
    for part, weight in zip(y.split(width, 1), block.conv2.weight.split(width), strict=True):
        outputs.append(F.conv2d(part, weight, stride=block.conv2.stride, padding=1))
    y = F.relu(block.norm2(torch.cat(outputs, 1)))
    if concatenate:
        return block.norm3(F.conv2d(y, block.conv3.weight))
    last = zip(y.split(width, 1), block.conv3.weight.split(width, 1), strict=True)
    return block.norm3(torch.stack([F.conv2d(part, weight) for part, weight in last]).sum(0))


@pytest.mark.parametrize("concatenate", [False, True], ids=["a: branches", "b: early concatenation"])
@pytest.mark.parametrize("stride_on", ["1x1", "3x3"])
def test_the_three_forms_of_resnext_are_one_function(concatenate, stride_on):
    block = block_of(1, block="bottleneck", channels=(8, 12), groups=4, group_width=3, stride_on=stride_on)
    x = torch.randn(3, 8, 6, 6, dtype=torch.float64, requires_grad=True)
    grouped, explicit = block.post_transform(x), by_branches(block, x, concatenate=concatenate)
    torch.testing.assert_close(grouped, explicit)
    probe = torch.randn_like(grouped)
    mine = torch.autograd.grad(grouped, [x, *block.parameters()], probe, allow_unused=True)
    theirs = torch.autograd.grad(explicit, [x, *block.parameters()], probe, allow_unused=True)
    for a, b in zip(mine, theirs, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b)


def test_stochastic_depth_drops_samples_while_training_only():
    torch.manual_seed(0)
    drop = DropPath(0.25)
    x = torch.ones(4000, 2, 1, 1)
    y = drop(x)
    assert y.unique().tolist() == pytest.approx([0, 4 / 3])
    assert torch.equal(y[:, 0], y[:, 1])  # whole samples
    assert y.mean() == pytest.approx(1, abs=0.03)
    assert torch.equal(drop.eval()(x), x)


def test_the_gate_stands_inside_stochastic_depth():
    """It sees the transform as it is, and what is kept is scaled up after it."""
    block = block_of(1, se_reduction=2, shortcut="A", drop_path=0.5, activation="pre")
    x = torch.randn(32, block.spec.in_channels, 6, 6, dtype=torch.float64)
    block.norm1.eval(), block.norm2.eval()
    active = F.relu(block.norm1(x))
    gated = block.gate(block.pre_transform(active))
    torch.manual_seed(3)
    added = block(x) - block.shortcut(active if block.spec.shared_preactivation else x)
    kept = added.abs().amax((1, 2, 3)) > 1e-9
    assert 0 < kept.sum() < 32
    torch.testing.assert_close(added[kept], 2 * gated[kept])


@pytest.mark.parametrize("changes", [{"drop_path": 0.5}, {"dropout": 0.5}])
def test_training_draws_come_from_torch_s_generator(changes):
    net = create_model("resnet20_cifar", stage_blocks=(2, 2, 2), **changes)
    x = torch.randn(8, 3, 16, 16)
    torch.manual_seed(5)
    first = net(x)
    torch.manual_seed(5)
    assert torch.equal(net(x), first)
    torch.manual_seed(6)
    assert not torch.equal(net(x), first)
    net.eval()
    assert torch.equal(net(x), net(x))


def test_dropout_stands_between_the_convolutions_of_a_wide_block():
    spec = NetSpec("x", "cifar", 4, "basic", (1,), (8,), activation="pre", projection_norm=False, dropout=0.999)
    block = ResidualBlock(spec.blocks()[0])
    torch.manual_seed(0)
    x = torch.randn(1, 4, 3, 3)
    assert torch.equal(block(x), block.shortcut(x))  # the stem's BN-ReLU serves this unit, and nothing passes dropout
