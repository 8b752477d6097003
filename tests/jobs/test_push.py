"""`push` and `card`: what is written, what it says, and that it comes back; the hub is a double on loopback."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from reslearn.bundle.file import load, save
from reslearn.bundle.header import Bundle, Member
from reslearn.data.sources import open_data
from reslearn.jobs.card import card_of, model_card
from reslearn.jobs.evaluation import evaluate_model
from reslearn.jobs.push import config_of, crop_pct, push_model
from reslearn.nets.build import create_model
from reslearn.nets.facts import find_facts
from reslearn.spec.catalogue import get_spec
from reslearn.spec.errors import UserError
from reslearn.spec.preprocess import Preprocess

SPEC = get_spec("resnet18", num_classes=2, stage_blocks=(1, 1, 1, 1))
SCORE = {"images": 50, "top1": 0.82, "top5": 1.0, "top1_interval": [0.69, 0.9], "loss": 0.5, "protocol": "1-crop"}


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    bundle = Bundle(
        (Member(SPEC),), Preprocess(32, 36, "crop"), classes=("Katze, klein", "개"), temperature=1.25,
        scores={"val": SCORE}, data={"path": "/secret/place/pets", "fingerprint": "ab12", "train": 90, "val": 10},
        recipe={"name": "mine", "source": "a: b", "epochs": 3.0, "departures": ["x"]},
    )  # fmt: skip
    save(tmp_path / "m.safetensors", [create_model(SPEC)], bundle)
    return tmp_path / "m.safetensors"


def test_a_folder_comes_back_equal_and_is_replaced_by_another(model, tmp_path):
    value = push_model(model, folder=tmp_path / "r")
    assert value.layout == "timm" and value.architecture == "resnet18" and value.hashes == 0
    assert value.files == ("README.md", "config.json", "model.safetensors")
    one, again = load(model), load(tmp_path / "r")
    assert replace(again.bundle, sha256="") == replace(one.bundle, sha256="") and again.identity() == one.identity()
    assert push_model(tmp_path / "r", folder=tmp_path / "r").sha256 == value.sha256


def test_a_folder_with_other_things_is_left_alone(model, tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"thesis\.txt is there"):
        push_model(model, folder=tmp_path / "r")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "README.md").write_text("mine")
    with pytest.raises(UserError, match=r"README\.md is there"):
        push_model(model, folder=tmp_path / "s")


def test_the_configuration_says_what_the_file_says(model, tmp_path):
    push_model(model, folder=tmp_path / "r")
    config = json.loads((tmp_path / "r" / "config.json").read_text())
    facts, notes = find_facts("x", tmp_path / "r", config)
    bundle = load(model).bundle
    assert (facts.preprocess, facts.classes, notes) == (bundle.preprocess, bundle.classes, ())
    assert facts.network == replace(SPEC, name="resnet18") and config["model_args"] == {"layers": [1, 1, 1, 1]}


@pytest.mark.parametrize(("size", "resize"), [(224, 256), (224, 232), (32, 36), (288, 288), (160, 183), (224, 235)])
def test_timm_which_rounds_down_resizes_as_we_do(size, resize):
    assert int(size / crop_pct(Preprocess(size, resize, "crop"))) == resize
    assert round(size / crop_pct(Preprocess(size, resize, "crop"))) == resize


def test_a_network_that_timm_lacks_keeps_our_names():
    config = config_of(Bundle((Member(get_spec("resnet20_cifar")),), Preprocess(32, 32)), "reslearn")
    assert config["library_name"] == "reslearn" and config["networks"][0]["name"] == "resnet20_cifar"


def test_the_card_says_it(model):
    card = card_of(model)
    for words in ("82.00 %", "69.00 % to 90.00 %", "1-crop", "`ab12`", "Recipe `mine` (a: b)", "temperature 1.25",
                  "## Limits", "reslearn.load", "개", "not known: the model does not say"):  # fmt: skip
        assert words in card.text
    assert "/secret" not in card.text
    assert card.metadata["pipeline_tag"] == "image-classification"
    found = card.metadata["model-index"][0]["results"][0]
    assert found["dataset"]["split"] == "val" and found["metrics"][0]["value"] == 0.82


def test_the_card_names_the_repository_only_where_there_is_one(model, tmp_path):
    push_model(model, folder=tmp_path / "mine")
    written = (tmp_path / "mine" / "README.md").read_text()
    for text in (card_of(model).text, written):
        assert 'reslearn.load("FOLDER")' in text and "hf://" not in text and "hf-hub:" not in text
    assert 'timm.create_model("local-dir:FOLDER", pretrained=True)' in written
    both = model_card(load(model), name="me/net", layout="timm", hashes=False).text
    assert 'reslearn.load("hf://me/net")' in both and 'timm.create_model("hf-hub:me/net"' in both


def test_a_card_goes_by_the_name_that_people_gave(model, tmp_path, monkeypatch):
    folder = tmp_path / "pets-1.5"
    push_model(model, folder=folder)
    monkeypatch.chdir(folder)
    for named in (folder, ".", "model.safetensors", folder / "model.safetensors"):
        assert card_of(named).text.split("---\n\n", 1)[1].startswith("# pets-1.5\n")
    push_model(model, folder=".")
    assert "\n# pets-1.5\n" in (folder / "README.md").read_text()
    assert "\n# m\n" in card_of(model).text


def test_a_model_that_is_not_there_leaves_no_folder(model, tmp_path):
    with pytest.raises(UserError):
        push_model(tmp_path / "nosuch", folder=tmp_path / "a" / "r")
    assert not (tmp_path / "a").exists()
    with pytest.raises(UserError, match="--private"):
        push_model(model, folder=tmp_path / "r", private=True)
    assert not (tmp_path / "r").exists()


def test_the_head_of_the_card_is_yaml(model):
    yaml = pytest.importorskip("yaml", reason="needs a YAML reader: pip install huggingface_hub")
    card = card_of(model)
    _, head, _ = card.text.split("---\n", 2)
    assert yaml.safe_load(head) == card.metadata


def test_a_run_s_pictures_are_known_from_its_folder(short_run, tmp_path):
    value = push_model(short_run, folder=tmp_path / "r")
    assert value.hashes > 0 and "seen.safetensors" in value.files
    assert "can tell whether it was among them" in (tmp_path / "r" / "README.md").read_text()
    seen = evaluate_model(load(tmp_path / "r"), open_data("digits"), split="train").seen
    assert seen.trained > 0 and seen.known_by == "content"
    forgotten = push_model(short_run, folder=tmp_path / "f", forget_pictures=True)
    assert forgotten.hashes == 0 and load(tmp_path / "f").known.known_by == "nothing"


def test_what_recognises_pictures_is_believed_whole_or_missed_aloud(short_run, tmp_path, capfd):
    push_model(short_run, folder=tmp_path / "r")
    beside = tmp_path / "r" / "seen.safetensors"
    content = beside.read_bytes()
    beside.write_bytes(content + b"x")
    with pytest.raises(UserError, match="altered"):
        load(tmp_path / "r")
    beside.unlink()
    assert load(tmp_path / "r").known.known_by == "nothing"
    assert "nobody knows which pictures" in capfd.readouterr().err


def test_nothing_goes_up_unasked(model):
    with pytest.raises(UserError, match="name the repository"):
        push_model(model)
    with pytest.raises(UserError, match="hf://OWNER/REPO"):
        push_model(model, "hf://me")
    asked = []
    with pytest.raises(UserError, match="nothing was uploaded"):
        push_model(model, "hf://me/net", agree=lambda question: bool(asked.append(question)))
    assert asked == ["upload 3 files to hf://me/net?"]
