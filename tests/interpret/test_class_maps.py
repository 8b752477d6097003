"""Class maps of every kind of network, against captum's, and against what they must add up to."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from reslearn.bundle.combine import CombinedNet
from reslearn.interpret.class_maps import class_maps, enlarged, grain, map_plan, occlusion, windows
from reslearn.interpret.map_layers import default_layer, map_layers
from reslearn.nets.build import create_model
from reslearn.spec.catalogue import CATALOGUE
from reslearn.spec.errors import UserError

_spec = importlib.util.spec_from_file_location("small_nets", Path(__file__).with_name("small_nets.py"))
nets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(nets)

CLASSES = torch.tensor([3, 0, 7])


def maps_of(net, **how):
    return class_maps(nets.scorer_of(net), map_plan(net, 32, **how), nets.pictures(), CLASSES)


def normalised(net):
    return nets.scorer_of(net).normalise(nets.pictures()).contiguous()


def close(ours, theirs, within=1e-5):
    """As relative as maps can be compared: to the largest value of each picture's map."""
    scale = theirs.flatten(1).abs().amax(1).view(-1, 1, 1)
    assert (scale > 0).all()
    gap = ((ours - theirs).abs() / scale).max()
    assert gap < within, float(gap)


@pytest.fixture
def captum():
    return pytest.importorskip("captum.attr", reason="needs captum: pip install captum")


@pytest.mark.parametrize("kind", nets.KINDS)
def test_gradcam_is_captums(kind, captum):
    net = nets.small_net(kind)
    for layer in (None, map_layers(net.spec)[1]):
        plan = map_plan(net, 32, method="gradcam", layer=layer)
        [name] = plan.layers
        ours = class_maps(nets.scorer_of(net), plan, nets.pictures(), CLASSES)
        at_head = name == "norm" or (layer is None and "VGG" not in kind)
        module = net.head if at_head else net.get_submodule(name)
        theirs = captum.LayerGradCam(net, module).attribute(
            normalised(net), target=CLASSES, attribute_to_layer_input=at_head
        )
        close(ours, enlarged(theirs[:, 0].detach(), 32, 32))


@pytest.mark.parametrize("kind", [kind for kind in nets.KINDS if "VGG" not in kind])
def test_behind_a_mean_and_one_layer_cam_is_gradcam_and_adds_up_to_the_logit(kind, captum):
    net = nets.small_net(kind)
    plan = map_plan(net, 32, method="cam")
    assert plan.method == map_plan(net, 32).method == "cam"
    close(maps_of(net, method="cam"), maps_of(net, method="gradcam"), 1e-5)
    [maker] = plan.makers
    x = normalised(net)
    logits = net(x).gather(1, CLASSES[:, None])[:, 0] - net.head.fc.bias[CLASSES]
    assert torch.allclose(maker(net, x, CLASSES).sum((1, 2)), logits, atol=1e-5)


@pytest.mark.parametrize("kind", ["post-activation", "pre-activation", "VGG", "VGG with hidden layers"])
def test_occlusion_is_captums(kind, captum):
    net = nets.small_net(kind)
    window, stride = windows(32)
    theirs = captum.Occlusion(net).attribute(
        normalised(net), (3, window, window), strides=(3, stride, stride), target=CLASSES, baselines=0
    )
    close(maps_of(net, method="occlusion"), theirs[:, 0].detach())
    odd = normalised(net)[..., :30, :30].contiguous()
    window, stride = windows(30)
    theirs = captum.Occlusion(net).attribute(odd, (3, window, window), strides=(3, stride, stride), target=CLASSES)
    close(occlusion(net, odd, CLASSES), theirs[:, 0].detach())


class GuidedReLU(torch.autograd.Function):
    """1412.6806, equation for the backward pass, written out."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient):
        [x] = ctx.saved_tensors
        return gradient * (x > 0) * (gradient > 0)


@pytest.mark.parametrize("kind", nets.KINDS)
def test_guided_gradients_go_back_through_every_relu(kind, captum, monkeypatch):
    net = nets.small_net(kind)
    ours = maps_of(net, method="guided")
    before = [(name, value.clone()) for name, value in net.state_dict().items()]
    monkeypatch.setattr(F, "relu", GuidedReLU.apply)
    x = normalised(net).requires_grad_()
    net(x).gather(1, CLASSES[:, None]).sum().backward()
    close(ours, x.grad.abs().sum(1))
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in before)


@pytest.mark.parametrize("kind", ["post-activation", "pre-activation", "VGG with hidden layers"])
def test_integrated_gradients_add_up_to_what_the_picture_changes(kind, captum):
    net = nets.small_net(kind).double()
    plan = map_plan(net, 32, method="integrated-gradients")
    [maker] = plan.makers
    x = normalised(net).double()
    change = (net(x) - net(torch.zeros_like(x))).gather(1, CLASSES[:, None])[:, 0]
    assert torch.allclose(maker(net, x, CLASSES).sum((1, 2)), change, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("method", ["cam", "gradcam", "occlusion", "guided", "integrated-gradients"])
@pytest.mark.parametrize("combine", ["softmax", "logits"])
def test_an_ensembles_map_is_the_weighted_mean_of_its_members(method, combine, captum):
    members = [nets.small_net(kind, seed) for seed, kind in enumerate(("post-activation", "wide", "ImageNet stem"))]
    both = CombinedNet(members, weights=[1.0, 3.0, 0.0], combine=combine).eval()
    wanted = (maps_of(members[0], method=method) + 3 * maps_of(members[1], method=method)) / 4
    close(maps_of(both, method=method), wanted)
    assert len(map_plan(both, 32, method=method).layers) == 2


def test_layers_come_from_the_spec():
    for spec in CATALOGUE.values():
        assert default_layer(spec, spec.image_size) in map_layers(spec)
    assert default_layer(CATALOGUE["resnet50"], 224) == "stages.3.2"
    assert default_layer(CATALOGUE["preact_resnet50"], 224) == "norm"
    assert default_layer(CATALOGUE["vgg16"], 224) == "stages.4.2"
    assert default_layer(CATALOGUE["vgg16_cifar"], 32) == "stages.3.2"  # the next one has 2 x 2 places


def test_names_of_layers_are_modules_and_a_stage_stands_for_its_last_block():
    for kind in nets.KINDS:
        net = nets.small_net(kind)
        assert all(net.get_submodule(name) is not None for name in map_layers(net.spec))
        last = [name for name in map_layers(net.spec) if name.startswith("stages.1.")][-1]
        assert map_plan(net, 32, layer="stages.1").layers == (last,)


def test_what_does_not_fit_is_said():
    net = nets.small_net("post-activation")
    with pytest.raises(UserError, match=r"unknown layer of .*'stages\.9'.*stages\.0\.0"):
        map_plan(net, 32, layer="stages.9")
    with pytest.raises(UserError, match="cam reads the last map; --method gradcam"):
        map_plan(net, 32, method="cam", layer="stages.1")
    with pytest.raises(UserError, match="head has more; use --method gradcam"):
        map_plan(nets.small_net("VGG with hidden layers"), 32, method="cam")
    with pytest.raises(UserError, match="one place"):
        map_plan(create_model("vgg16_cifar"), 32, method="cam")
    with pytest.raises(UserError, match="valid: 'cam'"):
        map_plan(net, 32, method="magic")
    assert map_plan(create_model("vgg16_cifar"), 32).method == "gradcam"


def test_looking_changes_nothing():
    net = nets.small_net("post-activation").train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    maps_of(net, method="gradcam", layer="stages.0.0")
    assert net.training and all(torch.equal(value, net.state_dict()[name]) for name, value in before.items())
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("method, places", [("cam", 16), ("gradcam", 16), ("occlusion", 7), ("guided", 32)])
def test_random_rivals_are_as_coarse_as_the_maps(method, places, captum):
    net = nets.small_net("post-activation")
    assert grain(map_plan(net, 32, method=method), nets.scorer_of(net), 32) == places
