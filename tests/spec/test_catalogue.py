"""Names and variations: what the catalogue promises and what no network can be."""

from __future__ import annotations

import fnmatch
import json
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reslearn.spec.catalogue import (
    CATALOGUE,
    cifar_bottleneck,
    cifar_resnet,
    cifar_wide,
    get_spec,
    imagenet_resnet,
    list_models,
)
from reslearn.spec.codec import set_fields
from reslearn.spec.errors import UserError
from reslearn.spec.net import NetSpec, spec_from_json, spec_to_json

COSTS = json.loads((Path(__file__).parent / "golden_costs.json").read_text())
PROMISED = list(dict.fromkeys(entry["name"] for entry in COSTS["entries"]))


def test_every_promised_name_is_there_and_no_other():
    assert sorted(CATALOGUE) == sorted(PROMISED)
    assert all(spec.name == name for name, spec in CATALOGUE.items())


def test_list_models_is_a_shell_pattern():
    assert list_models("resnext50*") == ["resnext50_2x40d", "resnext50_4x24d", "resnext50_8x14d", "resnext50_32x4d"]
    assert set(list_models("*_cifar")) == set(fnmatch.filter(PROMISED, "*_cifar"))
    assert list_models("nothing*") == []


@pytest.mark.parametrize("name", PROMISED)
def test_a_spec_goes_through_json_unchanged(name):
    spec = get_spec(name)
    assert spec_from_json(json.loads(json.dumps(spec_to_json(spec))), "here") == spec


@pytest.mark.parametrize("name", PROMISED)
def test_depth_is_the_one_in_the_name(name):
    digits = "".join(c if c.isdigit() else " " for c in name).split()
    named = {"vgg16_cifar": 14, "resnet_speed_cifar": 10}  # that VGG has one FC layer, not three; the other no number
    expected = named.get(name) or int(digits[0])
    assert get_spec(name).depth == expected


@pytest.mark.parametrize("name", PROMISED)
def test_defaults_follow_the_stem(name):
    spec = get_spec(name)
    assert (spec.image_size, spec.num_classes) == ((32, 10) if name.endswith("_cifar") else (224, 1000))
    if isinstance(spec, NetSpec):
        strides = {"imagenet": (4, 8, 16, 32), "cifar": (1, 2, 4, 8), "cifar-pool": (4, 8)}[spec.stem]
        assert spec.stage_strides == strides[: len(spec.stage_blocks)]


def test_specs_and_the_catalogue_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        get_spec("resnet18").shortcut = "A"  # type: ignore[misc]
    with pytest.raises(TypeError):
        CATALOGUE["resnet18"] = get_spec("resnet34")  # type: ignore[index]


def test_an_unknown_name_or_field_names_the_nearest():
    with pytest.raises(UserError, match="unknown model 'resnet51'; did you mean resnet50"):
        get_spec("resnet51")
    with pytest.raises(UserError, match="unknown field of resnet50 'shortcuts'; did you mean shortcut"):
        get_spec("resnet50", shortcuts="A")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("resnet18", {"shortcut": "D"}, "shortcut is 'D'; valid: 'A', 'B', 'C', 'none'"),
        ("resnet18", {"num_classes": 0}, "num_classes is 0; it must be at least 1"),
        ("vgg16", {"num_classes": 0}, "num_classes is 0; it must be at least 1"),
        ("resnet18", {"in_channels": -3}, "in_channels is -3; it must be at least 1"),
        ("resnet18", {"groups": 3}, "groups is 3; in a basic block it must divide every width"),
        ("resnet18", {"group_width": 4}, "group_width is 4; it must be None for a basic block"),
        ("resnet50", {"group_width": None}, "group_width is None; it must be at least 1 for a bottleneck block"),
        ("resnet50", {"groups": 0}, "groups is 0; it must be at least 1"),
        ("resnet50", {"stride_on": "5x5"}, "stride_on is '5x5'; valid: '1x1', '3x3'"),
        (
            "resnet50",
            {"downsample": "pool"},
            "downsample is 'pool'; it follows the first 3x3 of a basic block: use 'stride'",
        ),
        ("resnet18", {"first_stride": 3}, "first_stride is 3; valid: 1, 2"),
        ("resnet50", {"output_stride": 4}, "output_stride is 4; valid: 8, 16, 32"),
        ("resnet20_cifar", {"output_stride": 8}, "output_stride is 8; a cifar stem"),
        ("resnet50", {"stage_blocks": (3, 4)}, "stage_blocks and stage_channels must have one entry per stage"),
        ("resnet50", {"stage_blocks": (3, 4, 0, 3)}, "stage_blocks is 3,4,0,3; every entry must be at least 1"),
        (
            "resnet50",
            {"stage_blocks": (9, 9, 9990, 9)},
            "stage_blocks is 9,9,9990,9; every entry must be at least 1, and all together at most 10,000",
        ),
        ("resnet50", {"stage_channels": (3, 4, 0, 3)}, "every entry of stage_channels"),
        ("resnet50", {"dropout": 0.3}, "dropout is 0.3; it stands between the two convolutions of a basic block"),
        ("resnet18", {"dropout": 1.0}, "dropout is 1.0; it must be at least 0 and below 1"),
        ("resnet18", {"drop_path": -0.1}, "drop_path is -0.1"),
        ("plain18", {"drop_path": 0.1}, "drop_path is 0.1; without a shortcut"),
        ("resnet18", {"se_reduction": 0}, "se_reduction is 0; it must be at least 1"),
        ("resnet18", {"first_norm": "after_pool"}, "first_norm is 'after_pool'; only activation='pre'"),
        ("preact_resnet18", {"zero_init_last_gamma": True}, "zero_init_last_gamma"),
        ("resnet20_cifar", {"stage_channels": (64, 32, 16)}, "shortcut is 'A'; it pads"),
        ("resnet18", {"stem": "deep", "stem_channels": 33}, "stem_channels is 33; a deep stem"),
        ("vgg16", {"head": "none"}, "head is 'none'; valid: 'imagenet', 'cifar'"),
        ("vgg16", {"stage_convs": (1, 1)}, "stage_convs and stage_channels must have one entry per stage"),
        ("vgg16", {"stage_convs": (0, 1, 1, 1, 1)}, "stage_convs is 0,1,1,1,1; every entry"),
        (
            "vgg16",
            {"stage_convs": (10**9, 1, 1, 1, 1)},
            "stage_convs is 1000000000,1,1,1,1; every entry must be at least 1, and all",
        ),
    ],
)
def test_an_impossible_network_says_which_field_and_what_is_valid(name, changes, message):
    with pytest.raises(ValueError, match="^" + message.replace("(", r"\(")):
        get_spec(name, **changes)
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        replace(get_spec(name), **changes)


@pytest.mark.parametrize(
    ("make", "depth", "message"),
    [
        (cifar_resnet, 21, r"depth is 21; it must be 6n \+ 2, e.g. 20 or 26"),
        (cifar_resnet, 2, r"depth is 2; it must be 6n \+ 2, e.g. 8 or 14"),
        (cifar_bottleneck, 100, r"depth is 100; it must be 9n \+ 2, e.g. 92 or 101"),
        (imagenet_resnet, 42, "depth is 42; an ImageNet residual net has one of 18, .*34, .*50, .*200"),
    ],
)
def test_a_depth_that_no_net_has_names_those_nearby(make, depth, message):
    with pytest.raises(ValueError, match=message):
        make("x", depth)


def test_a_wide_depth_is_6n_plus_4():
    with pytest.raises(ValueError, match=r"depth is 27; it must be 6n \+ 4, e.g. 22 or 28"):
        cifar_wide("x", 27, 10)


@given(n=st.integers(1, 40))
def test_any_depth_of_the_closed_form_is_a_net(n):
    assert cifar_resnet("x", 6 * n + 2).depth == 6 * n + 2
    assert cifar_bottleneck("x", 9 * n + 2).depth == 9 * n + 2


def test_set_on_the_command_line_reaches_spec_fields():
    spec = set_fields(
        get_spec("resnet20_cifar"), {"shortcut": "none", "stage_blocks": "[1, 1, 1]", "se_reduction": "4"}
    )
    assert (spec.shortcut, spec.stage_blocks, spec.se_reduction) == ("none", (1, 1, 1), 4)
    with pytest.raises(UserError, match="shortcut"):
        set_fields(get_spec("resnet20_cifar"), {"shortcut": "Z"})
    with pytest.raises(UserError, match="did you mean stage_blocks"):
        set_fields(get_spec("resnet20_cifar"), {"stage_block": "[1]"})


def test_damaged_spec_json_is_a_user_error():
    good = spec_to_json(get_spec("resnet18"))
    for bad, message in (
        ({**good, "kind": "mlp"}, "kind is 'mlp'"),
        ({k: v for k, v in good.items() if k != "kind"}, "kind 'residual' or 'vgg'"),
        ({**good, "depht": 3}, "unknown field 'depht'"),
        ({**good, "stage_blocks": "many"}, "stage_blocks"),
        ({**good, "shortcut": "Q"}, "shortcut"),
        ([], "kind"),
    ):
        with pytest.raises(UserError, match="file.json: .*" + message):
            spec_from_json(bad, "file.json")


def test_a_name_is_a_label_that_no_rule_reads():
    flowers = replace(get_spec("resnet20_cifar"), name="plain_flowers")
    assert flowers.blocks() == get_spec("resnet20_cifar").blocks()
    assert get_spec("plain20_cifar", shortcut="A").blocks() == get_spec("resnet20_cifar").blocks()
