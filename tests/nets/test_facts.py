"""What publishers say beside their weights: configurations of timm and transformers as their packages write them."""

from __future__ import annotations

import json
import random

import pytest
import torch

from reslearn.bundle.file import load
from reslearn.nets.build import create_model
from reslearn.nets.facts import class_names, find_facts, timm_preprocess
from reslearn.nets.state_files import read_contents, write_state
from reslearn.nets.weights import export_state
from reslearn.spec.architectures import from_timm
from reslearn.spec.catalogue import get_spec
from reslearn.spec.errors import UserError
from reslearn.spec.preprocess import Preprocess
from reslearn.spec.published import imagenet_classes, published

from ..cli.mutants import damaged_value

HALF = ([0.5] * 3, [0.5] * 3)
TIMM = {
    "architecture": "resnet18",
    "num_classes": 3,
    "num_features": 512,
    "global_pool": "avg",
    "label_names": ["ant", "bee", "cat"],
    "pretrained_cfg": {
        "tag": "a1_in1k", "input_size": [3, 64, 64], "interpolation": "bicubic",
        "crop_pct": 0.95, "crop_mode": "center",
        "mean": HALF[0], "std": HALF[1], "num_classes": 3, "classifier": "fc", "license": "apache-2.0",
    },
}  # fmt: skip
HUB = {
    "model_type": "resnet", "architectures": ["ResNetForImageClassification"], "depths": [1, 1, 1, 1],
    "hidden_sizes": [16, 32, 64, 128], "embedding_size": 8, "layer_type": "bottleneck", "hidden_act": "relu",
    "downsample_in_first_stage": False, "downsample_in_bottleneck": False, "num_channels": 3,
    "id2label": {"0": "ant", "1": "bee", "2": "cat"},
}  # fmt: skip
PREPARE = {
    "crop_pct": 0.875, "do_normalize": True, "do_resize": True, "feature_extractor_type": "ConvNextFeatureExtractor",
    "image_mean": HALF[0], "image_std": HALF[1], "resample": 3, "size": 56,
}  # fmt: skip


def write(folder, config, net=None, prepare=None, card=None):
    (folder / "config.json").write_text(json.dumps(config))
    if prepare is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(prepare))
    if card is not None:
        (folder / "README.md").write_text(card)
    if net is not None:
        torch.save(net.state_dict(), folder / "pytorch_model.bin")
    return folder


def test_timm_s_configuration_says_it_all(tmp_path):
    facts, notes = find_facts("here", tmp_path, TIMM)
    assert facts.network == get_spec("resnet18", num_classes=3) and facts.classes == ("ant", "bee", "cat")
    assert facts.preprocess == Preprocess(64, 67, "crop", (0.5,) * 3, (0.5,) * 3, interpolation="bicubic")
    assert (facts.licence, notes) == ("apache-2.0", ())


@pytest.mark.parametrize(("crop", "resize"), [(0.875, 256), (0.95, 236), (1.0, 224), (0.9, 249)])
def test_crop_pct_gives_the_resize(crop, resize):
    told = TIMM["pretrained_cfg"] | {"input_size": [3, 224, 224], "crop_pct": crop}
    assert timm_preprocess(told).resize == resize


def test_old_configurations_of_timm_hold_all_in_one_object(tmp_path):
    told = {k: v for k, v in TIMM["pretrained_cfg"].items() if k != "license"} | {"architecture": "seresnet18"}
    write(tmp_path, told, card="---\ntags:\n- x\nlicense: mit\n---\n# hello\nlicense: wrong\n")
    facts, _ = find_facts("here", tmp_path, told)
    assert facts.network.se_reduction == 16 and facts.network.num_classes == 3 and facts.licence == "mit"


def test_transformers_configuration_says_it_all(strangers, tmp_path):
    net = strangers.HubResNet(8, (16, 32, 64, 128), (1, 1, 1, 1), 3, bottleneck=True).eval()
    write(tmp_path, HUB, net, PREPARE, "---\nlicense: 'apache-2.0'\n---")
    loaded = load(tmp_path)
    expected = Preprocess(56, 64, "crop", (0.5,) * 3, (0.5,) * 3, interpolation="bicubic")
    assert loaded.bundle.preprocess == expected and loaded.bundle.classes == ("ant", "bee", "cat")
    assert loaded.bundle.source == {"licence": "apache-2.0"}
    x = torch.randn(2, 3, 56, 56)
    with torch.no_grad():
        torch.testing.assert_close(loaded.net(x), net(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"size": {"shortest_edge": 384}}, Preprocess(384, 384, "squash")),
        ({"size": {"shortest_edge": 70}, "crop_pct": None}, Preprocess(70, 80, "crop")),
        (
            {"image_processor_type": "ViTImageProcessor", "size": {"height": 48, "width": 48}, "crop_pct": ...},
            Preprocess(48, 48, "squash"),
        ),
        (
            {"feature_extractor_type": "CLIP", "crop_pct": ..., "size": {"shortest_edge": 60}, "do_center_crop": True,
             "crop_size": {"height": 48, "width": 48}},
            Preprocess(48, 60, "crop"),
        ),
    ],
)  # fmt: skip
def test_image_processors_of_other_kinds(tmp_path, changes, expected):
    told = {k: v for k, v in (PREPARE | changes).items() if v is not ...}
    if "image_processor_type" in changes:
        del told["feature_extractor_type"]
    write(tmp_path, HUB, prepare=told | {"resample": 2})
    found = find_facts("here", tmp_path, HUB)[0].preprocess
    assert (found.size, found.resize, found.mode, found.interpolation) == (
        expected.size, expected.resize, expected.mode, "bilinear",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"architecture": "vit_base_patch16_224"}, "vit_base_patch16_224 of timm is no network of the family"),
        ({"architecture": "resnet50d"}, "resnet50d of timm"),
        (TIMM | {"model_args": {"act_layer": "gelu"}}, "made with act_layer, which is another network"),
        (TIMM | {"global_pool": "catavgmax"}, "the head catavgmax"),
        ({"model_type": "vit", "architectures": ["ViTForImageClassification"]}, "ViTForImageClassification of transf"),
        (HUB | {"architectures": ["ResNetForDepth"]}, "another head than classes"),
        (HUB | {"problem_type": "multi_label_classification"}, "does not answer with a class"),
        (HUB | {"hidden_act": "gelu"}, "without ReLU"),
        (HUB | {"hidden_sizes": [16, 32, 48, 128]}, "stages of 16, 32, 48, 128"),
        (HUB | {"depths": None}, "cannot be understood"),
        ([1], "no object"),
    ],
)
def test_what_is_not_of_the_family_is_refused_by_what_it_is(tmp_path, config, words):
    with pytest.raises(UserError, match=words) as raised:
        find_facts("hf://a/b", tmp_path, config)
    assert str(raised.value).startswith("hf://a/b: ") and "\n" not in str(raised.value)


def test_transformers_networks_have_the_catalogue_s_names(tmp_path):
    widths, whole = [256, 512, 1024, 2048], HUB | {"embedding_size": 64, "depths": [3, 4, 6, 3]}
    told = whole | {"hidden_sizes": widths}
    assert find_facts("x", tmp_path, told)[0].network.name == "resnet50"
    assert find_facts("x", tmp_path, told | {"downsample_in_bottleneck": True})[0].network.name == "resnet50_v1"


@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_every_network_that_is_known_by_name_has_the_tensors_of_its_package(shared_data, package):
    listed = json.loads(shared_data(f"keys/{package}.json").read_text())["nets"]
    known = {one.network: one.spec for one in published() if one.file}
    for name, tensors in listed.items():
        with torch.device("meta"):
            net = create_model(from_timm(name) if package == "timm" else known[name])
        exported = export_state(net, package)
        assert {key: list(tensor.shape) for key, tensor in exported.items()} == tensors, name


def test_names_of_classes():
    assert class_names(None, 10) == (None, None)
    names, note = class_names(None, 1000)
    assert names == imagenet_classes() and "ImageNet" in note
    assert class_names(("a", "b"), 2) == (("a", "b"), None)
    assert class_names(("a", "b"), 3) == (None, None)
    names, note = class_names(("crane", "ox", "crane"), 3)
    assert names == ("crane (0)", "ox", "crane (2)") and "crane" in note


def test_a_thousand_outputs_without_names_are_imagenet_s_and_it_is_said(tmp_path, capfd):
    config = TIMM | {"num_classes": 1000, "label_names": None, "model_args": {"layers": [1, 1, 1, 1]}}
    net = create_model("resnet18", stage_blocks=(1, 1, 1, 1))
    write(tmp_path, config)
    write_state(tmp_path / "model.safetensors", export_state(net, "timm"), "timm")
    assert load(tmp_path).bundle.classes == imagenet_classes()
    assert "taken for ImageNet's classes" in capfd.readouterr().err


def test_weights_of_another_network_of_the_family_are_named(tmp_path):
    write(tmp_path, TIMM | {"architecture": "resnet50"}, create_model("resnet18", num_classes=3))
    assert read_contents(tmp_path).facts.network.name == "resnet50"
    with pytest.raises(UserError, match=r"by its configuration it is resnet50, not resnet18"):
        create_model("resnet18", weights=tmp_path)


@pytest.mark.parametrize("count", [150, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("told", [TIMM, HUB])
def test_a_damaged_configuration_is_one_line_or_tells_something(told, count, tmp_path):
    """Whatever stands where a number, a list or a name is expected."""
    draw = random.Random(0)
    for _ in range(count):
        config, prepare = (damaged_value(json.loads(json.dumps(one)), draw) for one in (told, PREPARE))
        write(tmp_path, config, prepare=prepare)
        try:
            facts, _ = find_facts("here", tmp_path, config if isinstance(config, dict) else {})
        except UserError as error:
            assert "\n" not in str(error), config
        else:
            assert facts.classes is None or len(facts.classes) == facts.network.num_classes


@pytest.mark.parametrize(
    "change",
    [
        {"model_args": "x"}, {"model_args": [1]}, {"id2label": {"9" * 5000: "a"}}, {"id2label": {"0": [["a"]]}},
        {"depths": [10**18] * 4}, {"hidden_sizes": []}, {"hidden_sizes": "abcd"}, {"label_names": [{}]},
    ],
)  # fmt: skip
@pytest.mark.parametrize("told", [TIMM, HUB])
def test_values_that_nobody_expects(told, change, tmp_path):
    write(tmp_path, told, prepare=[1, {"size": 56}])
    try:
        facts, notes = find_facts("here", tmp_path, told | change)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert facts.classes is None or set(facts.classes) <= {"ant", "bee", "cat", *imagenet_classes()}
        assert told is TIMM or any("does not say how to prepare pictures" in note for note in notes)


def test_a_table_speaks_for_torchvision_s_files_and_their_configuration_for_those_of_a_repository(tmp_path):
    """Both are known by name; only the first have no files beside them that could say more."""
    ours = {one.file is not None: one for one in published() if one.network == "resnet18"}
    facts, notes = find_facts(ours[True].address, tmp_path, {})
    assert (facts, notes) == (ours[True].facts, ()) and facts.classes == imagenet_classes()
    facts, _ = find_facts(ours[False].address, tmp_path, TIMM)
    assert facts.source == ours[False].address and facts.classes == ("ant", "bee", "cat")
    assert find_facts(ours[False].address, tmp_path, {})[0].network is None
