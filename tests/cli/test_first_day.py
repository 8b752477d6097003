"""The first hour at the command line: one argument to begin, files of options, and errors that lead on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib

import pytest

from reslearn.cli.app import main
from reslearn.cli.config import write_config
from reslearn.cli.recipes import in_words
from reslearn.spec.recipes import RECIPES

FEW = ["--epochs", "1", "--set", "spec.stage_blocks=1,1,1", "--set", "spec.stage_channels=4,4,4", "--set",
       "spec.stem_channels=4", "--set", "settings.compile=false"]  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert status == 0, err
    return out, err


def refused(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("reslearn: ")]
    assert (status, out, len(lines)) == (2, "", 1), err
    return lines[0]


def test_one_argument_begins_a_run_that_ends_and_says_what_it_thinks(here, capsys, monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", lambda *place, **more: pytest.fail(f"asked the network: {place}"))
    out, err = call(capsys, "train", "digits", *FEW)
    assert "chosen    resnet20_cifar, recipe demo, 16 pixels" in err and "--model" in err and "--recipe" in err
    assert "run       runs/digits-1" in err and "model     runs/digits-1/model.safetensors" in out
    assert (here / "runs/digits-1/report.html").exists()
    assert "advice    " in err  # 23 steps teach nothing
    dry, err = call(capsys, "train", "digits", "--dry-run", "--json")
    value = json.loads(dry)
    assert value["out"] == "runs/digits-2" and value["chosen"]["recipe"] == "demo" and value["advice"] == []
    assert not (here / "runs/digits-2").exists()


def test_an_epoch_is_one_epoch(here, capsys):
    _, err = call(capsys, "train", "digits", "--model", "resnet20_cifar", "--recipe", "demo", *FEW,
                  "--set", "batch_size=1000")  # fmt: skip
    assert "epoch 1.00" in err and "epoch 1.5" not in err


def test_what_a_rehearsal_saves_is_the_run(here, capsys):
    (here / "files").mkdir()
    first, err = call(capsys, "train", "digits", *FEW, "--seed", 3, "--dry-run", "--save", "files/d.toml", "--json")
    assert "files/d.toml" in err
    saved = tomllib.loads((here / "files/d.toml").read_text())
    assert saved["data"] == "digits" and saved["seed"] == 3 and saved["set"]["spec.stem_channels"] == 4
    again, _ = call(capsys, "train", "--config", "files/d.toml", "--dry-run", "--json")
    one, other = json.loads(first), json.loads(again)
    assert os.path.normpath(other["out"]) == one["out"] == "runs/digits-1"
    assert {k: v for k, v in one.items() if k not in ("chosen", "out")} == {
        k: v for k, v in other.items() if k not in ("chosen", "out")
    }
    assert other["chosen"] is None
    won, _ = call(capsys, "train", "--config", "files/d.toml", "--dry-run", "--json", "--seed", 5, "--out", "mine",
                  "--recipe", "fast-cifar")  # fmt: skip
    value = json.loads(won)
    assert value["out"] == "mine" and value["recipe"]["name"] == "fast-cifar"


@pytest.mark.parametrize(
    ("given", "steps", "others"),
    [
        ([], 100, {}),
        (["--epochs", "2"], 50, {}),
        (["--set", "iterations=7"], 7, {}),
        (["--set", "recipe.epochs=3"], 75, {}),
        (["--set", "lr=9"], 100, {"lr": 9.0}),
        (["--set", "batch_size=25"], 200, {"batch_size": 25}),
        (["--recipe", "fast-cifar"], 100, {"name": "fast-cifar"}),
        (["--device", "cpu", "--precision", "fp32", "--workers", "1"], 100, {}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_given_wins_over_a_file_and_leaves_the_rest_of_it(here, capsys, given, steps, others):
    """Of the 1,437 pictures of digits 1,293 are trained on; a field of `[set]` goes where an option says it, too."""
    (here / "f.toml").write_text(
        'data = "digits"\nmodel = "resnet20_cifar"\nrecipe = "demo"\n[set]\nepochs = 4\nbatch_size = 50\n'
        'lr_batch = 50\nlr = 0.03\nsettings.workers = 3\nsettings.device = "cpu"\nsettings.precision = "fp32"\n'
    )
    told = json.loads(call(capsys, "train", "--config", "f.toml", "--dry-run", "--json", *given)[0])
    said = {"lr": 0.03, "lr_batch": 50, "batch_size": 50, "name": "demo"} | others
    assert (told["steps"], {name: told["recipe"][name] for name in said}) == (pytest.approx(steps, abs=8), said)
    assert told["settings"]["workers"] == (1 if "--workers" in given else 3)


def test_boards_are_saved_too(here, capsys):
    write_config(here / "f.toml", {"data": "digits", "log_to": ["tensorboard", "mlflow"], "seed": None}, {})
    assert tomllib.loads((here / "f.toml").read_text()) == {"data": "digits", "log-to": ["tensorboard", "mlflow"]}
    (here / "f.toml").write_text('data = "digits"\nlog-to = ["nope"]\n')
    assert "--log-to is 'nope'" in refused(capsys, "train", "--config", "f.toml", "--dry-run")


def test_a_budget_that_is_given_takes_the_place_of_a_file_s(here, capsys):
    (here / "f.toml").write_text('data = "digits"\nepochs = 4\n[set]\nlr = 0.03\n')
    told = json.loads(call(capsys, "train", "--config", "f.toml", "--dry-run", "--json", "--set", "iterations=7")[0])
    assert (told["steps"], told["recipe"]["lr"]) == (7, 0.03)


def test_paths_in_a_file_start_at_the_file(here, capsys):
    from PIL import Image

    for name in ("cat", "dog"):
        (here / "sets" / "pets" / name).mkdir(parents=True)
        for i in range(12):
            Image.new("RGB", (12, 12), (20 * i, 0, 0)).save(here / "sets" / "pets" / name / f"{i}.png")
    (here / "sets" / "pets.toml").write_text(
        'data = "pets"\nout = "../runs/x"\nval_fraction = 0.25\n[set]\nlr = 0.05\naugment.flip = "random"\n'
    )
    value = json.loads(call(capsys, "train", "--config", "sets/pets.toml", "--dry-run", "--json")[0])
    assert value["data"]["path"].endswith("sets/pets") and value["out"] == "runs/x" and value["data"]["val"] == 6
    assert value["recipe"]["lr"] == 0.05 and value["recipe"]["augment"]["flip"] == "random"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("modle = 'x'", ["modle", "did you mean model"]),
        ("data = [1]", ["data", "one value"]),
        ("set = 3", ["[set]"]),
        ("= 1", ["no TOML file"]),
        ("epochs = 'many'", ["epochs", "many"]),
        ("data = true", ["data is true"]),
        ("out = ''", ["out is empty"]),
    ],
)
def test_a_wrong_file_of_options_is_one_line(here, capsys, text, words):
    (here / "c.toml").write_text(text)
    line = refused(capsys, "train", "digits", "--config", "c.toml")
    assert all(word in line for word in words), line


def test_a_picture_is_no_file_of_options(here, capsys):
    (here / "rose.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    assert "--config rose.jpg: no TOML file: it is no text in UTF-8" in refused(
        capsys, "train", "digits", "--config", "rose.jpg"
    )


def test_help_says_of_a_flag_no_kind_of_value(here, capsys):
    assert call(capsys, "train", "--help")[0].count("bool") <= 1  # that of --help itself, which the parser makes


def test_save_goes_with_a_rehearsal_and_replaces_nothing_of_somebody_else(here, capsys):
    assert "--dry-run" in refused(capsys, "train", "digits", "--save", "x.toml")
    (here / "x.toml").write_text("mine = 1\n")
    assert "not replaced" in refused(capsys, "train", "digits", "--dry-run", "--save", "x.toml")
    assert (here / "x.toml").read_text() == "mine = 1\n"
    assert "c.toml" in refused(capsys, "train", "--config", "c.toml")
    assert "DATA" in refused(capsys, "train")


def test_recipes_are_listed_shown_and_taken_apart(here, capsys):
    listed = json.loads(call(capsys, "recipes", "--json")[0])
    assert [row["name"] for row in listed] == list(RECIPES)
    assert all(name in call(capsys, "recipes")[0] for name in RECIPES)
    assert json.loads(call(capsys, "recipes", "finetune", "--json")[0])["name"] == "finetune"
    fields = {row["field"]: row for row in json.loads(call(capsys, "recipes", "fast-cifar", "--fields", "--json")[0])}
    assert fields["lr"]["value"] == 0.4 and fields["augment.flip"]["kind"] == "none or random or alternating"
    assert fields["epochs"]["kind"] == "number or none" and fields["nesterov"]["kind"] == "true or false"
    assert fields["milestones"]["kind"] == "numbers with commas" and "name" not in fields
    assert "augment.crop" in call(capsys, "recipes", "--fields")[0]
    assert json.loads(call(capsys, "show", "--recipe", "demo", "--json")[0])["name"] == "demo"
    assert "did you mean fast-cifar" in refused(capsys, "recipes", "fast-cifarr")


def test_kinds_are_words():
    from typing import Literal

    assert in_words(Literal["a", "b"] | None) == "a or b or none"
    assert in_words(tuple[float, float]) == "2 numbers with a comma"


def test_version_help_and_completion(here, capsys):
    from importlib.metadata import version

    assert call(capsys, "--version")[0] == f"reslearn {version('reslearn')}\n"
    assert "train" in call(capsys)[0] and "check" in call(capsys, "data")[0]
    assert "--install-completion" in call(capsys, "--help")[0]
    words = {"_RESLEARN_COMPLETE": "complete_bash", "COMP_WORDS": "reslearn cali", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-m", "reslearn"], env=os.environ | words, capture_output=True, text=True)
    assert done.stdout.split() == ["calibrate"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "digits", "--lr", "0.1"], ["--set lr=0.1", "reslearn train --help"]),
        (["train", "digits", "--lr=0.1"], ["--set lr=0.1"]),
        (["train", "digits", "--learning-rate", "0.1"], ["--set lr=0.1"]),
        (["crossval", "digits", "--batch-size", "8"], ["--set batch_size=8", "reslearn crossval --help"]),
        (["train", "digits", "--set", "learning_rate=0.1"], ["did you mean lr"]),
        (["train", "digits", "--epochs", "two"], ["--epochs", "two"]),
        (["evaluate", "--lr", "0.1"], ["--lr", "reslearn evaluate --help"]),
        (["evaluate"], ["MODEL", "DATA", "reslearn evaluate --help"]),
        (["convert"], ["WEIGHTS", "--out", "reslearn convert --help"]),
        (["data", "chekc"], ["chekc", "reslearn data --help"]),
        (["data", "split"], ["DATA", "reslearn data split --help"]),
        (["plan", "digits", "--html", "x.html"], ["--find-lr"]),
        (["train", "digits", "--image_size", "32"], ["it is called --image-size", "reslearn train --help"]),
        (["train", "digits", "--imgsz=32"], ["it is called --image-size"]),
        (["train", "digits", "-o", "--dry-run"], ["-o lacks its value", "--dry-run", "reslearn train --help"]),
        (["train", "digits", "--config", "--seed=3"], ["--config lacks its value", "--seed"]),
        (["train", "digits", "--out", ""], ["--out is empty", "reslearn train --help"]),
        (["train", "digits", "--recipe="], ["--recipe is empty"]),
        (["train", "digits", "-o=run"], ["-o run", "reslearn train --help"]),
        (["train", ""], ["an argument is empty", "reslearn train --help"]),
        (["data", "check", "--", ""], ["an argument is empty", "reslearn data check --help"]),
        (["data", "check", "digits", "--manifest="], ["--manifest is empty"]),
        (["predict", "m", "x.png", "--threshold"], ["--threshold", "reslearn predict --help"]),
        (["train", "digits", "--image-size", "100000"], ["--image-size is 100000", "4096"]),
        (["train", "digits", "--workers", "-1"], ["--workers", "-1", "reslearn train --help"]),
        (["evaluate", "m", "digits", "--workers", "-1"], ["--workers", "-1", "reslearn evaluate --help"]),
        (["train", "digits", "--device", "tpu"], ["device is 'tpu'", "cuda"]),
        (["crossval", "digits", "--device", "cuda:99"], ["reslearn: device is cuda:99"]),
        (["train", "digits", "--workers", "9999"], ["--workers", "4096", "9999"]),
        (
            ["train", "digits", "--device", "cpu", "--set", "settings.device=cpu"],
            ["--set settings.device", "leave one"],
        ),
        (["train", "digits", "--weights", "ftp://x/y"], ["ftp://x/y", "address"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_errors_lead_on(here, capsys, arguments, words):
    line = refused(capsys, *arguments)
    assert all(word in line for word in words), line
    assert not list(here.iterdir())


def test_what_looks_like_an_option_may_be_a_value(here, capsys):
    assert (
        json.loads(call(capsys, "train", "digits", "--dry-run", "--json", "--seed", "-1", "--out=--x")[0])["out"]
        == "--x"
    )


def test_a_training_takes_a_device_and_workers(here, capsys):
    told = json.loads(call(capsys, "train", "digits", "--dry-run", "--json", "--device", "cpu", "--workers", "3")[0])
    assert (told["settings"]["device"], told["settings"]["workers"]) == ("cpu", 3)


def test_a_range_test_draws_its_curve_and_writes_its_page_alone(here, capsys):
    small = [word for word in FEW if word not in ("--epochs", "1")]
    out, err = call(capsys, "plan", "digits", *small, "--image-size", 8, "--find-lr", "--html", "lr.html")
    assert "suggested" in out and "--set lr=" in out and out.count("*") > 20 and "chosen" in err
    assert [path.name for path in here.iterdir()] == ["lr.html"]
    value = json.loads(call(capsys, "plan", "digits", *small, "--image-size", 8, "--find-lr", "--json")[0])
    assert {"rates", "losses", "suggested", "lowest", "diverged", "html"} <= value.keys() and value["html"] is None
