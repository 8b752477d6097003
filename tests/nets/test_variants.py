"""Each ablation's block against the plain one where the two must be equal, and its defining formula elsewhere."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reslearn.bundle.file import load, save
from reslearn.bundle.header import Bundle, Member
from reslearn.nets.build import create_model
from reslearn.nets.variants import BLOCKS, WHOLE_NET
from reslearn.spec.catalogue import get_spec
from reslearn.spec.cost import cost
from reslearn.spec.errors import UserError
from reslearn.spec.preprocess import default_preprocess
from reslearn.spec.variant import NUMBERS, parse

SMALL = {"stage_blocks": (2, 1, 1)}
EXAMPLES = [
    "constant_scaling:0.5,1", "exclusive_gate:-6", "shortcut_gate:0", "dropout_shortcut:0.5", "bn_after_addition",
    "relu_before_addition", "relu_only_preactivation", "one_layer", "kernels:3,1,3", "no_norm",
    "no_norm_init:0.01", "init:0.01", "no_affine",
]  # fmt: skip
GATES = ["se_max", "se_no_squeeze", "se_relu", "se_tanh", "se_stage:3", "se_pre", "se_post", "se_identity", "se_3x3"]


def make(variant, name="resnet20_cifar", seed=0, **changes):
    torch.manual_seed(seed)
    return create_model(get_spec(name, **{**SMALL, **changes}, variant=variant))


@pytest.fixture
def images():
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(3))


def test_every_name_has_an_example():
    assert {parse(example)[0] for example in [*EXAMPLES, *GATES]} == set(NUMBERS) == {*BLOCKS, *WHOLE_NET}


STACKED = ("one_layer", "kernels:3,1,3")  # of basic blocks
BOTTLENECKS = [("resnet164_cifar", variant) for variant in EXAMPLES if variant not in STACKED]


@pytest.mark.parametrize(("name", "variant"), [*(("resnet20_cifar", v) for v in EXAMPLES), *BOTTLENECKS])
def test_it_learns(name, variant, images):
    net = make(variant, name)
    logits = net(images)
    assert logits.shape == (4, 10)
    F.cross_entropy(logits, torch.tensor([0, 1, 2, 3])).backward()
    silent = [n for n, p in net.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert silent == []


@pytest.mark.parametrize("variant", ["constant_scaling:1,1", "dropout_shortcut:0"])
def test_a_variant_that_changes_nothing_is_the_plain_block(variant, images):
    assert torch.equal(make(variant)(images), make(None)(images))


def test_half_and_half_scaling_is_the_formula(images):
    net, block = make("constant_scaling:0.5,0.25"), make(None).blocks()[1]
    changed = net.blocks()[1]
    changed.load_state_dict(block.state_dict())
    x = torch.randn(2, 16, 8, 8).relu()
    assert torch.allclose(changed.eval()(x), F.relu(0.5 * x + 0.25 * block.eval().post_transform(x)))


def test_an_open_gate_is_the_identity_and_a_closed_one_shuts(images):
    for variant, f_weight in (("exclusive_gate:0", 0.0), ("shortcut_gate:0", 1.0)):
        block = make(variant).blocks()[1].eval()
        nn.init.zeros_(block.gate_conv.weight)
        x = torch.randn(2, 16, 8, 8).relu()
        f = block.post_transform(x)
        nn.init.constant_(block.gate_conv.bias, -50.0)
        assert torch.allclose(block(x), F.relu(x + f_weight * f), atol=1e-5)
        nn.init.constant_(block.gate_conv.bias, 50.0)
        assert torch.allclose(block(x), F.relu(f), atol=1e-5)


def test_a_gates_bias_starts_where_it_was_told():
    assert all(torch.all(b.gate_conv.bias == -6) for b in make("exclusive_gate:-6").blocks())


def test_orders_of_activation_end_as_figure_4_draws_them(images):
    x = torch.randn(2, 16, 8, 8)
    before = make("relu_before_addition").blocks()[1].eval()
    assert torch.all(before(x) >= x)  # a transform that can only add
    only = make("relu_only_preactivation")
    assert (only.blocks()[0].eval()(x) < 0).any() and torch.all(only.blocks()[-1].eval()(torch.randn(2, 32, 8, 8)) >= 0)
    after = make("bn_after_addition").blocks()[1]
    out = []
    after.norm2.register_forward_hook(lambda m, i, o: out.append((i[0], o)))
    after.train()(x.relu())
    sums, normalised = out[0]
    assert torch.allclose(sums, x.relu() + after.conv2(F.relu(after.norm1(after.conv1(x.relu())))), atol=1e-5)
    assert torch.allclose(normalised.mean((0, 2, 3)), torch.zeros(16), atol=1e-5)


def test_orders_of_activation_move_parameters_but_add_none():
    plain = sum(p.numel() for p in make(None).parameters())
    for name in ("bn_after_addition", "relu_before_addition", "relu_only_preactivation"):
        assert sum(p.numel() for p in make(name).parameters()) == plain


def test_without_bn_there_is_none_and_every_convolution_has_a_bias():
    net = make("no_norm")
    assert not [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(m.bias is not None for m in net.modules() if isinstance(m, nn.Conv2d))
    small = make("no_norm_init:0.01")
    assert float(small.stem.conv.weight.detach().std()) == pytest.approx(0.01, rel=0.1)


def test_units_of_one_layer_make_110_layers_of_108_units(images):
    net = create_model(get_spec("resnet110_cifar", variant="one_layer", stage_blocks=(36, 36, 36), published_depth=110))
    assert sum(isinstance(m, nn.Conv2d) for m in net.modules()) + 1 == 110


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("exclusive_gat:-6", "exclusive_gate"),
        ("exclusive_gate", "exclusive_gate:NUMBER"),
        ("exclusive_gate:a", "exclusive_gate:NUMBER"),
        ("constant_scaling:1", "constant_scaling:NUMBER,NUMBER"),
        ("bn_after_addition:1", "it must be bn_after_addition"),
        ("kernels", "kernels:NUMBER, with up to 4 numbers"),
        ("kernels:2", "1, 3, 5 or 7"),
        ("se_max", "set se_reduction"),
        ("bn_after_addition:a", "it must be bn_after_addition"),
    ],
)
def test_a_wrong_variant_says_what_would_be_right(variant, message):
    with pytest.raises(UserError, match=message):
        make(variant)


def test_a_plain_net_has_no_shortcut_to_change():
    with pytest.raises(UserError, match="has none"):
        make("exclusive_gate:0", "plain20_cifar")
    assert "bn_after_addition" in BLOCKS


def test_a_sealed_variant_opens_like_any_other_network(tmp_path):
    net = make("shortcut_gate:-6").eval()
    preprocess = default_preprocess(net.spec.image_size)
    save(tmp_path / "m.safetensors", [net], Bundle((Member(net.spec),), preprocess))
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(load(tmp_path / "m.safetensors").net(x), net(x))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("resnet164_cifar", {"variant": "kernels:3"}, "this net has bottlenecks"),
        ("se_resnet20_cifar", {"variant": "se_3x3"}, "this net has basic blocks"),
        ("se_resnet20_cifar", {"variant": "se_stage:9"}, "its stages are 2 to 4"),
        ("se_preact_resnet110_cifar", {"variant": "se_pre"}, "post-activation"),
        ("plain20_cifar", {"variant": "se_identity", "se_reduction": 4}, "has none"),
    ],
)
def test_a_net_that_lacks_what_a_variant_changes_is_refused(name, changes, message):
    with pytest.raises(UserError, match=message):
        create_model(name, **changes)


@pytest.mark.parametrize("kernels", ["3", "1,3", "3,1,1", "3,3,3,3"])
@pytest.mark.parametrize("activation", ["pre", "post"])
def test_stacked_blocks_are_counted_as_they_are_built(kernels, activation, images):
    more = {"activation": "pre", "projection_norm": False} if activation == "pre" else {}
    net = make(f"kernels:{kernels}", dropout=0.1, **more)
    sides = [conv.kernel_size[0] for name, conv in net.blocks()[1].named_modules() if name.startswith("conv")]
    assert sides == [int(side) for side in kernels.split(",")]
    assert sum(p.numel() for p in net.parameters()) == cost(net.spec).parameters
    assert net(images).shape == (4, 10)


def test_two_stacked_3x3_are_the_usual_block(images):
    for more in ({}, {"activation": "pre", "projection_norm": False}):
        assert torch.equal(make("kernels:3,3", **more).eval()(images), make(None, **more).eval()(images))


def test_fixed_gamma_and_beta_are_no_parameters_and_stay(images):
    net, usual = make("no_affine"), make(None)
    assert torch.equal(net(images), usual(images))
    assert net.state_dict().keys() == usual.state_dict().keys()
    assert not any("norm" in name for name, _ in net.named_parameters())


@pytest.mark.parametrize(
    "variant",
    ["constant_scaling:nan,1", "exclusive_gate:inf", "shortcut_gate:-inf", "dropout_shortcut:1",
     "dropout_shortcut:-0.1", "dropout_shortcut:nan", "init:0", "no_norm_init:-1", "init:nan"],
)  # fmt: skip
def test_numbers_that_no_block_can_have_are_refused(variant):
    with pytest.raises(UserError, match=f"variant is '{variant}'"):
        parse(variant)
