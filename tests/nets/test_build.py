"""Every name of the catalogue: what is built is what the spec and its cost say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from reslearn.nets import build
from reslearn.nets.build import create_backbone, create_model
from reslearn.nets.layers import PoolingConv2d
from reslearn.spec.catalogue import CATALOGUE, get_spec
from reslearn.spec.cost import cost
from reslearn.spec.errors import UserError
from reslearn.spec.net import NetSpec

LAYERS = (nn.Conv2d, nn.Linear, nn.modules.batchnorm._BatchNorm)


def observed(net: nn.Module, size: int) -> dict[str, tuple[int, int, int]]:
    """Layer name -> (parameters, multiply-adds, elements put out), seen by hooks while one picture passes."""
    seen: dict[str, tuple[int, int, int]] = {}

    def hook(name):
        def see(module, inputs, out):
            if isinstance(module, PoolingConv2d) and module.kernel_size == (3, 3):  # what it puts out before it pools
                out = nn.functional.conv2d(*inputs, module.weight, padding=1)
            per_element = module.weight[0].numel() if isinstance(module, nn.Conv2d | nn.Linear) else 0
            seen[name] = (sum(p.numel() for p in module.parameters()), per_element * out.numel(), out.numel())

        return see

    for name, module in net.named_modules():
        if isinstance(module, LAYERS):
            module.register_forward_hook(hook(name))
    net(torch.empty(1, net.spec.in_channels, size, size, device="meta"))
    return seen


@pytest.mark.parametrize("name", CATALOGUE)
def test_each_layer_of_the_built_net_costs_what_the_arithmetic_says(name):
    spec = get_spec(name)
    with torch.device("meta"):
        net = create_model(name).eval()
    counted = {layer.name: (layer.parameters, layer.macs, layer.activations) for layer in cost(spec).layers}
    assert observed(net, spec.image_size) == counted
    assert sum(p.numel() for p in net.parameters()) == cost(spec).parameters


@pytest.mark.parametrize("name", CATALOGUE)
def test_forward_backward_and_named_features(name, shallow):
    torch.manual_seed(0)
    spec = shallow(get_spec(name))
    net = create_model(spec, num_classes=7)
    size = 8 if spec.image_size == 32 and isinstance(spec, NetSpec) else 32
    x = torch.randn(3, 3, size, size)
    logits = net(x)
    assert logits.shape == (3, 7)
    nn.functional.cross_entropy(logits, torch.tensor([0, 3, 6])).backward()
    for parameter_name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), parameter_name
    net.eval()
    with torch.no_grad():
        features = net.features(x)
        assert torch.equal(features["logits"], net(x))
        backbone = create_backbone(spec)
        maps = backbone.eval()(x)
    assert [m.shape[1] for m in maps] == list(backbone.channels) == list(spec.stage_channels)
    assert [size // m.shape[-1] for m in maps] == list(backbone.strides)
    if isinstance(spec, NetSpec):
        blocks = [block.name for block in spec.blocks()]
        extra = ["norm"] if spec.activation == "pre" else []
        assert list(features) == ["stem", *blocks, *extra, "pool", "logits"]
        assert [features[block.name].shape[1] for block in spec.blocks()] == [b.out_channels for b in spec.blocks()]


@pytest.mark.slow
@pytest.mark.parametrize("name", CATALOGUE)
def test_the_whole_depth_trains_one_step(name):
    torch.manual_seed(0)
    net = create_model(name)
    size = 8 if net.spec.image_size == 32 and isinstance(net.spec, NetSpec) else 32
    nn.functional.cross_entropy(net(torch.randn(2, 3, size, size)), torch.tensor([0, 7])).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"shortcut": "none"},
        {"shortcut": "C", "se_reduction": 4, "drop_path": 0.5},
        {"activation": "pre", "projection_norm": False, "dropout": 0.3},
        {"block": "bottleneck", "group_width": 4, "groups": 4, "stem": "deep"},
        {"stem": "cifar-pool", "first_stride": 2, "downsample": "pool"},
    ],
    ids=str,
)
def test_a_training_graph_has_no_break(changes):
    torch._dynamo.reset()
    with torch.device("meta"):
        net = create_model("resnet20_cifar", stage_blocks=(1, 1, 1), **changes)
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    assert compiled(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 10)


@pytest.mark.parametrize("stem", ["imagenet", "deep", "cifar", "cifar-pool"])
@pytest.mark.parametrize("activation", ["post", "pre"])
def test_stems(stem, activation):
    net = create_model("resnet18", stem=stem, activation=activation, in_channels=5, num_classes=2)
    assert net(torch.randn(2, 5, 64, 64)).shape == (2, 2)
    counted = {layer.name: layer.parameters for layer in cost(net.spec).layers}
    assert sum(counted.values()) == sum(p.numel() for p in net.parameters())
    convs = [name for name in counted if name.startswith("stem") and "conv" in name]
    assert len(convs) == (3 if stem == "deep" else 1)


@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "preact_resnet50", "se_resnext50_32x4d", "resnet50_v1"])
def test_output_stride_keeps_maps_large_and_weights_the_same(name, output_stride):
    changes = {"stage_blocks": (1, 1, 2, 2)}
    with torch.device("meta"):
        backbone = create_backbone(name, output_stride=output_stride, **changes)
        maps = backbone(torch.empty(2, 3, 64, 64))
        usual, dilated = create_model(name, **changes), create_model(name, output_stride=output_stride, **changes)
    assert (
        [64 // m.shape[-1] for m in maps] == list(backbone.strides) == [min(s, output_stride) for s in (4, 8, 16, 32)]
    )
    shapes = [{k: v.shape for k, v in net.state_dict().items()} for net in (usual, dilated)]
    assert shapes[0] == shapes[1]


def test_the_same_seed_gives_the_same_net_and_the_caller_s_fields_are_seen():
    torch.manual_seed(3)
    first = create_model("resnet20_cifar", num_classes=4, shortcut="B", in_channels=1)
    torch.manual_seed(3)
    second = create_model("resnet20_cifar", num_classes=4, shortcut="B", in_channels=1)
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    assert (first.spec.num_classes, first.spec.shortcut, first.spec.in_channels) == (4, "B", 1)
    assert first(torch.randn(2, 1, 28, 28)).shape == (2, 4)


def test_an_unknown_variant_is_named():
    with pytest.raises(UserError, match="unknown variant 'gated'"):
        create_model("resnet20_cifar", variant="gated")
    with pytest.raises(UserError, match="a VGG has no variants"):
        create_model("vgg16", variant="one_layer")


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, OverflowError, TypeError])
def test_a_network_that_cannot_be_built_is_one_line_with_the_reason(monkeypatch, error):
    def refuse(spec):
        raise error("  no room for 8 TB\nmore of it")

    monkeypatch.setattr(build, "ResNet", refuse)
    with pytest.raises(UserError, match=r"^network resnet50: it cannot be built here \(no room for 8 TB\); choose"):
        create_model("resnet50")
