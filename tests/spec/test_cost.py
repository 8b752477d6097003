"""Counts by arithmetic against figures that other people published, and the papers' closed forms."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reslearn.spec.catalogue import CATALOGUE, cifar_bottleneck, cifar_resnet, get_spec
from reslearn.spec.cost import cost
from reslearn.spec.errors import UserError

GOLDEN = json.loads((Path(__file__).parent / "golden_costs.json").read_text())
UNITS = {"G": 1e9, "M": 1e6}


def spec_of(entry):
    return get_spec(entry["name"], **{k: tuple(v) if isinstance(v, list) else v for k, v in entry["changes"].items()})


def rounds_to(value: int, printed: str) -> bool:
    number, unit = printed.split()
    return f"{value / UNITS[unit]:.{len(number.partition('.')[2])}f}" == number


@pytest.mark.parametrize(
    "entry", GOLDEN["entries"], ids=lambda e: "-".join([e["name"], *map(str, e["changes"].values())])
)
def test_counts_equal_the_golden_file(entry):
    counted = cost(spec_of(entry))
    assert (counted.parameters, counted.macs) == (entry["parameters"], entry["macs"]), entry["cite"]
    if entry["printed_macs"]:
        assert rounds_to(counted.macs, entry["printed_macs"]), entry["cite"]


@pytest.mark.parametrize("part", GOLDEN["parts"], ids=lambda p: f"{p['name']}-{p['layers']}-{p['measure']}")
def test_parts_of_nets_equal_the_golden_file(part):
    layers = [layer for layer in cost(spec_of(part)).layers if re.fullmatch(part["layers"], layer.name)]
    value = len(layers) if part["measure"] == "count" else sum(getattr(layer, part["measure"]) for layer in layers)
    expected = part["value"]
    assert rounds_to(value, expected) if isinstance(expected, str) else value == expected, part["cite"]


def test_every_name_is_in_the_golden_file_and_every_skip_has_a_reason():
    assert {entry["name"] for entry in GOLDEN["entries"] if not entry["changes"]} == set(CATALOGUE)
    assert all(entry["cite"] for entry in GOLDEN["entries"] + GOLDEN["parts"])
    assert all(skip["figure"] and skip["why"] for skip in GOLDEN["skipped"])


@settings(max_examples=25)
@given(n=st.integers(1, 200))
def test_closed_forms_of_the_cifar_nets(n):
    net = cifar_resnet("x", 6 * n + 2)
    a = cost(net).parameters
    assert a == 97_216 * n - 21_926
    assert cost(replace(net, shortcut="B")).parameters == a + 2_752
    assert cost(replace(net, shortcut="C")).parameters == 102_816 * n - 24_486
    assert cost(replace(net, num_classes=100)).parameters == a + 5_850


@settings(max_examples=25)
@given(n=st.integers(1, 111))
def test_closed_form_of_the_preactivation_bottlenecks(n):
    net = cifar_bottleneck("x", 9 * n + 2, activation="pre", projection_norm=False)
    assert cost(net).parameters == 92_736 * n + 34_010


@given(c=st.integers(1, 64), d=st.integers(1, 64))
def test_equation_4_of_resnext(c, d):
    block = [
        x for x in cost(get_spec("resnext50_32x4d", groups=c, group_width=d)).layers if "stages.0.1.conv" in x.name
    ]
    assert sum(layer.parameters for layer in block) == c * (256 * d + 9 * d**2 + 256 * d)


@pytest.mark.parametrize(
    "name", [n for n in CATALOGUE if CATALOGUE[n].__class__.__name__ == "NetSpec" and "plain" not in n]
)
def test_option_a_and_its_plain_twin_cost_the_same(name):
    option_a = cost(get_spec(name, shortcut="A", zero_init_last_gamma=False))
    plain = cost(get_spec(name, shortcut="none"))
    assert (option_a.parameters, option_a.macs) == (plain.parameters, plain.macs)


@given(size=st.integers(1, 300))
def test_sizes_follow_the_picture(size):
    layers = {layer.name: layer.output_size for layer in cost(get_spec("resnet18"), size).layers}
    half = lambda n: (n + 1) // 2  # noqa: E731
    assert layers["stem.conv"] == half(size)
    assert layers["stages.0.0.conv1"] == half(half(size))
    assert layers["stages.3.1.conv2"] == half(half(half(half(half(size)))))


def test_activations_count_what_convolutions_put_out():
    counted = cost(get_spec("resnet18"))
    # by hand: 64 * 112^2, then 5, 5, 5, 5 convolutions of 64 .. 512 at 56 .. 7 with one projection in the last three
    assert counted.activations == 64 * 112**2 + 4 * 64 * 56**2 + 5 * (128 * 28**2 + 256 * 14**2 + 512 * 7**2)


def test_a_picture_too_small_is_an_error():
    with pytest.raises(UserError, match="image_size is 0; it must be at least 1"):
        cost(get_spec("resnet18"), 0)
    with pytest.raises(UserError, match="image_size is too small for vgg16; it must be at least 32"):
        cost(get_spec("vgg16"), 31)
