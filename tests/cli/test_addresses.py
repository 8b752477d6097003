"""Addresses through the command line: fetched, used, refused in one line; and repositories written and uploaded."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save

from reslearn.bundle.file import load
from reslearn.cli.app import main
from reslearn.nets.build import create_model
from reslearn.nets.weights import export_state
from reslearn.predictor.predictor import predict
from reslearn.spec.catalogue import get_spec

SPEC = get_spec("resnet18", num_classes=3, stage_blocks=(1, 1, 1, 1))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return create_model(SPEC).eval()


@pytest.fixture
def repository(hub, net, timm_config):
    """The address of a repository of timm's kind that holds `net`."""
    state = {name: tensor.contiguous() for name, tensor in export_state(net, "timm").items()}
    hub.repositories["timm/net"] = {"config.json": json.dumps(timm_config).encode(), "model.safetensors": save(state)}
    return "hf://timm/net"


@pytest.fixture
def pets(tmp_path):
    draws = np.random.default_rng(0)
    for label in "abc":
        (tmp_path / "pets" / label).mkdir(parents=True)
        for i in range(12):
            picture = draws.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "pets" / label / f"{i}.png"), picture)
    return tmp_path / "pets"


def said(capfd, *arguments, status=0):
    """The JSON that a command prints, after checking its exit status."""
    assert main([*map(str, arguments), "--json"]) == status
    out = capfd.readouterr()
    return json.loads(out.out) if status == 0 else out.err


def test_a_repository_is_a_model(repository, net, pets, capfd):
    picture = pets / "a" / "0.png"
    found = said(capfd, "predict", repository, picture)[0]["predictions"]
    loaded = load(repository)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(loaded.net(x), net(x))
    assert [one["label"] for one in found] == [one.label for one in predict(loaded, str(picture))[0].predictions]
    assert loaded.bundle.preprocess.interpolation == "bicubic" and loaded.bundle.preprocess.resize == 37
    scores = said(capfd, "evaluate", repository, pets)
    assert scores["images"] == 36 and scores["seen"]["known_by"] == "nothing"


def test_a_repository_becomes_a_sealed_file_that_says_where_it_is_from(repository, hub, tmp_path, capfd):
    value = said(capfd, "convert", repository, "-o", tmp_path / "m.safetensors")
    bundle = load(value["model"]).bundle
    assert bundle.classes == ("a", "b", "c") and bundle.preprocess.mean == (0.5,) * 3
    assert bundle.source["weights"] == f"hf://timm/net@{hub.commit}" and bundle.source["licence"] == "mit"


def test_training_from_a_repository_brings_its_facts_along(repository, hub, pets, tmp_path, capfd):
    small = ["--set", "epochs=1", "--set", "batch_size=16", "--set", "spec.stage_blocks=[1,1,1,1]"]
    asked = ["train", pets, "--model", "resnet18", "--recipe", "finetune", "--weights", repository, *small]
    plan = said(capfd, *asked, "--out", tmp_path / "dry", "--dry-run")
    assert plan["preprocess"]["interpolation"] == "bicubic" and plan["preprocess"]["size"] == 32
    assert plan["weights"]["source"]["licence"] == "mit" and any("batch norm" in line for line in plan["frozen"])
    done = said(capfd, *asked, "--out", tmp_path / "run")
    assert {"top1", "strength", "gain"} <= done["probe"].keys()
    assert done["probe"]["gain"] == pytest.approx(done["val"]["top1"] - done["probe"]["top1"])
    page = (tmp_path / "run" / "report.html").read_text()
    assert f"hf://timm/net@{hub.commit}" in page and "Weights at the start" in page
    gain = 100 * done["probe"]["gain"]
    words = f"lost to it by {-gain:.2f} points" if gain < 0 else f"gained {gain:.2f} points over it"
    assert page.count(f"fine-tuning {words}") == 2  # beside the score, and in full among the record
    bundle = load(tmp_path / "run").bundle
    assert bundle.source["weights"].startswith("hf://timm/net@") and bundle.preprocess.std == (0.25,) * 3
    hub.always["*"] = "500"
    assert json.loads((tmp_path / "run" / "probe.json").read_text()) == done["probe"]
    assert said(capfd, "resume", tmp_path / "run")["probe"] == done["probe"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evaluate", "hf://timm/none", "digits"], "there is no such repository"),
        (["predict", "torchvision://ResNet5_Weights.X", "x.png"], "unknown weights of torchvision"),
        (["convert", "https://127.0.0.1/w.pth#sha256=1", "-o", "x"], "64 hexadecimal digits"),
        (["train", "digits", "--model", "resnet20_cifar", "--recipe", "finetune", "--out", "x", "--weights", "default"],
         "no weights are known by name for resnet20_cifar"),
        (["weights", "alexnet"], "unknown weights or network 'alexnet'"),
        (["calibrate", "hf://timm/net", "digits"], "convert"),
        (["push", "hf://timm/net"], "name the repository"),
        (["push", "hf://timm/net", "hf://me/net"], "give --yes"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(repository, arguments, words, capfd):
    error = said(capfd, *arguments, status=2)
    last = [line for line in error.splitlines() if line.startswith("reslearn: ")]
    assert len(last) == 1 and words in last[0]


def test_known_weights_are_listed(capfd):
    rows = said(capfd, "weights", "resnet50")
    assert {row["network"] for row in rows} == {"resnet50"}
    best = next(row for row in rows if row["address"].endswith("ResNet50_Weights.IMAGENET1K_V2"))
    theirs = said(capfd, "weights", "seresnet*")  # as timm calls them
    assert theirs and all(row["address"].startswith("hf://timm/seresnet") for row in theirs)
    assert best["acc1"] == 80.858 and best["sha256"] == "11ad3fa6" and best["resize"] == 232


def test_a_repository_goes_up_and_comes_down_again(repository, hub, net, tmp_path, capfd):
    value = said(capfd, "push", repository, "hf://me/mine", "--yes", "--to-folder", tmp_path / "r")
    assert value["layout"] == "timm" and value["url"].endswith("me/mine")
    assert hub.repositories["me/mine"]["model.safetensors"] == (tmp_path / "r" / "model.safetensors").read_bytes()
    again, x = load("hf://me/mine"), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(again.net(x), net(x))
    assert again.bundle.classes == ("a", "b", "c")


def test_a_card_is_printed_and_written(repository, tmp_path, capfd):
    value = said(capfd, "card", repository, "-o", tmp_path / "README.md")
    assert value["card"] == (tmp_path / "README.md").read_text() and value["metadata"]["license"] == "mit"
    assert "\n# timm/net\n" in value["card"] and 'reslearn.load("hf://timm/net")' in value["card"]
    assert said(capfd, "card", repository, "-o", tmp_path / "README.md")["card"] == value["card"]
    (tmp_path / "thesis.md").write_text("years")
    assert "no model card of reslearn" in said(capfd, "card", repository, "-o", tmp_path / "thesis.md", status=2)
