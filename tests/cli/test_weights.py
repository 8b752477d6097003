"""Runs that start from weights: what they adopt, what they say before the first step, and what they refuse."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from reslearn.bundle.file import load, read_bundle
from reslearn.cli.app import main
from reslearn.nets.build import create_model
from reslearn.nets.weights import export_state

TINY = ["--model", "resnet20_cifar", "--set", "spec.stage_blocks=1,1,1", "--set", "spec.stem_channels=8"]
TINY += ["--set", "spec.stage_channels=8,8,8", "--set", "batch_size=8"]
SHORT = ["--recipe", "fast-cifar", "--set", "iterations=1"]
SPEC = {"stage_blocks": (1, 1, 1), "stem_channels": 8, "stage_channels": (8, 8, 8)}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two classes of ten small pictures."""
    root = tmp_path_factory.mktemp("data") / "pictures"
    for name, colour in (("cat", 60), ("dog", 180)):
        (root / name).mkdir(parents=True)
        for i in range(10):
            noise = np.random.default_rng(colour + i).integers(-50, 50, (20, 24, 3))
            Image.fromarray((noise + colour).astype(np.uint8)).save(root / name / f"{i}.png")
    return root


@pytest.fixture
def run(capsys):
    """run(arguments...) -> (status, standard output, lines on standard error)."""

    def call(*arguments):
        capsys.readouterr()  # what a fixture printed
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return status, out, err.splitlines()

    return call


@pytest.fixture(scope="module")
def sealed(pictures, tmp_path_factory):
    """sealed(name, options...) -> a finished run with that preprocessing, made once."""
    made, root = {}, tmp_path_factory.mktemp("runs")

    def make(name, *options):
        if name not in made:
            made[name] = root / name
            assert main(["train", str(pictures), *TINY, *SHORT, *options, "--out", str(made[name])]) == 0
        return made[name]

    return make


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """A checkpoint of five classes, plain and averaged, as timm writes it."""
    path = tmp_path_factory.mktemp("foreign") / "last.pth.tar"
    plain, average = (export_state(create_model("resnet20_cifar", num_classes=5, **SPEC), "akamaster") for _ in "ab")
    torch.save({"state_dict": plain, "state_dict_ema": average, "epoch": 3}, path)
    return path, plain, average


def planned(run, pictures, *options):
    never = ["--out", pictures.parent / "never", "--dry-run", "--json"]
    status, out, err = run("train", pictures, *TINY, *options, *never)
    assert status == 0, err
    return json.loads(out), [line for line in err if line.startswith(("weights", "frozen"))]


ODD = ["--set", "preprocess.mean=0.5,0.4,0.3", "--set", "preprocess.std=0.25,0.25,0.25"]


def test_a_run_adopts_what_was_sealed_with_its_weights(run, pictures, sealed):
    start = sealed("odd", *ODD, "--set", "preprocess.mode=crop", "--set", "preprocess.resize=40", "--image-size", "32")
    value, lines = planned(run, pictures, *SHORT, "--weights", start)
    assert value["preprocess"] == value["weights"]["preprocess"] and value["weights"]["differs"] == []
    assert value["preprocess"]["mode"] == "crop" and value["preprocess"]["mean"] == [0.5, 0.4, 0.3]
    assert lines[-1] == "weights   their preprocessing is adopted"
    out = pictures.parent / "adopted"
    assert run("train", pictures, *TINY, *SHORT, "--weights", start, "--out", out)[0] == 0
    assert read_bundle(out).preprocess == read_bundle(start).preprocess


@pytest.mark.parametrize(
    ("options", "size", "resize"),
    [
        (["--recipe", "fast-cifar"], 16, 20),  # the weights'
        (["--recipe", "demo", "--set", "image_size=24"], 24, 30),  # the recipe's
        (["--recipe", "demo", "--image-size", "8"], 8, 10),  # the option's
        (["--recipe", "fast-cifar", "--set", "preprocess.mode=squash"], 16, 20),
    ],
)
def test_the_size_is_the_option_s_the_recipe_s_the_weights(run, pictures, sealed, options, size, resize):
    crop = ["--set", "preprocess.mode=crop", "--set", "preprocess.resize=20", "--image-size", "16"]
    value, lines = planned(run, pictures, *options, "--weights", sealed("small", *crop))
    assert (value["preprocess"]["size"], value["preprocess"]["resize"]) == (size, resize)
    assert ("size 8 (16)" in lines[-1]) == (size == 8)


def test_what_is_set_otherwise_is_said(run, pictures, sealed):
    other = ["--set", "preprocess.mean=0.1,0.1,0.1"]
    value, lines = planned(run, pictures, *SHORT, "--weights", sealed("odd", *ODD), *other)
    assert value["preprocess"]["mean"] == [0.1, 0.1, 0.1] and value["preprocess"]["std"] == [0.25, 0.25, 0.25]
    assert value["weights"]["differs"] == ["mean 0.1,0.1,0.1 (0.5,0.4,0.3)"]
    assert "adopted but for, theirs in brackets: mean 0.1,0.1,0.1 (0.5,0.4,0.3)" in lines[-1]


def test_a_mean_image_comes_along_at_its_own_size_alone(run, pictures, sealed, tmp_path):
    start = sealed("pixel", "--set", "input_mean=pixel", "--image-size", "16")
    image = load(start).mean_image
    assert run("train", pictures, *TINY, *SHORT, "--weights", start, "--out", tmp_path / "same")[0] == 0
    assert torch.equal(load(tmp_path / "same").mean_image, image)
    value, lines = planned(run, pictures, *SHORT, "--weights", start, "--image-size", "12")
    assert value["preprocess"]["mean_image"] is None
    assert value["preprocess"]["mean"] == pytest.approx(image.mean((1, 2)).tolist(), abs=1e-6)
    assert "(image " in lines[-1]
    _, lines = planned(run, pictures, *SHORT, "--weights", start, "--set", "input_mean=pixel")
    assert "the mean image of this run's own pictures" in lines[-1]


def test_it_says_what_is_loaded_afresh_and_frozen(run, pictures, foreign):
    value, lines = planned(run, pictures, "--recipe", "finetune", "--set", "epochs=10", "--weights", foreign[0])
    assert value["weights"]["fresh"] == "head.fc" and value["weights"]["layout"] == "akamaster"
    said = "\n".join(lines)
    assert "tensors in akamaster's layout (`state_dict`)" in said
    assert "takes the plain weights (`state_dict`); the averaged ones are `state_dict_ema`: --prefer ema" in said
    assert "the head starts afresh: 5 -> 2 classes (linear)" in said
    assert "the file names no preprocessing; mean 0.485,0.456,0.406" in said
    assert value["frozen"] == [
        "stages.2 until step 4; stages.1 until step 6; stem, stages.0 until step 9; the head trains from the start",
        "batch norm throughout: statistics, gamma and beta",  # of batches of 8
    ]
    value, _ = planned(run, pictures, *SHORT, "--set", "freeze_bn=true", "--weights", foreign[0])
    assert value["frozen"] == ["batch norm throughout: statistics, gamma and beta"]


@pytest.mark.parametrize("prefer", [None, "plain", "ema"])
def test_the_weights_that_are_preferred_are_trained(run, pictures, foreign, tmp_path, prefer):
    path, plain, average = foreign
    option = [] if prefer is None else ["--prefer", prefer]
    still = ["--set", "lr=1e-12", "--set", "weight_decay=0"]
    assert run("train", pictures, *TINY, *SHORT, *still, "--weights", path, *option, "--out", tmp_path / "r")[0] == 0
    expected = (average if prefer == "ema" else plain)["conv1.weight"]
    torch.testing.assert_close(load(tmp_path / "r").net.state_dict()["stem.conv.weight"], expected, rtol=0, atol=1e-5)
    assert json.loads((tmp_path / "r" / "run.json").read_text())["prefer"] == prefer


@pytest.mark.parametrize("prefer", ["plain", "ema"])
def test_convert_takes_what_is_preferred_and_says_so(run, foreign, tmp_path, prefer):
    path, plain, average = foreign
    tiny = [word.replace("spec.", "") for word in TINY[:-2]]
    status, out, err = run("convert", path, *tiny, "--prefer", prefer, "-o", tmp_path / "m.safetensors", "--json")
    assert status == 0 and f"note: takes the {'averaged' if prefer == 'ema' else 'plain'} weights" in err[-1]
    assert json.loads(out)["notes"][0].startswith("takes the")
    weight = (average if prefer == "ema" else plain)["linear.weight"]
    assert torch.equal(load(tmp_path / "m.safetensors").net.state_dict()["head.fc.weight"], weight)


def test_converting_a_sealed_file_keeps_its_preprocessing_and_names(run, sealed, tmp_path):
    start = sealed("odd", *ODD)
    tiny = [word.replace("spec.", "") for word in TINY[:-2]]
    assert run("convert", start, *tiny, "-o", tmp_path / "m.safetensors")[0] == 0
    again, was = read_bundle(tmp_path / "m.safetensors"), read_bundle(start)
    assert (again.preprocess, again.classes) == (was.preprocess, was.classes)


REFUSED = [
    (["--recipe", "finetune"], "recipe finetune trains the head first"),
    ([*SHORT, "--prefer", "ema"], "--prefer ema chooses among the weights of a file; name one with --weights FILE"),
    ([*SHORT, "--weights", "ODD", "--prefer", "ema"], "holds no averaged weights"),
    ([*SHORT, "--weights", "FOREIGN", "--prefer", "best"], "'best' is not one of 'plain', 'ema'"),
    ([*SHORT, "--weights", "ODD", "--set", "spec.shortcut=none"], "sealed as resnet20_cifar with shortcut=A"),
    ([*SHORT, "--set", "preprocess.mean=123.7,116.3,103.5"], "divided by 255: 0.4851,0.4561,0.4059"),
]


@pytest.mark.parametrize(("options", "words"), REFUSED, ids=lambda v: v if isinstance(v, str) else "")
@pytest.mark.parametrize("command", ["train", "crossval"])
def test_refused_before_anything_is_written(run, pictures, sealed, foreign, tmp_path, options, words, command):
    given = [{"ODD": str(sealed("odd", *ODD)), "FOREIGN": str(foreign[0])}.get(word, word) for word in options]
    folds = ["--folds", "2"] if command == "crossval" else []
    for extra in ([], ["--dry-run"]):
        status, out, err = run(command, pictures, *folds, *TINY, *given, "--out", tmp_path / "r", *extra)
        assert (status, out) == (2, "") and words in err[-1], err
    assert not (tmp_path / "r").exists()


def test_plan_takes_weights(run, pictures, sealed):
    start = sealed("pixel", "--set", "input_mean=pixel", "--image-size", "16")
    status, out, err = run("plan", pictures, *TINY, *SHORT, "--weights", start, "--seconds", "0.1", "--json")
    assert status == 0, err
    assert "weights   their preprocessing is adopted" in err and json.loads(out)["steps"] == 1
    assert run("plan", pictures, *TINY, "--recipe", "finetune", "--seconds", "0.1")[0] == 0


def test_every_fold_starts_from_the_weights(run, pictures, sealed, tmp_path):
    """The folds adopt their preprocessing; other weights of that name are noticed, moved ones are not missed."""
    start = sealed("odd", *ODD)
    still = ["--set", "lr=1e-12", "--set", "weight_decay=0"]
    command = ["crossval", pictures, "--folds", "2", *TINY, *SHORT, *still, "--out", tmp_path / "cv"]
    status, _, err = run(*command, "--weights", start, "--fold", "1")
    assert status == 0 and "weights   their preprocessing is adopted" in err
    moved = shutil.copytree(start, tmp_path / "moved")
    status, _, err = run(*command, "--weights", sealed("small", "--image-size", "16"), "--fold", "2")
    assert status == 2 and "weights_sha256" in err[-1]
    assert run(*command, "--weights", moved)[0] == 0
    first = load(start).net.state_dict()["stem.conv.weight"]
    for fold in ("fold-1", "fold-2"):
        net, bundle = load(tmp_path / "cv" / fold).net, read_bundle(tmp_path / "cv" / fold)
        torch.testing.assert_close(net.state_dict()["stem.conv.weight"], first, rtol=0, atol=1e-5)
        assert bundle.preprocess == read_bundle(start).preprocess
    assert load(tmp_path / "cv").bundle.preprocess.mean == (0.5, 0.4, 0.3)


def test_crossval_leaves_out_what_cannot_be_read(run, pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "pictures")
    (tmp_path / "pictures" / "cat" / "3.png").write_bytes(b"no picture")
    command = ["crossval", tmp_path / "pictures", "--folds", "2", *TINY, *SHORT, "--out", tmp_path / "cv"]
    status, _, err = run(*command)
    assert status == 2 and "3.png" in err[-1]
    shutil.rmtree(tmp_path / "cv", ignore_errors=True)
    status, out, err = run(*command, "--on-bad-file", "skip", "--json")
    assert status == 0 and any(line.startswith("left out") and "3.png" in line for line in err), err
    assert json.loads(out)["out_of_fold"]["images"] == 19
    assert run(*command, "--on-bad-file", "mend")[0] == 2
