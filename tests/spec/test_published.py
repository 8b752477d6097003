"""The table of weights that are known by name, against the wheels that it was read off, and the papers' networks."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from reslearn.spec.architectures import TIMM, from_timm, same_network, to_timm
from reslearn.spec.catalogue import CATALOGUE, get_spec
from reslearn.spec.errors import UserError
from reslearn.spec.published import (
    default_weights,
    find_published,
    imagenet_classes,
    named_weights,
    published,
    published_at,
)


def test_every_row_is_a_network_of_the_catalogue_that_reads_pictures():
    rows = published()
    assert len(rows) > 90 and max(Counter(one.address for one in rows).values()) == 1
    for one in rows:
        facts = one.facts
        assert facts.network.num_classes == one.outputs and facts.preprocess.size == one.size
        assert (one.sha256 is None) == (one.file is None) == one.address.startswith("hf://")
        assert one.file is None or re.search(rf"-{one.sha256}\.pth$", one.file)


@pytest.mark.parametrize(
    ("address", "network", "resize", "interpolation", "acc1"),
    [
        ("torchvision://ResNet50_Weights.IMAGENET1K_V2", "resnet50", 232, "bilinear", 80.858),
        ("torchvision://ResNet50_Weights.DEFAULT", "resnet50", 232, "bilinear", 80.858),
        ("torchvision://ResNet50_Weights.IMAGENET1K_V1", "resnet50", 256, "bilinear", 76.13),
        ("torchvision://VGG16_BN_Weights.IMAGENET1K_V1", "vgg16_bn", 256, "bilinear", 73.36),
        ("hf://timm/resnet50.a1_in1k", "resnet50", 236, "bicubic", None),
        ("hf://timm/resnet50.a1_in1k@main", "resnet50", 236, "bicubic", None),
        ("hf://timm/resnet50.gluon_in1k", "resnet50", 256, "bicubic", None),
        ("hf://timm/seresnet50.a3_in1k", "se_resnet50", 168, "bicubic", None),
    ],
)
def test_some_rows_are_as_their_packages_have_them(address, network, resize, interpolation, acc1):
    one = published_at(address)
    assert (one.network, one.resize, one.interpolation, one.acc1) == (network, resize, interpolation, acc1)


def test_the_names_of_imagenet_s_classes():
    names = imagenet_classes()
    assert len(set(names)) == 1000
    assert (names[0], names[207], names[999]) == ("tench", "golden retriever", "toilet tissue")


@pytest.mark.parametrize(
    ("spec", "address"),
    [
        ("resnet50", "torchvision://ResNet50_Weights.IMAGENET1K_V2"),
        (get_spec("resnet18", num_classes=3, dropout=0.1), "torchvision://ResNet18_Weights.IMAGENET1K_V1"),
        (get_spec("resnet50", output_stride=8, in_channels=1), "torchvision://ResNet50_Weights.IMAGENET1K_V2"),
        ("resnext101_32x8d", "torchvision://ResNeXt101_32X8D_Weights.IMAGENET1K_V2"),
        ("wide_resnet101_2", "torchvision://Wide_ResNet101_2_Weights.IMAGENET1K_V2"),
        ("vgg19_bn", "torchvision://VGG19_BN_Weights.IMAGENET1K_V1"),
        ("se_resnet50", "hf://timm/seresnet50.a1_in1k"),
        (get_spec("resnet50", stem="deep"), "hf://timm/resnet50c.gluon_in1k"),
    ],
)
def test_the_best_known_for_a_network(spec, address):
    spec = get_spec(spec) if isinstance(spec, str) else spec
    assert default_weights(spec).address == named_weights("default", spec) == address
    assert named_weights("w.pth", spec) == "w.pth"


@pytest.mark.parametrize("name", ["resnet20_cifar", "plain18", "resnet50_v1", "preact_resnet18"])
def test_a_network_without_known_weights_is_said(name):
    with pytest.raises(UserError, match=f"no weights are known by name for {name}"):
        default_weights(get_spec(name))


def test_patterns_find_addresses_and_networks():
    assert {one.network for one in find_published("resnet18")} == {"resnet18"}
    assert [one.address for one in find_published("torchvision://ResNet34*")] == [
        "torchvision://ResNet34_Weights.IMAGENET1K_V1"
    ]
    assert len(find_published()) == len(published())
    with pytest.raises(UserError, match="did you mean resnet50"):
        find_published("resnt50")


def test_timm_s_networks_go_there_and_back():
    for architecture in TIMM:
        spec = from_timm(architecture)
        assert to_timm(spec) == (architecture, {})
    assert to_timm(get_spec("resnet18", stage_blocks=(1, 1, 1, 1), in_channels=1)) == (
        "resnet18",
        {"layers": [1, 1, 1, 1], "in_chans": 1},
    )
    assert to_timm(get_spec("se_resnet50", num_classes=7, output_stride=16)) == ("seresnet50", {"output_stride": 16})
    for name in ("resnet20_cifar", "plain18", "resnet50_v1", "preact_resnet18", "vgg16", "resnet18_w64_cifar"):
        assert to_timm(get_spec(name)) is None


def test_a_name_is_a_label_and_training_s_fields_change_no_network():
    one = get_spec("resnet50")
    assert same_network(one, get_spec("resnet50", name="x", num_classes=2, drop_path=0.1, init="fan_in"))
    assert not same_network(one, CATALOGUE["resnet50_v1"]) and not same_network(one, CATALOGUE["vgg16"])


def test_the_table_is_what_the_wheels_say(shared_data):
    """Networks that both packages list are those of the table, by name."""
    for package in ("torchvision", "timm"):
        listed = json.loads(shared_data(f"keys/{package}.json").read_text())["nets"]
        if package == "torchvision":
            assert set(listed) <= {one.network for one in published() if one.file}
        else:
            assert set(listed) <= set(TIMM)
