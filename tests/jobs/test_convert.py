"""What `convert` keeps of a sealed file, what it replaces; lists of class names as other systems write them."""

import hashlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reslearn.bundle.ensemble import seal_ensemble
from reslearn.bundle.file import load, read_bundle, save
from reslearn.bundle.header import Bundle, Member
from reslearn.data.parts.known import Known
from reslearn.jobs.convert import convert_weights, read_class_names
from reslearn.nets.build import create_model
from reslearn.nets.weights import export_state
from reslearn.spec.catalogue import get_spec
from reslearn.spec.errors import UserError
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import Preprocess
from reslearn.train.origin import read_origin

SPEC = NetSpec("tiny", "cifar", 4, "basic", (1, 1), (4, 8), num_classes=3)
FIXTURES = Path(__file__).parent.parent / "fixtures"
KNOWN = Known(np.arange(9), np.arange(3, 5))


@pytest.fixture
def sealed(tmp_path):
    """A sealed file that says everything that one can say."""
    image = torch.rand(3, 8, 8)
    digest = hashlib.sha256(image.numpy().tobytes()).hexdigest()
    bundle = Bundle(
        (Member(SPEC),),
        Preprocess(8, 8, mode="pad", mean_image=digest),
        classes=("ant", "bee", "cow"),
        temperature=1.5,
        threshold=0.4,
        recipe={"name": "r"},
        data={"path": "d", "selected_on": "test", "train": 5},
        scores={"val": {"top1": 0.5}},
    )
    torch.manual_seed(0)
    save(tmp_path / "m", [create_model(SPEC)], bundle, mean_image=image, known=KNOWN)
    return tmp_path / "m"


def test_all_that_a_sealed_file_says_is_kept(sealed, tmp_path):
    value = convert_weights(sealed, SPEC, out=tmp_path / "n")
    before, after = load(sealed), load(tmp_path / "n")
    assert after.bundle == replace(before.bundle, sha256=after.bundle.sha256) and value.notes == ()
    assert np.array_equal(after.known.trained, KNOWN.trained) and np.array_equal(after.known.selected, KNOWN.selected)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(after.net(x), before.net(x)) and torch.equal(after.mean_image, before.mean_image)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"mean": (0.4, 0.4, 0.4)}, "the preprocessing is another now"),
        ({"image_size": 16}, "the preprocessing is another now"),
        ({"spec": replace(SPEC, drop_path=0.1)}, "the network is another now"),
    ],
)
def test_what_no_longer_belongs_to_it_is_left_out_aloud(sealed, tmp_path, options, why):
    spec = options.pop("spec", SPEC)
    value = convert_weights(sealed, spec, out=tmp_path / "n", class_names="x,y,z", **options)
    after = read_bundle(tmp_path / "n")
    assert value.notes == (f"left out, as {why}: temperature, threshold, scores",)
    assert (after.temperature, after.threshold, after.scores) == (None, None, {})
    assert after.data["selected_on"] == "test" and after.seen.trained == 9 and after.classes == ("x", "y", "z")


def test_pictures_are_forgotten_when_asked(sealed, tmp_path):
    convert_weights(sealed, SPEC, out=tmp_path / "n", forget_pictures=True)
    after = load(tmp_path / "n")
    assert after.bundle.seen.forgotten and after.known.known_by == "nothing" and len(after.known.trained) == 0


def test_another_layout_holds_tensors_alone(sealed, tmp_path):
    value = convert_weights(sealed, SPEC, out=tmp_path / "k.pth", to="akamaster")
    words = "preprocessing, classes, temperature, threshold, recipe, data, scores, seen"
    assert value.notes == (f"left out, as akamaster's layout holds tensors alone: {words}",)
    assert convert_weights(tmp_path / "k.pth", SPEC, out=tmp_path / "n").notes == ()


def test_one_member_left_of_an_ensemble(sealed, tmp_path):
    seal_ensemble(tmp_path / "e", [sealed, sealed], weights=[1, 0], data={"selected_on": "test"})
    assert read_bundle(tmp_path / "e").members[0].prefix == "0."
    convert_weights(tmp_path / "e", SPEC, out=tmp_path / "n")
    after = load(tmp_path / "n")
    assert after.bundle.data == {"selected_on": "test"} and after.bundle.members[0].prefix == ""
    assert np.array_equal(after.known.trained, KNOWN.trained)
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(after.net(x), load(sealed).net(x))


def test_a_file_of_format_1_keeps_its_mark(tmp_path):
    before = read_bundle(FIXTURES / "sealed1_single.safetensors")
    convert_weights(FIXTURES / "sealed1_single.safetensors", before.members[0].spec, out=tmp_path / "n")
    after = read_bundle(tmp_path / "n")
    assert after.sealed_whole_since is not None and (after.format, after.temperature) == (2, before.temperature)
    assert after.data == before.data


def test_neither_the_input_nor_anything_else_is_replaced(sealed, tmp_path):
    torch.save(export_state(create_model(SPEC), "akamaster"), tmp_path / "w.pth")
    (tmp_path / "thesis.txt").write_text("years of work")
    os.link(sealed, tmp_path / "linked")
    for name in ("run", "begun"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    shutil.copy(sealed, tmp_path / "run" / "model.safetensors")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for weights, out, to in (
        ("w.pth", "w.pth", "reslearn"),
        ("w.pth", "w.pth", "akamaster"),
        ("m", "m", "reslearn"),
        ("m", "linked", "reslearn"),
        ("run", "run/model.safetensors", "reslearn"),
        ("w.pth", "thesis.txt", "reslearn"),
        ("w.pth", "run/model.safetensors", "reslearn"),
        ("w.pth", "begun/model.safetensors", "reslearn"),
        ("m", "w.pth", "akamaster"),
        ("w.pth", "m", "akamaster"),
    ):
        with pytest.raises(UserError, match=r"not replaced|belongs to the run in its folder"):
            convert_weights(tmp_path / weights, SPEC, out=tmp_path / out, to=to)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    convert_weights(tmp_path / "w.pth", SPEC, out=tmp_path / "m")  # a sealed file of ours that is not read
    assert read_bundle(sealed).classes is None


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"])
@pytest.mark.parametrize("kind", ["txt", "json", "names"])
def test_lists_in_any_characters(tmp_path, charset, kind, capsys):
    path, names = tmp_path / f"a.{kind}", ("café", "Größe", "dog")
    text = json.dumps(names, ensure_ascii=False) if kind == "json" else "\r\n".join(names) + "\r\n"
    path.write_bytes(text.encode(charset))
    assert read_class_names(str(path)) == names
    assert ("read as Latin-1" in capsys.readouterr().err) == (charset in ("latin-1", "cp1252"))


def test_what_no_list_can_be(tmp_path):
    for text, words in (("cat\ndog\ncat\n", "'cat' is name 1 and name 3"), ("кошка\nсобака\n", "neither UTF-8")):
        (tmp_path / "a.txt").write_bytes(text.encode("cp1251"))
        with pytest.raises(UserError, match=words):
            read_class_names(str(tmp_path / "a.txt"))
    (tmp_path / "b.txt").write_bytes(b"\xff\xd8\xff\xe0\0\x10JFIF\0")
    with pytest.raises(UserError, match=r"b\.txt: (neither UTF-8|not a text file|damaged)"):
        read_class_names(str(tmp_path / "b.txt"))


def test_a_sealed_file_of_another_network_says_which_it_is_of(sealed, tmp_path):
    for other in (replace(SPEC, name="wider", stage_blocks=(1, 2)), get_spec("resnet50"), get_spec("vgg16")):
        with pytest.raises(UserError, match=rf"sealed as tiny, not {other.name}: take that"):
            convert_weights(sealed, other, out=tmp_path / "x.safetensors")
        with pytest.raises(UserError, match=rf"sealed as tiny, not {other.name}: take that"):
            read_origin(str(sealed), other)
