"""A model as a repository holds it: timm's names, what recognises pictures in a file beside, and all of it back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors import safe_open

from reslearn.bundle.file import load, read_bundle, reseal, save, verify
from reslearn.bundle.header import SEEN_FILE, Bundle, Member
from reslearn.bundle.repository import layout_of, write_published
from reslearn.data.parts.known import FORGOTTEN, NOTHING, Known
from reslearn.nets.build import create_model
from reslearn.nets.state_files import read_contents
from reslearn.spec.catalogue import get_spec
from reslearn.spec.errors import UserError
from reslearn.spec.preprocess import Preprocess

from .sealing import CLASSES, bundle_of, forge, one_line_from, tiny

SMALL = get_spec("resnet18", num_classes=3, stage_blocks=(1, 1, 1, 1))
GATED = get_spec("se_resnet50", num_classes=3, stage_blocks=(1, 1, 1, 1))
PRE = get_spec("preact_resnet18", num_classes=3, stage_blocks=(1, 1, 1, 1), first_norm="after_pool")
KNOWN = Known(np.array([-5, 3, 9], np.int64), np.array([4], np.int64))


@pytest.fixture
def published(tmp_path):
    """published(spec, known) -> (sealed file, folder) of one network."""

    def make(spec=SMALL, known=KNOWN):
        net = tiny(spec=spec)
        prepare = Preprocess(64, 72, "crop", interpolation="bicubic")
        bundle = Bundle((Member(spec),), prepare, classes=CLASSES, temperature=1.5, threshold=0.4)
        save(tmp_path / "m.safetensors", [net], bundle, known=known)
        loaded = load(tmp_path / "m.safetensors")
        (tmp_path / "r").mkdir()
        write_published(tmp_path / "r", loaded.net.state_dict(), loaded.bundle, loaded.known)
        return loaded, tmp_path / "r"

    return make


@pytest.mark.parametrize("spec", [SMALL, GATED, PRE, bundle_of(tiny().spec).members[0].spec], ids=lambda s: s.name)
def test_all_of_it_comes_back(published, spec):
    loaded, folder = published(spec)
    again = load(folder)
    assert replace(again.bundle, sha256="") == replace(loaded.bundle, sha256="")
    assert verify(folder) == again.bundle and replace(read_bundle(folder), sha256=again.bundle.sha256) == again.bundle
    assert again.identity() == loaded.identity()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(again.net(x), loaded.net(x))
    assert np.array_equal(again.known.trained, KNOWN.trained) and again.known.known_by == "content"


def test_the_tensors_bear_timm_s_names_alone(published):
    _, folder = published()
    names = set(safetensors.torch.load_file(folder / "model.safetensors"))
    assert {"conv1.weight", "layer1.0.bn1.running_mean", "fc.bias"} < names and not any("seen" in n for n in names)
    assert set(safetensors.torch.load_file(folder / SEEN_FILE)) == {"seen.trained", "seen.selected"}
    with safe_open(folder / "model.safetensors", "pt") as opened:
        assert set(opened.metadata()) == {"reslearn.bundle"}


def test_it_is_weights_to_start_from(published):
    loaded, folder = published()
    contents = read_contents(folder)
    assert contents.sealed and contents.facts.classes == CLASSES
    assert contents.facts.preprocess.interpolation == "bicubic"
    ours, theirs = create_model(SMALL, weights=folder).state_dict(), loaded.net.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_recognises_pictures_is_missing(published, capfd):
    _, folder = published()
    (folder / SEEN_FILE).unlink()
    again = load(folder)
    assert again.known.known_by == "nothing" and not len(again.known.trained)
    assert "nobody knows which pictures it was trained on" in capfd.readouterr().err


def test_what_recognises_pictures_was_altered(published):
    _, folder = published()
    content = bytearray((folder / SEEN_FILE).read_bytes())
    content[-1] ^= 1
    (folder / SEEN_FILE).write_bytes(content)
    with pytest.raises(UserError, match=r"seen\.safetensors: altered") as raised:
        load(folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("known", [NOTHING, FORGOTTEN])
def test_nothing_lies_beside_where_nothing_is_known(published, known):
    loaded, folder = published(known=known)
    assert sorted(path.name for path in folder.iterdir()) == ["model.safetensors"]
    assert load(folder).bundle.seen == loaded.bundle.seen


def test_one_byte_more_or_less_is_noticed(published):
    _, folder = published()
    path = folder / "model.safetensors"
    content = path.read_bytes()
    for at in (200, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        assert one_line_from(path)


def test_it_is_not_changed_under_its_name(published):
    _, folder = published()
    with pytest.raises(UserError, match="published; change the model"):
        reseal(folder, temperature=2.0)


@pytest.mark.parametrize(
    "fields", [{"layout": "caffe"}, {"layout": 1}, {"beside": {"x": "y"}}, {"beside": None}, {"layout": "akamaster"}]
)
def test_a_forged_layout_is_one_line(published, fields):
    _, folder = published()
    forge(folder / "model.safetensors", lambda header: header | fields)
    assert one_line_from(folder / "model.safetensors")


def test_ensembles_and_mean_images_keep_our_names():
    assert layout_of(bundle_of(SMALL, SMALL)) == "reslearn"
    plain = Bundle((Member(SMALL),), Preprocess(64, 64), classes=CLASSES)
    assert layout_of(plain) == "timm" and layout_of(bundle_of(tiny().spec)) == "reslearn"
    with_image = replace(plain, preprocess=Preprocess(64, 64, mean_image="ab" * 32))
    assert layout_of(with_image) == "reslearn"


def test_headers_of_before_have_the_identity_that_they_had(tmp_path):
    """The header as it was written before there were `interpolation` and `source`: its digest must not move."""
    from reslearn.bundle.header import header_text

    text = header_text(bundle_of(tiny().spec), digest=True)
    assert "interpolation" not in text and "source" not in json.loads(text)
