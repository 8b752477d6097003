"""Weights in and out: lists of other packages' tensors, files of other people, and everything that can be wrong."""

from __future__ import annotations

import json
import pickle
import tarfile
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch

from reslearn.nets.build import create_backbone, create_model, model_from_contents
from reslearn.nets.layouts import LAYOUTS, layer_name, why_not
from reslearn.nets.state_files import Contents, read_contents, write_state
from reslearn.nets.weights import adapt_input, export_state, fit_contents, load_weights
from reslearn.spec.catalogue import CATALOGUE, get_spec
from reslearn.spec.cost import cost
from reslearn.spec.errors import UserError

# (list, its name there, ours, changed fields)
SAME = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_64x4d"]
LISTED = [
    *(("torchvision", name, name, {}) for name in [*SAME, "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2"]),
    *(
        ("torchvision", name, name, {})
        for name in ["vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg16_bn", "vgg19_bn"]
    ),
    *(("timm", name, name, {}) for name in [*SAME, "resnext101_32x4d", "wide_resnet50_2"]),
    *(("timm", f"seresnet{d}", f"se_resnet{d}", {"se_min_channels": 8}) for d in (18, 34)),
    *(("timm", f"seresnet{d}", f"se_resnet{d}", {}) for d in (50, 101, 152)),
    *(("timm", f"seresnext{d}_32x4d", f"se_resnext{d}_32x4d", {}) for d in (50, 101)),
    *(("timm", f"resnetv2_{d}", f"preact_resnet{d}", {"first_norm": "after_pool"}) for d in (50, 101)),
]
SUPPORTED = [(name, layout) for name in CATALOGUE for layout in LAYOUTS if why_not(CATALOGUE[name], layout) is None]


@pytest.fixture(scope="module")
def listed(shared_data):
    """listed(package, name) -> {tensor name: shape} of that package's network."""
    nets = {
        package: json.loads(shared_data(f"keys/{package}.json").read_text())["nets"]
        for package in ("torchvision", "timm")
    }
    return lambda package, name: nets[package][name]


def meta(name, **changes):
    with torch.device("meta"):
        return create_model(name, **changes)


@pytest.mark.parametrize(
    ("package", "theirs", "ours", "changes"), LISTED, ids=lambda v: v if isinstance(v, str) else ""
)
def test_names_and_shapes_equal_the_package_s(listed, package, theirs, ours, changes):
    exported = export_state(meta(ours, **changes), package)
    assert {name: list(tensor.shape) for name, tensor in exported.items()} == listed(package, theirs)


def test_every_list_is_tested(shared_data):
    for package in ("torchvision", "timm"):
        nets = json.loads(shared_data(f"keys/{package}.json").read_text())["nets"]
        assert {theirs for where, theirs, _, _ in LISTED if where == package} == set(nets)


@pytest.mark.parametrize(
    ("package", "theirs", "ours", "changes"),
    [entry for entry in LISTED if entry[1] in ("resnet18", "resnext50_32x4d", "vgg11_bn", "seresnet18", "resnetv2_50")],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_random_tensors_of_a_package_load_without_one_left_over(listed, tmp_path, package, theirs, ours, changes):
    torch.manual_seed(0)
    state = {name: torch.rand(shape) if shape else torch.tensor(3) for name, shape in listed(package, theirs).items()}
    if ours.startswith("vgg"):  # the hidden FC layers are 400 MB of nothing new
        state["classifier.0.weight"] = state["classifier.0.weight"][:32].clone()
        state["classifier.0.bias"] = state["classifier.0.bias"][:32].clone()
        state["classifier.3.weight"], state["classifier.3.bias"] = torch.rand(32, 32), torch.rand(32)
        state["classifier.6.weight"] = torch.rand(1000, 32)
        changes = {"hidden_channels": 32}
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    net = create_model(ours, weights=path, **changes)
    back = export_state(net, package)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


@pytest.mark.parametrize(("name", "layout"), SUPPORTED)
def test_a_round_trip_is_bit_identical(name, layout, shallow):
    torch.manual_seed(0)
    net = meta(shallow(get_spec(name)))
    original = {key: torch.rand(like.shape) for key, like in net.state_dict().items()}
    net.load_state_dict(original, assign=True)
    fitted = fit_contents(Contents("here", {"": export_state(net, layout)}), net)
    assert fitted.notes == ()
    assert fitted.state.keys() == original.keys()
    assert all(torch.equal(fitted.state[key], original[key]) for key in original)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layer_of_every_name_has_a_name_of_its_own(layout):
    for spec in (get_spec(name) for name, where in SUPPORTED if where == layout):
        layers = [layer.name for layer in cost(spec).layers]
        assert len({layer_name(layer, spec, layout) for layer in layers}) == len(layers)


@pytest.mark.parametrize(
    ("file", "name", "right"), [("20-12fca82f", "resnet20_cifar", 932), ("44-014dd654", "resnet44_cifar", 950)]
)
def test_published_cifar_weights_score_as_published(shared_data, file, name, right):
    with tarfile.open(shared_data("cifar10-lossless-mini.tar.gz")) as archive:
        member = next(m for m in archive.getmembers() if m.name.endswith("test_batch"))
        batch = pickle.loads(archive.extractfile(member).read(), encoding="bytes")
    x = torch.from_numpy(np.asarray(batch[b"data"])).view(-1, 3, 32, 32) / 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    net = create_model(name, weights=shared_data(f"weights/resnet{file}.th")).eval()
    with torch.no_grad():
        labels = torch.cat([net(part).argmax(1) for part in ((x - mean) / std).split(256)])
    assert len(labels) == 1017
    assert (labels == torch.tensor(batch[b"labels"])).sum().item() == right


@pytest.fixture(scope="module")
def tiny():
    """A small net and its state in akamaster's names."""
    torch.manual_seed(0)
    net = create_model("resnet20_cifar", stage_blocks=(1, 1, 1))
    return net, export_state(net, "akamaster")


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "net", "model_state_dict", "state", None])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_wrappers_and_prefixes_come_off(tiny, tmp_path, wrapper, prefix):
    net, state = tiny
    inner = OrderedDict((prefix + name, tensor) for name, tensor in state.items())
    torch.save({wrapper: inner, "epoch": 3, "best": 0.9} if wrapper else inner, tmp_path / "w.th")
    loaded = create_model(net.spec, weights=tmp_path / "w.th")
    assert all(torch.equal(a, b) for a, b in zip(loaded.state_dict().values(), net.state_dict().values(), strict=True))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_files_of_both_kinds_are_written_and_read(tiny, tmp_path, suffix):
    _, state = tiny
    write_state(tmp_path / f"w{suffix}", state)
    back = read_contents(tmp_path / f"w{suffix}").groups[""]
    assert back.keys() == state.keys() and all(torch.equal(back[name], state[name]) for name in state)


def test_another_class_count_starts_the_head_afresh(tiny):
    net, state = tiny
    other = create_model(net.spec, num_classes=4)
    fitted = fit_contents(Contents("f", {"": state}), other)
    assert "head.fc.weight" not in fitted.state and "head.fc.bias" not in fitted.state
    assert fitted.fresh == "head.fc" and fitted.notes == ("the head starts afresh: 10 -> 4 classes (linear)",)


def test_the_class_count_and_channels_of_a_file_can_be_taken_over(tiny, tmp_path):
    torch.manual_seed(0)
    net = create_model(tiny[0].spec, num_classes=7, in_channels=1)
    write_state(tmp_path / "w.pth", export_state(net, "akamaster"))
    loaded, fitted = model_from_contents(tiny[0].spec, read_contents(tmp_path / "w.pth"))
    assert (loaded.spec.num_classes, loaded.spec.in_channels, fitted.notes) == (7, 1, ())
    x = torch.randn(2, 1, 16, 16)
    assert torch.equal(loaded.eval()(x), net.eval()(x))


def test_a_grey_net_answers_on_grey_pictures_as_the_colour_net_did(tiny):
    net, state = tiny
    grey = create_model(net.spec, in_channels=1)
    fitted = fit_contents(Contents("f", {"": state}), grey)
    assert fitted.notes == ("conv1.weight: adapted from 3 to 1 input channels",)
    grey.load_state_dict(fitted.state)
    x = torch.randn(2, 1, 16, 16)
    torch.testing.assert_close(grey.eval()(x), net.eval()(x.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize(("had", "wanted"), [(3, 1), (3, 4), (3, 8), (1, 3), (3, 2)])
def test_adapting_keeps_the_answer_to_equal_channels(had, wanted):
    weight = torch.randn(4, had, 3, 3, dtype=torch.float64)
    adapted = adapt_input(weight, wanted)
    assert adapted.shape == (4, wanted, 3, 3)
    if wanted % had == 0 or wanted == 1:
        torch.testing.assert_close(adapted.sum(1), weight.sum(1))


def altered(state, **changes):
    return {name: tensor for name, tensor in {**state, **changes}.items() if tensor is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer2.0.conv1.weight": None}, "lacks layer2.0.conv1.weight"),
        ({"layer9.0.conv1.weight": torch.zeros(1)}, "has besides layer9.0.conv1.weight"),
        ({"layer2.0.conv1.weight": torch.zeros(32, 16, 1, 1)}, r"has shape \(32, 16, 1, 1\).* needs \(32, 16, 3, 3\)"),
        ({"linear.weight": torch.zeros(10, 7)}, r"linear.weight has shape \(10, 7\)"),
        ({"bn1.running_var": None}, "lacks bn1.running_var"),
    ],
)  # fmt: skip
def test_a_tensor_that_does_not_fit_is_named(tiny, changes, message):
    net, state = tiny
    with pytest.raises(UserError, match=message):
        fit_contents(Contents("f", {"": altered(state, **changes)}), create_model(net.spec))


def test_files_before_batch_counters_load(tiny):
    net, state = tiny
    old = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    assert fit_contents(Contents("f", {"": old}), net).layout in ("akamaster", "kuangliu")


def test_a_layout_that_cannot_hold_the_net_says_why(listed):
    state = {name: torch.empty(shape, device="meta") for name, shape in listed("timm", "resnetv2_50").items()}
    with pytest.raises(
        UserError, match=r"timm's layout, which cannot hold preact_resnet50: .*set first_norm=after_pool"
    ):
        fit_contents(Contents("f", {"": state}), meta("preact_resnet50"))
    with pytest.raises(UserError, match=r"kuangliu's layout cannot hold preact_resnet110_cifar: .*omits the BN-ReLU"):
        export_state(meta("preact_resnet110_cifar", shortcut="B"), "kuangliu")
    with pytest.raises(UserError, match="torchvision's layout cannot hold se_resnet18"):
        export_state(meta("se_resnet18"), "torchvision")
    with pytest.raises(
        UserError, match="kuangliu's layout cannot hold resnet20_cifar: its shortcuts are option B, not A"
    ):
        export_state(meta("resnet20_cifar"), "kuangliu")
    with pytest.raises(
        UserError, match="akamaster's layout cannot hold plain20_cifar: its shortcuts are option A or B"
    ):
        export_state(meta("plain20_cifar"), "akamaster")
    with pytest.raises(UserError, match="layout is 'keras'; valid: 'reslearn'"):
        export_state(meta("resnet18"), "keras")


class Evil:
    def __reduce__(self):
        return print, ("this must never be printed",)


def test_a_pickle_that_would_run_code_is_refused_with_the_reason(tmp_path, capfd):
    torch.save({"state_dict": {"conv1.weight": torch.zeros(1)}, "args": Evil()}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"refused, because reading it would run code \(.*print\)"):
        read_contents(tmp_path / "w.pth")
    assert "never" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a PyTorch or safetensors file, or a damaged one"),
        (b"hello, this is text", "not a PyTorch or safetensors file, or a damaged one"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{", "not a whole safetensors file"),
        (b"PK\x03\x04 cut off", "not a PyTorch or safetensors file, or a damaged one"),
    ],
)
def test_a_file_that_is_no_weights_is_one_line(tmp_path, content, message):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_contents(tmp_path / "w.pth")
    assert "\n" not in str(caught.value)


def test_other_wrong_files(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_contents(tmp_path / "absent.pth")
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(UserError, match="holds no tensors"):
        read_contents(tmp_path / "w.pth")
    torch.save(torch.zeros(3), tmp_path / "w.pth")
    with pytest.raises(UserError, match="holds a Tensor, not a state dict"):
        read_contents(tmp_path / "w.pth")
    torch.save({"a.weight": torch.zeros(3), "b.weight": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"a\.weight and the other names fit no known layout of resnet20_cifar"):
        load_weights(create_model("resnet20_cifar", stage_blocks=(1, 1, 1)), tmp_path / "w.pth")


def test_a_backbone_takes_weights_too(tiny, tmp_path):
    net, state = tiny
    torch.save(state, tmp_path / "w.pth")
    backbone = create_backbone(net.spec, weights=tmp_path / "w.pth").eval()
    x = torch.randn(1, 3, 16, 16)
    maps = backbone(x)
    features = net.eval().features(x)
    assert [torch.equal(m, features[f"stages.{s}.0"]) for s, m in enumerate(maps)] == [True] * 3


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("conv1.weight", lambda t: t * float("nan"), "conv1.weight holds NaN or infinity (432 of 432 numbers)"),
        ("linear.bias", lambda t: t.index_fill(0, torch.tensor(0), float("inf")), "NaN or infinity (1 of 2 numbers)"),
        ("layer1.0.bn1.running_var", lambda t: -t, "layer1.0.bn1.running_var holds a variance below zero"),
        ("conv1.weight", lambda t: t.to(torch.complex64), "conv1.weight holds complex64, not floats"),
    ],
)
def test_weights_that_are_no_numbers_are_named(tmp_path, name, change, message):
    """A checkpoint of a run that diverged: refused before anything is built on it."""
    net = create_model("resnet20_cifar", num_classes=2)
    state = dict(export_state(net, "akamaster"))
    state[name] = change(state[name])
    torch.save(state, tmp_path / "w.pth")
    for read in (
        lambda: create_model("resnet20_cifar", num_classes=2, weights=tmp_path / "w.pth"),
        lambda: model_from_contents("resnet20_cifar", read_contents(tmp_path / "w.pth")),
    ):
        with pytest.raises(UserError) as caught:
            read()
        assert message in str(caught.value) and str(tmp_path / "w.pth") in str(caught.value)


def test_a_head_that_is_not_used_may_be_anything(tmp_path, capsys):
    net = create_model("resnet20_cifar", num_classes=2)
    state = dict(export_state(net, "akamaster"))
    state["linear.weight"] = state["linear.weight"] * float("nan")
    torch.save(state, tmp_path / "w.pth")
    made = create_model("resnet20_cifar", num_classes=3, weights=tmp_path / "w.pth")
    assert "the head starts afresh: 2 -> 3 classes" in capsys.readouterr().err
    assert all(torch.isfinite(p).all() for p in made.parameters())


@pytest.mark.parametrize("layout", ["torchvision", "timm"])
def test_a_cifar_stem_is_read_from_a_layout_that_has_no_place_for_it(layout):
    spec = replace(get_spec("resnet18"), stem="cifar")
    assert why_not(spec, layout) is not None
    assert why_not(spec, layout, reading=True) is None
