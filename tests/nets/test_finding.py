"""A network is found in whatever its trainer saved, with its logits; or the file is refused by what it is."""

from __future__ import annotations

import argparse
import json
import pathlib
import tarfile
import warnings
import zipfile

import numpy as np
import pytest
import torch

from reslearn.nets.build import create_backbone, create_model, model_from_contents
from reslearn.nets.state_files import Contents, read_contents
from reslearn.nets.weights import export_state, fit_contents, foreign_name, load_weights
from reslearn.spec.errors import UserError

CHANNELS, DEPTHS = (8, 16, 24, 32), (1, 2, 1, 1)
SMALL = {"stem_channels": 8, "stage_channels": CHANNELS, "stage_blocks": DEPTHS}


def ours(classes=3, model="resnet18", **changes):
    return create_model(model, num_classes=classes, **SMALL, **changes)


def trained(net):
    """`net` with statistics and affine parameters as after training, in evaluation mode."""
    torch.manual_seed(1)
    for name, tensor in net.state_dict().items():
        if name.endswith(("running_var", "bn1.weight", "bn2.weight", "normalization.weight", "norm1.weight")):
            tensor.uniform_(0.5, 1.5)
        elif tensor.dim() == 1 and tensor.is_floating_point():
            tensor.normal_(0, 0.3)
    return net.eval()


@pytest.fixture(scope="module")
def vision(strangers):
    """A torchvision-like net of three classes and its state dict, `fc` apart."""
    torch.manual_seed(0)
    net = trained(strangers.VisionResNet(CHANNELS, DEPTHS, 3))
    state = dict(net.state_dict())
    return (
        net,
        {name: state[name] for name in state if not name.startswith("fc.")},
        state["fc.weight"],
        state["fc.bias"],
    )


def same(net, stranger, side=64):
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        torch.testing.assert_close(net.eval()(x), stranger(x), rtol=1e-4, atol=1e-5)


def under(prefix, state):
    return {prefix + name: tensor for name, tensor in state.items()}


def zeroed(state):
    return {name: tensor * 0 for name, tensor in state.items()}


def fc(weight, bias, name="fc"):
    return {f"{name}.weight": weight, f"{name}.bias": bias}


def full(body, weight, bias):
    return body | fc(weight, bias)


CHECKPOINTS = {  # how trainers save one classifier: body, head's weight, head's bias -> what is in the file
    "lightning": lambda h, w, b: {"state_dict": under("model.", h) | fc(w, b, "model.fc"), "epoch": 1},
    "lightning net": lambda h, w, b: {"state_dict": under("net.", h) | fc(w, b, "net.fc")},
    "deeper": lambda h, w, b: {"state_dict": under("model.backbone.model.", h) | fc(w, b, "model.head")},
    "fsdp": lambda h, w, b: under("_fsdp_wrapped_module.", h) | {"fc._fsdp_wrapped_module.weight": w, "fc.bias": b},
    "transformers' way": lambda h, w, b: {"x.resnet." + n: t for n, t in h.items()} | fc(w, b, "x.classifier.1"),
    "mmpretrain": lambda h, w, b: {"state_dict": under("backbone.", h) | fc(w, b, "head.fc"), "meta": {}},
    "separate": lambda h, w, b: under("module.backbone.", h) | fc(w, b, "module.head"),
    "classifier": lambda h, w, b: under("feature_extractor.", h) | fc(w, b, "classifier.1"),
    "named head": lambda h, w, b: under("encoder.", h) | fc(w, b, "class_head"),
    "two mappings": lambda h, w, b: {"backbone": h, "head": {"weight": w, "bias": b}},
    "sequential head": lambda h, w, b: h | fc(w, b, "fc.1"),
    "1x1 head": lambda h, w, b: h | {"fc.weight": w[:, :, None, None], "fc.bias": b},
    "last_linear": lambda h, w, b: h | fc(w, b, "last_linear"),
    "params": lambda h, w, b: {"params": full(h, w, b)},
    "two levels": lambda h, w, b: {"checkpoint": {"model": full(h, w, b)}},
    "tuple": lambda h, w, b: (full(h, w, b), {"lr": 0.1}),
    "loss weights": lambda h, w, b: {
        "state_dict": under("model.", full(h, w, b)) | {"criterion.weight": torch.ones(3)}
    },
    "twice": lambda h, w, b: {
        "state_dict": under("model.", full(h, w, b)) | under("net.", full(h, w, b))
    },
    "best too": lambda h, w, b: {
        "model": full(h, w, b), "best_model": zeroed(full(h, w, b))
    },
    "optimiser": lambda h, w, b: {
        "model": full(h, w, b),
        "optimizer": {"state": {0: {"momentum_buffer": w}}, "param_groups": [{"lr": 0.1}]},
        "rng_state": torch.get_rng_state(),
    },
    "plain data": lambda h, w, b: {
        "model": full(h, w, b),
        "args": argparse.Namespace(lr=0.1, out=pathlib.Path("runs")),
        "best": np.float64(0.9),
        "curve": np.arange(3.0),
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_a_classifier_is_found_as_trainers_save_it(vision, tmp_path, kind):
    net, *parts = vision
    torch.save(CHECKPOINTS[kind](*parts), tmp_path / "w.pth")
    mine = ours()
    fitted = load_weights(mine, tmp_path / "w.pth")
    said = {
        "loss weights": ("leaves out criterion.weight, no part of the network",),
        "best too": ("takes `model`, and leaves `best_model`, which fits as well",),
    }.get(kind, ())
    assert (fitted.layout, fitted.notes, fitted.fresh) == ("torchvision", said, "")
    same(mine, net)
    same(model_from_contents(ours(5).spec, read_contents(tmp_path / "w.pth"))[0], net)


HEADLESS = {
    "no head": lambda h, w, b: h,
    "no head, no counters": lambda h, w, b: {name: one for name, one in h.items() if "num_batches" not in name},
    "moco": lambda h, w, b: {
        "state_dict": under("module.encoder_q.", full(h, w, b))
        | {"module.queue": torch.zeros(4), "module.queue_ptr": torch.tensor(1)}
    },
    "simsiam": lambda h, w, b: {
        **under("module.encoder.", h | {"fc.0.weight": w, "fc.3.weight": w}), "module.predictor.0.weight": w
    },
    "swav": lambda h, w, b: under("module.", h) | {"module.projection_head.0.weight": w, "module.prototypes.weight": w},
    "an MLP": lambda h, w, b: h | {"fc.0.weight": w, "fc.0.bias": b, "fc.2.weight": w, "fc.2.bias": b},
    "fc1, fc2": lambda h, w, b: h | {"fc1.weight": w, "fc1.bias": b, "fc2.weight": w, "fc2.bias": b},
}  # fmt: skip


@pytest.mark.parametrize("kind", HEADLESS)
def test_a_body_without_a_classifier_is_read_and_nothing_passes_for_its_head(vision, tmp_path, kind):
    net, *parts = vision
    torch.save(HEADLESS[kind](*parts), tmp_path / "w.pth")
    mine = ours()
    before = mine.state_dict()["head.fc.weight"].clone()
    fitted = load_weights(mine, tmp_path / "w.pth")
    assert fitted.fresh == "head.fc" and "the head starts afresh" in fitted.notes[-1]
    assert torch.equal(mine.state_dict()["head.fc.weight"], before)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(mine.eval().features(x)["stages.3.0"], net.features(x), rtol=1e-4, atol=1e-5)
    with pytest.raises(UserError, match="no head to convert"):
        model_from_contents(mine.spec, read_contents(tmp_path / "w.pth"))


def test_the_averaged_body_is_found_without_a_classifier_and_without_counters(vision, tmp_path):
    _, body, *_ = vision
    bare = {name: tensor for name, tensor in body.items() if "num_batches" not in name}
    torch.save({"state_dict": bare, "state_dict_ema": zeroed(bare)}, tmp_path / "w.pth")
    for prefer, zeros in (("ema", True), ("plain", False)):
        mine = ours()
        load_weights(mine, tmp_path / "w.pth", prefer=prefer)
        assert (mine.state_dict()["stages.0.0.conv1.weight"] == 0).all().item() is zeros


def test_a_head_without_a_bias_has_a_bias_of_zeros(vision, tmp_path):
    _, body, weight, _ = vision
    torch.save(body | {"fc.weight": weight}, tmp_path / "w.pth")
    mine = ours()
    assert load_weights(mine, tmp_path / "w.pth").notes == ("fc.weight has no bias: zeros",)
    assert torch.equal(mine.state_dict()["head.fc.weight"], weight)
    assert not mine.state_dict()["head.fc.bias"].any()


def test_children_in_a_row_are_torchvision_s(vision, tmp_path):
    net, _, weight, bias = vision
    row = torch.nn.Sequential(*list(net.children())[:-1])
    torch.save(under("extractor.", row.state_dict()) | {"fc.weight": weight, "fc.bias": bias}, tmp_path / "w.pth")
    mine = ours()
    assert load_weights(mine, tmp_path / "w.pth").layout == "sequential"
    same(mine, net)


def test_torchvision_s_net_with_a_cifar_stem(strangers, tmp_path):
    torch.manual_seed(0)
    net = trained(strangers.VisionResNet(CHANNELS, DEPTHS, 3, cifar=True))
    torch.save(net.state_dict(), tmp_path / "w.pth")
    mine = ours(model="resnet18_w64_cifar")
    assert load_weights(mine, tmp_path / "w.pth").layout == "torchvision"
    same(mine, net, 32)


@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("prefix", ["", "model."])
def test_transformers_net(strangers, tmp_path, bottleneck, prefix):
    torch.manual_seed(0)
    net = trained(strangers.HubResNet(8, (16, 32, 64, 128), DEPTHS, 5, bottleneck=bottleneck))
    torch.save(under(prefix, net.state_dict()), tmp_path / "w.bin")
    changes = {"stem_channels": 8, "stage_channels": (16, 32, 64, 128), "stage_blocks": DEPTHS}
    mine = create_model("resnet50", num_classes=5, group_width=4, **changes) if bottleneck else create_model(
        "resnet18", num_classes=5, **changes
    )  # fmt: skip
    fitted = load_weights(mine, tmp_path / "w.bin")
    assert (fitted.layout, fitted.notes) == ("transformers", ())
    same(mine, net)


@pytest.mark.parametrize("stem", [("conv", "bn"), ("conv1", "bn1")])
def test_the_study_notes_backbone(strangers, tmp_path, capsys, stem):
    torch.manual_seed(0)
    net = trained(strangers.NotesBackbone(CHANNELS, DEPTHS, stem))
    torch.save(net.state_dict(), tmp_path / "w.pth")
    mine = create_backbone("resnet18", weights=tmp_path / "w.pth", **SMALL).eval()
    assert "w.pth: the head starts afresh: the file has none" in capsys.readouterr().err
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        for ours_map, theirs in zip(mine(x), net(x), strict=True):
            torch.testing.assert_close(ours_map, theirs, rtol=1e-4, atol=1e-5)


COUNT = torch.tensor(9)
AVERAGED = {  # (plain, averaged) -> what is in the file
    "timm": lambda p, a: {"state_dict": p, "state_dict_ema": a, "epoch": 1},
    "torchvision": lambda p, a: {"model": p, "model_ema": {"n_averaged": COUNT} | under("module.", a)},
    "flat": lambda p, a: {"state_dict": under("model.", p) | under("ema_model.", a)},
    "flat module": lambda p, a: {
        "state_dict": under("net.", p) | under("ema.module.", a) | {"ema.n_averaged": COUNT}
    },
    "beside": lambda p, a: p | under("ema.", a),
    "fixmatch": lambda p, a: {"model": p, "ema_model": a},
    "basicsr": lambda p, a: {"params": p, "params_ema": a},
    "nested": lambda p, a: {"models": {"net": p, "swa": {"module": a}}},
    "counter": lambda p, a: {"net": p, "follower": {"n_averaged": COUNT} | under("module.", a)},
    "moco": lambda p, a: {"state_dict": under("module.encoder_q.", p) | under("module.encoder_k.", a)},
    "moco v3": lambda p, a: under("module.base_encoder.", p) | under("module.momentum_encoder.", a),
    "byol": lambda p, a: under("online_network.", p) | under("target_network.", a),
    "lightning averaging": lambda p, a: {
        "state_dict": under("model.", a),
        "current_model_state": under("model.", p),
        "averaging_state": {"n_averaged": COUNT},
    },
    "mmengine": lambda p, a: {
        "meta": {"mmengine_version": "0.10"},
        "state_dict": under("backbone.", a),
        "ema_state_dict": under("module.backbone.", p),
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", AVERAGED)
def test_plain_weights_are_taken_aloud_and_averaged_ones_on_request(vision, tmp_path, kind):
    _, body, *_ = vision
    torch.save(AVERAGED[kind](body, zeroed(body)), tmp_path / "w.pth")
    for prefer, words, expected in ((None, "plain", False), ("plain", "plain", False), ("ema", "averaged", True)):
        mine = ours()
        fitted = load_weights(mine, tmp_path / "w.pth", prefer=prefer)
        assert any(note.startswith(f"takes the {words} weights") for note in fitted.notes), fitted.notes
        assert bool((mine.state_dict()["stages.0.0.conv1.weight"] == 0).all()) == expected


@pytest.mark.parametrize("key", ["model_ema", "state_dict_ema", "ema"])
def test_averaged_weights_alone_are_read(vision, tmp_path, key):
    net, body, weight, bias = vision
    torch.save({key: under("module.", body | {"fc.weight": weight, "fc.bias": bias})}, tmp_path / "w.pth")
    for prefer in (None, "ema"):
        mine = ours()
        assert "takes averaged weights" in load_weights(mine, tmp_path / "w.pth", prefer=prefer).notes[0]
        same(mine, net)
    with pytest.raises(UserError, match="holds averaged weights alone"):
        load_weights(ours(), tmp_path / "w.pth", prefer="plain")


def test_averaged_weights_that_are_not_there(vision, tmp_path):
    torch.save(vision[1], tmp_path / "w.pth")
    with pytest.raises(UserError, match="holds no averaged weights"):
        load_weights(ours(), tmp_path / "w.pth", prefer="ema")
    with pytest.raises(UserError, match="prefer is 'best'; valid: None, 'plain', 'ema'"):
        create_model(ours().spec, weights=tmp_path / "w.pth", prefer="best")


REFUSED = {
    "several networks that fit": lambda h, w, b: {"student": h, "teacher": zeroed(h)},
    r"has several of fc.weight around `a.b`": lambda h, w, b: under("a.b.", h) | fc(w, b, "a.fc") | fc(w, b),
    "several heads": lambda h, w, b: h | {"fc.weight": w, "aux_head.weight": w},
    r"has fc.weight both under `backbone` and beside it": lambda h, w, b: {
        **under("backbone.", full(h, w, b)), "fc.weight": w
    },
    r"has besides rpn.conv.weight": lambda h, w, b: under("backbone.body.", h) | {"rpn.conv.weight": w},
    r"has besides layer1.7.conv1.weight": lambda h, w, b: h | {"layer1.7.conv1.weight": w},
    r"has besides normalizer.mean": lambda h, w, b: under("model.", h) | {"normalizer.mean": torch.zeros(3)},
    r"conv1.weight holds int8, not floats": lambda h, w, b: h | {"conv1.weight": h["conv1.weight"].to(torch.int8)},
    r"lacks layer4.0.bn2.bias": lambda h, w, b: {n: t for n, t in h.items() if n != "layer4.0.bn2.bias"},
    r"fc.weight has shape \(3, 7\)": lambda h, w, b: h | {"fc.weight": torch.zeros(3, 7), "fc.bias": b},
    r"fit no known layout of resnet18": lambda h, w, b: {"blocks.0.attn.qkv.weight": w},
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_another_s_weights_are_refused_by_what_the_file_holds(vision, tmp_path, message):
    torch.save(REFUSED[message](*vision[1:]), tmp_path / "w.pth")
    with pytest.raises(UserError, match=message):
        load_weights(ours(), tmp_path / "w.pth")


def sealed(net, path):
    from reslearn.bundle.file import save
    from reslearn.bundle.header import Bundle, Member
    from reslearn.spec.preprocess import default_preprocess

    save(path, [net], Bundle((Member(net.spec),), default_preprocess(32)))


@pytest.mark.parametrize(
    ("name", "was", "wanted", "message"),
    [
        ("resnet18", {"shortcut": "none"}, {"shortcut": "A"}, "with shortcut=none; resnet18 has shortcut=A"),
        ("resnet18", {"shortcut": "A"}, {"shortcut": "A", "pad_channels": "end"}, "pad_channels=both"),
        ("resnet50", {"group_width": 2}, {"group_width": 2, "stride_on": "1x1"}, "stride_on=3x3"),
        ("resnet18", {"stride_on": "1x1"}, {}, None),
        ("resnet18", {"name": "mine", "dropout": 0.1}, {"drop_path": 0.2, "output_stride": 8}, None),
    ],
)
def test_a_sealed_file_says_what_its_tensors_compute(tmp_path, name, was, wanted, message):
    sealed(ours(model=name, **was), tmp_path / "m.safetensors")
    if message is None:
        assert load_weights(ours(model=name, **wanted), tmp_path / "m.safetensors").notes == ()
    else:
        with pytest.raises(UserError, match=message):
            load_weights(ours(model=name, **wanted), tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"downsample_in_bottleneck": True}, "take stride_on=1x1"),
        ({"downsample_in_first_stage": True}, "a first stage that strides"),
        ({"hidden_act": "gelu"}, "no ReLU"),
        ({"model_type": "resnet"}, None),
    ],
)
def test_the_config_of_a_hub_repository_is_heeded(strangers, tmp_path, config, message):
    net = strangers.HubResNet(8, (16, 32, 64, 128), DEPTHS, 5, bottleneck=True)
    torch.save(net.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps(config))
    mine = create_model("resnet50", num_classes=5, stem_channels=8, stage_channels=(16, 32, 64, 128),
                        stage_blocks=DEPTHS, group_width=4)  # fmt: skip
    if message is None:
        assert load_weights(mine, tmp_path).layout == "transformers"
    else:
        with pytest.raises(UserError, match=message):
            load_weights(mine, tmp_path)


def write_zip(path, name):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"x")


def write_tar(path):
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("w.txt"))


KINDS = {
    "Git LFS pointer": lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n"),
    "a web page": lambda p: p.write_text("\n<!DOCTYPE html><html>404</html>"),
    "HDF5": lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(20)),
    "TorchScript program": lambda p: torch.jit.script(torch.nn.Linear(2, 2)).save(str(p)),
    "torch.export saved": lambda p: torch.export.save(
        torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),)), str(p)
    ),
    "a tar archive": lambda p: write_tar(p),
    "a gzip archive": lambda p: p.write_bytes(b"\x1f\x8b" + bytes(20)),
    "a NumPy array": lambda p: np.save(p.open("wb"), np.ones(2)),
    "NumPy archive": lambda p: np.savez(p.open("wb"), a=np.ones(2)),
    "Keras model": lambda p: write_zip(p, "model.weights.h5"),
    r"a zip archive \(w.txt\)": lambda p: write_zip(p, "w.txt"),
    "not a PyTorch or safetensors file": lambda p: p.write_bytes(bytes(100)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_is_named(tmp_path, kind):
    KINDS[kind](tmp_path / "w.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserError, match=kind) as caught:
            read_contents(tmp_path / "w.pt")
    assert "\n" not in str(caught.value)


def test_other_places(tmp_path):
    with pytest.raises(UserError, match="an address, not a file"):
        read_contents("s3://bucket/w.pth")
    (tmp_path / "graph.onnx").write_bytes(b"\x08\x08")
    with pytest.raises(UserError, match="an ONNX graph"):
        read_contents(tmp_path / "graph.onnx")
    with pytest.raises(UserError, match=r"a folder without model.safetensors or pytorch_model.bin"):
        read_contents(tmp_path)
    for name in ("model.safetensors.index.json", "model-00002-of-00002.safetensors", "pytorch_model-1-of-10.bin"):
        (tmp_path / name).write_text("{}")
        with pytest.raises(UserError, match="weights in several files; save them as one"):
            read_contents(tmp_path / name)
    with pytest.raises(UserError, match="weights in several files; save them as one"):
        read_contents(tmp_path)
    (tmp_path / "model.safetensors.index.json").unlink()
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UserError, match="this run is not finished; finish it: reslearn resume"):
        read_contents(tmp_path)


def test_a_checkpoint_of_ours_is_plain_or_averaged(tmp_path):
    from safetensors.torch import save_file

    torch.manual_seed(0)
    net = ours()
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    slots = {"optimiser.0.momentum_buffer": torch.zeros(3)}
    save_file(under("net.", state) | under("average.", zeroed(state)) | slots, tmp_path / "step.safetensors")
    mine = ours()
    load_weights(mine, tmp_path / "step.safetensors")
    assert torch.equal(mine.state_dict()["head.fc.weight"], state["head.fc.weight"])
    load_weights(mine, tmp_path / "step.safetensors", prefer="ema")
    assert not mine.state_dict()["head.fc.weight"].any()


def test_every_layout_s_export_is_found_under_a_prefix(tmp_path):
    net = create_model("vgg11_bn", num_classes=3, stage_channels=(4, 4, 4, 4, 4), hidden_channels=8)
    torch.save({"state_dict": under("model.", export_state(net, "torchvision"))}, tmp_path / "w.pth")
    mine = create_model(net.spec, weights=tmp_path / "w.pth")
    assert all(torch.equal(a, b) for a, b in zip(mine.state_dict().values(), net.state_dict().values(), strict=True))


def test_damaged_bytes_are_refused_in_one_line(vision, tmp_path):
    """Cut or flipped anywhere: refused, or read with the values that were saved; never a traceback."""
    state = {name: tensor for name, tensor in vision[1].items() if not name.startswith(("layer3", "layer4"))}
    path, draw = tmp_path / "w.pth", np.random.default_rng(0)
    for old in (False, True):
        torch.save(state, path, _use_new_zipfile_serialization=not old)
        whole = path.read_bytes()
        for _ in range(60):
            content = bytearray(whole[: draw.integers(len(whole))] if draw.random() < 0.4 else whole)
            if len(content) == len(whole):
                content[draw.integers(len(whole) if not old else 3000)] ^= 1 << draw.integers(8)
            path.write_bytes(content)
            try:
                found = read_contents(path).groups[""]
            except UserError as error:
                assert "\n" not in str(error)
                continue
            assert old or all(torch.equal(tensor, state[name]) for name, tensor in found.items())


def test_a_file_without_checksums_is_read(vision, tmp_path):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(vision[1], tmp_path / "w.pth")
    finally:
        torch.serialization.set_crc32_options(before)
    assert read_contents(tmp_path / "w.pth").groups[""].keys() == vision[1].keys()


def test_tensors_without_values_and_names_that_differ_by_marks_alone(vision, tmp_path):
    _, body, weight, bias = vision
    whole = full(body, weight, bias)
    name = "layer1.0.conv1.weight"
    for tensor, words in ((whole[name].to_sparse(), "is sparse"), (whole[name].to("meta"), "has no values")):
        torch.save(whole | {name: tensor}, tmp_path / "w.pth")
        with pytest.raises(UserError, match=f"{name} {words}"):
            load_weights(ours(), tmp_path / "w.pth")
    torch.save(whole | under("module.", zeroed(whole)), tmp_path / "w.pth")
    with pytest.raises(UserError, match="holds several networks that fit"):
        load_weights(ours(), tmp_path / "w.pth")
    torch.save(whole | under("module.", whole), tmp_path / "w.pth")  # the same twice is one
    assert torch.equal(load_weights(ours(), tmp_path / "w.pth").state["head.fc.weight"], weight)


def test_weights_are_looked_for_six_mappings_deep(vision, tmp_path):
    whole = full(*vision[1:])
    for depth in (6, 7):
        inside = whole
        for level in range(depth):
            inside = {f"level{level}": inside}
        torch.save(inside, tmp_path / "w.pth")
        if depth == 6:
            assert len(load_weights(ours(), tmp_path / "w.pth").state) == len(whole)
        else:
            with pytest.raises(UserError, match="holds no tensors"):
                read_contents(tmp_path / "w.pth")


@pytest.mark.parametrize(("short", "message"), [(0, "lacks "), (1, "fit no known layout of resnet18")])
def test_half_of_a_body_is_a_network_that_lacks_something(vision, short, message):
    """With less, what a file holds is another network altogether."""
    body = [name for name in vision[1] if not name.endswith("num_batches_tracked")]
    names = body[: -(-len(body) // 2) - short]
    with pytest.raises(UserError, match=message):
        fit_contents(Contents("f", {"": {name: vision[1][name] for name in names}}), ours())


@pytest.mark.parametrize("depth", [0, 6, 7])
def test_weights_lie_in_six_mappings_at_the_most(depth, tmp_path):
    """Beyond that no trainer puts any, and a file that is nested without end is not followed."""
    inside = {"weight": torch.zeros(1)}
    for _ in range(depth):
        inside = {"model": inside}
    torch.save(inside, tmp_path / "w.pth")
    if depth <= 6:
        assert list(read_contents(tmp_path / "w.pth").groups) == [".".join(["model"] * depth)]
    else:
        with pytest.raises(UserError, match="holds no tensors"):
            read_contents(tmp_path / "w.pth")


def test_children_in_a_row_bear_their_numbers(strangers):
    """Those of torchvision's network, its head behind the average pool among them."""
    row = torch.nn.Sequential(*strangers.VisionResNet(CHANNELS, DEPTHS, 3).children())
    mine = ours()
    names = {foreign_name(name, mine.spec, "sequential") for name in mine.state_dict()}
    assert names == set(row.state_dict()) and "9.bias" in names
