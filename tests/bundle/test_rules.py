"""Nonsense in a header or its tensors: refused by name when it is sealed, and when somebody else has sealed it."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from reslearn.bundle import rules
from reslearn.bundle.file import load, read_tensors, save, write_sealed
from reslearn.bundle.header import Bundle, header_to_json
from reslearn.runtime.container import NO_DIGEST
from reslearn.spec.errors import UserError

from .sealing import TINY, bundle_of, forge, one_line_from, tiny, with_spec

NAN, INF = float("nan"), float("inf")


def with_member(header, **fields):
    return {**header, "members": [{**header["members"][0], **fields}]}


def with_preprocess(header, **fields):
    return {**header, "preprocess": {**header["preprocess"], **fields}}


HEADERS = [
    (lambda h: {**h, "temperature": 1e-300}, "temperature is 1e-300; it must be a number in 0.0001.."),
    (lambda h: {**h, "temperature": -1}, "temperature is -1"),
    (lambda h: {**h, "temperature": True}, "temperature is true; expected a number"),
    (lambda h: {**h, "temperature": "1.5"}, 'temperature is "1.5"; expected a number'),
    (lambda h: {**h, "temperature": 10**400}, "temperature"),
    (lambda h: {**h, "threshold": -0.1}, "threshold is -0.1; it must be a number in 0..1"),
    (lambda h: {**h, "threshold": 1.5}, "threshold is 1.5"),
    (lambda h: {**h, "threshold": False}, "threshold is false"),
    (lambda h: with_member(h, weight=True), "members 0: weight is true"),
    (lambda h: with_member(h, weight=-1), "member weights must be numbers"),
    (lambda h: with_member(h, prefix="seen."), "prefix 'seen.'"),
    (lambda h: with_member(h, prefix="zz."), "no tensor has the prefix 'zz.'"),
    (lambda h: {**h, "classes": ["cat", "cat", "eel"]}, "classes: 'cat' is there twice"),
    (lambda h: {**h, "classes": ["cat", "", "eel"]}, "classes: '' is no class name"),
    (lambda h: {**h, "classes": ["cat", "d\0g", "eel"]}, "is no class name"),
    (lambda h: {**h, "classes": ["cat", 7, "eel"]}, "classes.1"),
    (lambda h: {**h, "data": {"selected_on": ["test"]}}, "data.selected_on is ['test']; it must be a text"),
    (lambda h: {**h, "data": {"selected_on": True}}, "data.selected_on is True"),
    (lambda h: {**h, "data": {"train": -1}}, "data.train is -1"),
    (lambda h: {**h, "data": ["val"]}, "data"),
    (lambda h: {**h, "scores": {"val": {"top1": "0.9"}}}, "scores.val.top1 is '0.9'; it must be a number in 0..1"),
    (lambda h: {**h, "scores": {"val": {"top1": True}}}, "scores.val.top1 is True"),
    (lambda h: {**h, "scores": {"val": {"top1": 1.2}}}, "scores.val.top1 is 1.2"),
    (lambda h: {**h, "scores": {"val": {"loss": -1}}}, "scores.val.loss is -1"),
    (lambda h: {**h, "scores": {"val": {"top1_interval": [0.1, "x"]}}}, "scores.val.top1_interval"),
    (lambda h: {**h, "scores": {"val": 0.9}}, "scores.val is 0.9"),
    (lambda h: {**h, "scores": [0.9]}, "scores"),
    (lambda h: with_spec(h, published_depth=-3), "published_depth is -3"),
    (lambda h: with_spec(h, stem_channels=True), "stem_channels is true; expected a whole number"),
    (lambda h: with_spec(h, projection_norm=1), "projection_norm is 1; expected true or false"),
    (lambda h: with_spec(h, dropout=2), "dropout is 2"),
    (lambda h: with_preprocess(h, size=4097), "size is 4097; it must be at least 1 and at most 4096"),
    (lambda h: with_preprocess(h, size=10**30, resize=10**30), "size"),
    (lambda h: with_preprocess(h, resize=10**9), "resize is 1000000000"),
    (lambda h: with_preprocess(h, version=2), "version is 2"),
    (lambda h: with_preprocess(h, std=[True, 1, 1]), "std.0 is true"),
    (lambda h: {**h, "sealed_whole_since": 3}, "sealed_whole_since"),
    (lambda h: {**h, "sealed_whole_since": "ever"}, "sealed_whole_since is 'ever'; it must be a date"),
    (lambda h: with_preprocess(h, sise=8), "unknown field 'preprocess.sise'; did you mean preprocess.size"),
    (lambda h: {**h, "seen": {**h["seen"], "x": 1}}, "unknown field 'seen.x'"),
]


@pytest.mark.parametrize(("change", "message"), HEADERS)
def test_a_header_that_says_nonsense(sealed, change, message):
    forge(sealed, change)
    assert message in one_line_from(sealed)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", ["temperature", "threshold", "weight", "top1", "mean"])
def test_no_number_in_a_header_is_anything_else(sealed, number, field):
    """What Python's JSON would read, and JSON does not have."""

    def change(header):
        if field == "weight":
            return with_member(header, weight="@")
        if field == "mean":
            return with_preprocess(header, mean=["@", 0, 0])
        return {**header, **({"scores": {"val": {"top1": "@"}}} if field == "top1" else {field: "@"})}

    forge(sealed, change, text=lambda header: header.replace('"@"', number))
    one_line_from(sealed)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"temperature": INF}, "temperature is inf"),
        ({"temperature": NAN}, "temperature is nan"),
        ({"temperature": 1e-30}, "temperature is 1e-30"),
        ({"temperature": True}, "temperature is True"),
        ({"threshold": NAN}, "threshold is nan"),
        ({"threshold": -1.0}, "threshold is -1.0"),
        ({"classes": ("a", "a", "b")}, "twice"),
        ({"classes": ("a", " ", "b")}, "no class name"),
        ({"data": {"selected_on": 1}}, "selected_on"),
        ({"data": {"seconds": INF}}, "data.seconds is inf"),
        ({"data": {1: 2}}, "data"),
        ({"recipe": {"betas": [NAN]}}, "recipe.betas.0 is nan"),
        ({"scores": {"val": {"top1": NAN}}}, "scores.val.top1 is nan"),
        ({"scores": {"val": {"loss": NAN}}}, "scores.val.loss is nan"),
        ({"scores": {"val": {"images": 1.5}}}, "scores.val.images is 1.5"),
    ],
)
def test_nonsense_from_python_is_no_bundle(fields, message):
    with pytest.raises(UserError, match=message):
        bundle_of(TINY, **fields)


@pytest.mark.parametrize("weights", [(INF,), (NAN,), (-1.0,), (0.0, 0.0), (1e308, 1e308), (True,)])
def test_weights_are_numbers(weights):
    bundle = bundle_of(*[TINY] * len(weights))
    members = [replace(member, weight=weight) for member, weight in zip(bundle.members, weights, strict=True)]
    with pytest.raises(UserError, match="member weights"):
        replace(bundle, members=tuple(members))


def test_what_json_cannot_hold_is_not_sealed(tmp_path):
    for fields in ({"data": {"path": tmp_path}}, {"data": {"other": object()}}, {"recipe": {"x": {1, 2}}}):
        with pytest.raises(UserError):
            save(tmp_path / "m", [tiny()], bundle_of(TINY, **fields))
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("stem.conv.weight", lambda t: t * NAN, "tensor stem.conv.weight holds NaN or infinity (108 of 108 numbers)"),
        ("head.fc.bias", lambda t: t.index_fill(0, torch.tensor([1]), INF), "holds NaN or infinity (1 of 3 numbers)"),
        ("stem.norm.running_var", lambda t: -t, "stem.norm.running_var holds a variance below zero"),
        ("stem.conv.weight", lambda t: t.to(torch.int32), "stem.conv.weight is int32, its network needs floats"),
        ("stem.conv.weight", lambda t: t > 0, "stem.conv.weight is bool, its network needs floats"),
        (
            "stem.conv.weight",
            lambda t: t.to(torch.complex64),
            "is complex64, its network needs floats",
        ),
        ("stem.norm.num_batches_tracked", lambda t: t.float(), "is float32, its network needs integers"),
    ],
)
def test_tensors_that_no_network_has(sealed, name, change, message):
    bundle, tensors = read_tensors(sealed)
    tensors[name] = change(tensors[name])
    with pytest.raises(UserError) as caught:
        write_sealed(sealed.with_name("other"), tensors, bundle)
    assert message in str(caught.value) and not sealed.with_name("other").exists()
    forge(sealed, tensors=tensors)
    assert message in one_line_from(sealed)


def test_half_precision_is_float(sealed):
    _, tensors = read_tensors(sealed)
    forge(sealed, tensors={n: t.to(torch.bfloat16) if t.is_floating_point() else t for n, t in tensors.items()})
    assert load(sealed).net.stem.conv.weight.dtype == torch.float32


@pytest.mark.parametrize("prefix", ["{}.", "0.{}.", "member-{}/"])
def test_a_thousand_members_without_tensors_cost_nothing(sealed, prefix):
    """Each names another network, so that no two could be laid out at once."""

    def change(header):
        member = header["members"][0]
        spec = {**member["spec"], "stage_blocks": [9] * 20, "stage_channels": [4] * 20}
        return {
            **header,
            "members": [{**member, "prefix": prefix.format(i), "spec": {**spec, "name": f"n{i}"}} for i in range(1000)],
        }

    forge(sealed, change)
    start = time.process_time()
    assert "prefix" in one_line_from(sealed)
    assert time.process_time() - start < 1  # of this process alone: a busy machine is no failure


def test_whatever_is_sealed_can_be_opened():
    """The header reads itself back before a byte is written."""
    text = header_to_json(bundle_of(TINY, scores={"val": {"top1": 1, "loss": INF}}, data={"path": None}))
    assert text.startswith(f'{{"sha256":"{NO_DIGEST}",') and json.loads(text)["scores"]["val"]["loss"] is None
    assert isinstance(bundle_of(TINY), Bundle)


def test_a_spec_of_many_layers_is_not_laid_out(sealed):
    """VGG's convolutions are counted against the tensors too."""
    vgg = {"kind": "vgg", "name": "v", "stage_convs": [9999], "stage_channels": [4], "num_classes": 3}
    forge(sealed, lambda h: with_member(h, spec=vgg))
    start = time.process_time()
    assert "more blocks than the file has tensors" in one_line_from(sealed)
    assert time.process_time() - start < 1


def test_tensors_outside_every_member(sealed):
    _, tensors = read_tensors(sealed)
    for name in ("more", "seen.trained", "preprocess.mean_image"):
        forge(sealed, tensors=tensors | {name: torch.zeros(2)})
        assert f"tensor {name} belongs to no network" in one_line_from(sealed)
    sealed.write_bytes(safetensors.torch.save({"a": torch.zeros(1)}))
    assert "did not seal" in one_line_from(sealed)


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [
        (rules.SHARE, [0, 0.5, 1], [-0.1, 1.1, True, "0", NAN]),
        (rules._PERCENT, [0, 0.5, 100], [-0.1, 100.1, True, NAN]),
        (rules._NOT_NEGATIVE, [0, 1e9], [-1, True, INF, NAN]),
        (rules._LOSS, [0, INF], [-1, -INF, NAN, True]),
        (rules.INTERVAL, [[0, 1], (0.2, 0.3)], [[0], [0, 1, 1], [0, 2], "01", 1]),
        (rules._COUNT, [0, 7], [-1, 1.0, True, "1"]),
        (rules.TEXT, ["", "x"], [1, ["x"]]),
        (rules._FLAG, [True, False], [0, 1, "true"]),
        (rules._TEXTS, [[], ["x"], ("x", "y")], ["x", [1], ["x", 1]]),
        (
            rules._SEEN,
            [{"known_by": "content", "trained": 1, "selected": 0}, {"known_by": "names", "trained": None}],
            [{"trained": 1}, {"known_by": "me"}, ["known_by"], {"known_by": "names", "selected": "2"}],
        ),
        (rules._SEEN, [{"known_by": "nothing", "selected": 3}], [{"known_by": "nothing", "trained": -1}]),
    ],
)
def test_what_a_field_may_be(rule, right, wrong):
    assert [value for value in right if not rule.holds(value)] == []
    assert [value for value in wrong if rule.holds(value)] == []


@pytest.mark.parametrize("field", ["output", "combine"])
def test_a_bundle_answers_in_a_known_way(field):
    with pytest.raises(UserError, match=f"{field} is 'odds'; valid: "):
        rules.check_bundle(replace(bundle_of(TINY), **{field: "odds"}))
