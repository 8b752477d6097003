"""What commands say beside their numbers: temperatures apart, what was left out, findings counted, rows named."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from reslearn.bundle.file import load, reseal, save
from reslearn.bundle.header import Bundle, Member
from reslearn.cli.app import main
from reslearn.jobs.evaluation import evaluate_model
from reslearn.measure.calibration import reliability
from reslearn.measure.metrics import loss
from reslearn.nets.build import create_model
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import default_preprocess
from reslearn.train.stopping import Terminated

SPEC = NetSpec("tiny", "cifar", 4, "basic", (1,), (4,), num_classes=2)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Twelve pictures of cats and dogs, six of owls in a larger set, and a model of the two."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for name in ("cat", "dog", "owl"):
        for data in ("pets", "zoo"):
            if (data, name) != ("pets", "owl"):
                (tmp_path / data / name).mkdir(parents=True)
        for i in range(6):
            Image.fromarray(draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(f"zoo/{name}/{i}.png")
            if name != "owl":
                shutil.copy(f"zoo/{name}/{i}.png", f"pets/{name}/{i}.png")
    torch.manual_seed(0)
    bundle = Bundle((Member(SPEC),), default_preprocess(12), classes=("cat", "dog"))
    save(tmp_path / "m.safetensors", [create_model(SPEC)], bundle)
    return tmp_path


def call(capsys, *arguments, status=0):
    assert main([*map(str, arguments)]) == status
    out, err = capsys.readouterr()
    return out, err


def value(capsys, *arguments, status=0):
    return json.loads(call(capsys, *arguments, "--json", status=status)[0])


def test_one_row_has_one_temperature(here, capsys):
    before = value(capsys, "evaluate", "m.safetensors", "pets")
    assert before["calibrated"] is None
    reseal(here / "m.safetensors", temperature=2.5)
    after = value(capsys, "evaluate", "m.safetensors", "pets")
    assert {k: v for k, v in after.items() if k != "calibrated"} == {
        k: v for k, v in before.items() if k != "calibrated"
    }
    scores = evaluate_model("m.safetensors", "pets")
    assert after["calibrated"] == {
        "temperature": 2.5,
        "loss": pytest.approx(loss(scores.logits, scores.labels, 2.5)),
        "ece": pytest.approx(reliability(scores.logits, scores.labels, temperature=2.5).ece),
    }
    out, _ = call(capsys, "evaluate", "m.safetensors", "pets", "-o", "page.html")
    assert "calibrated loss" in out and "at temperature 2.5" in out and "1 crop a picture" in out and "error" not in out
    page = (here / "page.html").read_text()
    assert "at T 2.5" in page and f"{after['loss']:.4f}" in page and f"{after['calibrated']['loss']:.4f}" in page


@pytest.fixture
def right(here, capsys):
    """A folder of eighteen pictures, on which a model that tells cats from dogs makes no mistake, the surest first."""
    logits = evaluate_model("m.safetensors", "pets").logits
    sealed = load(here / "m.safetensors")
    with torch.no_grad():
        for one in sealed.net.head.fc.parameters():
            one *= 100
        sealed.net.head.fc.bias[0] -= 100 * float((logits[:, 0] - logits[:, 1]).mean())
    save(here / "m.safetensors", [sealed.net], sealed.bundle)
    answers = [
        row["predictions"][0] | {"path": row["path"]} for row in value(capsys, "predict", "m.safetensors", "zoo")
    ]
    for i, answer in enumerate(sorted(answers, key=lambda one: -one["probability"])):
        (here / "right" / answer["label"]).mkdir(parents=True, exist_ok=True)
        shutil.copy(answer["path"], here / "right" / answer["label"] / f"{i:02}.png")
    return here / "right"


def test_a_target_out_of_reach_stores_the_temperature_all_the_same(right, capsys):
    surest = next(right.glob("*/00.png"))
    surest.rename(right / ("dog" if surest.parent.name == "cat" else "cat") / "00.png")  # and wrong
    asked = ["calibrate", "m.safetensors", "right", "--split", "all", "--target-precision", "1"]
    _, err = call(capsys, *asked, status=2)
    assert "no threshold reaches" in err and "is stored all the same" in err
    sealed = load(right.parent / "m.safetensors").bundle
    assert sealed.temperature is not None and sealed.threshold is None
    _, err = call(capsys, *asked[:-1], "7", status=2)
    assert "must lie in" in err


def test_no_temperature_is_stored_where_no_picture_is_wrong(right, capsys):
    model, asked = right.parent / "m.safetensors", ["calibrate", "m.safetensors", "right", "--split", "all"]
    out, err = call(capsys, *asked)
    assert "temperature  1.0000  (as before, for none is fitted on 18 pictures" in out and "no mistake among" in err
    sealed = load(model).bundle
    assert sealed.temperature == 1 and sealed.threshold is None and "too good" not in out
    done = value(capsys, *asked, "--target-precision", "0.9")
    assert (done["temperature"], done["fitted"], done["coverage"]) == (1.0, False, 1.0)
    bundle = load(model).bundle
    assert bundle.temperature == 1 and bundle.threshold == pytest.approx(done["threshold"])
    reseal(model, temperature=1.5)
    assert value(capsys, *asked)["temperature"] == 1.5 == load(model).bundle.temperature
    assert load(model).bundle.threshold == bundle.threshold  # of the temperature that stays


def test_pictures_of_classes_that_the_model_does_not_know(here, capsys):
    assert "owl" in call(capsys, "evaluate", "m.safetensors", "zoo", status=2)[1]
    known = value(capsys, "evaluate", "m.safetensors", "zoo", "--known-classes")
    assert known["left_out"] == 6 and known["images"] == 12
    assert known["loss"] == pytest.approx(value(capsys, "evaluate", "m.safetensors", "pets")["loss"])
    out, _ = call(capsys, "evaluate", "m.safetensors", "zoo", "--known-classes", "--details")
    assert "left out   6 pictures" in out
    assert value(capsys, "evaluate", "m.safetensors", "pets", "--known-classes")["left_out"] == 0


def test_precision_and_recall_are_percent_in_words_and_shares_in_json(here, capsys):
    out, _ = call(capsys, "evaluate", "m.safetensors", "pets", "--details")
    row = next(line for line in out.splitlines() if line.strip().startswith("cat"))
    assert row.count("%") == 3
    details = value(capsys, "evaluate", "m.safetensors", "pets", "--details")["details"]
    assert all(0 <= row["recall"] <= 1 for row in details["per_class"])


def test_unknown_is_printed_once_and_a_threshold_may_be_given(here, capsys):
    picture = "pets/cat/0.png"
    plain, _ = call(capsys, "predict", "m.safetensors", picture)
    assert "unknown" not in plain
    told, _ = call(capsys, "predict", "m.safetensors", picture, "--threshold", "1")
    assert told.count("unknown") == 1 and told.count("cat 0.") == 1 == told.count("dog 0.")
    first = value(capsys, "predict", "m.safetensors", picture, "--threshold", "1")[0]["predictions"]
    assert first[0]["label"] == "unknown" and len(first) == 3
    reseal(here / "m.safetensors", threshold=1.0)
    assert "unknown" not in call(capsys, "predict", "m.safetensors", picture, "--threshold", "0")[0]
    assert "--threshold is 2" in call(capsys, "predict", "m.safetensors", picture, "--threshold", "2", status=2)[1]


def test_every_input_is_listed_also_where_none_can_be_read(here, capsys):
    (here / "bad.jpg").write_bytes(b"no picture")
    rows = value(capsys, "predict", "m.safetensors", "bad.jpg", "nowhere.png", status=2)
    assert [row["path"] for row in rows] == ["bad.jpg", "nowhere.png"]
    assert all(row["error"] and row["predictions"] == [] for row in rows)
    mixed = value(capsys, "predict", "m.safetensors", "bad.jpg", "pets/cat/0.png", "--workers", "1", status=2)
    assert "error" in mixed[0] and len(mixed[1]["predictions"]) == 2
    assert call(capsys, "predict", "m.safetensors", "bad.jpg", status=2)[0] == ""


def test_a_strict_check_fails_on_findings_and_counts_them(here, capsys):
    call(capsys, "data", "check", "pets", "--strict", "--no-write")
    shutil.copy("pets/cat/0.png", "pets/dog/again.png")
    (here / "pets" / "cat" / "empty.png").touch()
    out, _ = call(capsys, "data", "check", "pets", "--no-write", "--html", "check.html")
    assert "found     1 empty, 1 group of exact duplicates, 1 group with conflicting labels" in out
    call(capsys, "data", "check", "pets", "--strict", "--no-write", status=1)
    page = (here / "check.html").read_text()
    assert "Found: 1 empty, 1 group of exact duplicates, 1 group with conflicting labels." in page
    assert '"Segoe UI"' in page and "&#34;Segoe" not in page  # the browser reads the fonts


def test_a_preview_says_which_picture_and_class(here, capsys):
    out, _ = call(capsys, "data", "preview", "pets", "--recipe", "demo", "--rows", 3, "--columns", 2)
    assert "row 1   cat  cat/0.png" in out and "row 2   dog  dog/0.png" in out
    shown = value(capsys, "data", "preview", "pets", "--recipe", "demo", "--rows", 3, "--columns", 2)
    assert shown["pictures"][0] == {"id": "cat/0.png", "class": "cat"} and len(shown["pictures"]) == 3


@pytest.mark.parametrize("named", [[], ["--recipe", "folder"], ["--image-size", "20"], ["--set", "epochs=0.01"]])
def test_a_preview_shows_what_a_training_would_see(named, here, capsys):
    """And says so, unless both are named."""
    run = value(capsys, "train", "zoo", "--dry-run", *named)
    out, err = call(capsys, "data", "preview", "zoo", "--rows", 3, "--columns", 2, *named)
    size = run["preprocess"]["size"]
    assert f"training's (recipe {run['recipe']['name']}, {size} pixels)" in out
    chosen = [line for line in err.splitlines() if line.startswith("chosen ")]
    assert ("recipe demo" in chosen[0]) == ("--recipe" not in named) and "resnet" not in chosen[0]
    assert ("--image-size" in chosen[1]) == ("--image-size" not in named)
    assert value(capsys, "data", "preview", "zoo", "--recipe", "folder", "--image-size", 8)["image_size"] == 8


def test_a_preview_takes_what_a_training_takes(here, capsys):
    for wrong, words in (
        (["--recipe", "dem"], "did you mean demo"),
        (["--set", "settings.threads=1"], "--set settings"),
        (["--set", "augment.flipp=none"], "did you mean augment.flip"),
        (["--set", "lr=x"], "lr"),
        (["--image-size", "0"], "--image-size"),
        (["--split", "nope"], "nope"),
        (["--rows", "0"], "row"),
    ):
        assert words in call(capsys, "data", "preview", "zoo", *wrong, status=2)[1], wrong
    tuned = value(capsys, "data", "preview", "zoo", "--recipe", "finetune", "--rows", 1, "--columns", 2)
    assert tuned["image_size"] == 224 and tuned["chosen"] is None


def test_a_comparison_says_what_differs(here, capsys):
    torch.manual_seed(1)
    other = NetSpec("tiny", "cifar", 8, "basic", (1,), (4,), num_classes=2)
    bundle = Bundle((Member(other),), default_preprocess(16), classes=("cat", "dog"), recipe={"name": "x", "lr": 0.1})
    save(here / "n.safetensors", [create_model(other)], bundle)
    found = value(capsys, "compare", "m.safetensors", "n.safetensors", "--data", "pets")
    assert {"what": "network.stem_channels", "a": 4, "b": 8} in found["differs"]
    assert {"what": "recipe.lr", "a": None, "b": 0.1} in found["differs"]
    assert {one["what"] for one in found["differs"]} >= {"preprocess.size", "recipe.name"}
    out, _ = call(capsys, "compare", "m.safetensors", "n.safetensors", "--data", "pets", "-o", "c.html")
    assert "differs    network.stem_channels: 4 / 8" in out and "What differs" in (here / "c.html").read_text()


def test_a_temperature_of_few_pictures_or_of_a_model_that_knows_nothing_is_told(here, capsys):
    _, err = call(capsys, "calibrate", "m.safetensors", "pets", "--split", "all")
    assert "advice    " in err and ("learned nothing" in err or "12 pictures" in err)


def test_what_commands_write_among_pictures_is_in_nobody_s_way(here, capsys):
    before = value(capsys, "data", "stats", "pets")
    for name in ("answers.csv", "answers.jsonl"):
        call(capsys, "predict", "m.safetensors", "pets/dog", "-o", f"pets/cat/{name}")
    call(capsys, "predict", "m.safetensors", "nope.png", "pets/dog", "-o", "pets/cat/first.jsonl")
    call(capsys, "train", "pets", "--dry-run", "--save", "pets/cat/options.toml")
    call(capsys, "evaluate", "m.safetensors", "pets", "-o", "pets/cat/page.html")
    assert value(capsys, "data", "stats", "pets") == before
    (here / "pets/cat/mine.csv").write_text("path,label\n")
    assert "mine.csv: not an image" in call(capsys, "data", "stats", "pets", status=2)[1]


def test_a_page_is_html(here, capsys):
    for command in (["evaluate", "m.safetensors", "pets", "-o"], ["data", "check", "pets", "--html"]):
        assert "a page is HTML; name it x.html" in call(capsys, *command, "x.json", status=2)[1]
        assert not (here / "x.json").exists()


def test_a_folder_of_pictures_is_no_run_and_no_place_for_one(here, capsys):
    _, err = call(capsys, "resume", "pets", status=2)
    assert "pets: no run here" in err and "reslearn train DATA" in err and "--out" not in err
    _, err = call(capsys, "resume", "nowhere", status=2)
    assert "--out nowhere" in err


def test_nothing_computes_where_no_picture_can_be_read(here, capsys):
    _, err = call(capsys, "predict", "m.safetensors", "nope.jpg", status=2)
    assert "nope.jpg" in err and "engine " not in err
    _, err = call(capsys, "predict", "m.safetensors", "nope.jpg", "pets/cat/0.png", status=2)
    assert "nope.jpg" in err and "engine " in err


def test_one_fault_has_one_wording(here, capsys):
    (here / "pets/cat/words.png").write_bytes(b"hello")
    _, err = call(capsys, "predict", "m.safetensors", "pets/cat/words.png", status=2)
    said = "pets/cat/words.png: not an image in a format that is read"
    assert f"{said}: JPEG" in err
    _, err = call(capsys, "evaluate", "m.safetensors", "pets", status=2)
    assert f"{said}; remove it" in err


def test_a_bench_of_data_uses_what_a_training_would_and_names_no_settings(here, capsys):
    out, _ = call(capsys, "bench", "data", "pets", "--steps", "2", "--batch", "4")
    assert "to train so" not in out and "settings" not in out
    chosen = value(capsys, "train", "pets", "--dry-run")["chosen"]
    assert f"({chosen['model']} at {chosen['image_size']}, from this machine's rate)" in out
    assert f"augmentation of {chosen['recipe']}" in out
    named = value(capsys, "bench", "data", "pets", "--steps", "2", "--batch", "4", "--model", "resnet18",
                  "--image-size", "20", "--recipe", "folder")  # fmt: skip
    assert (named["model"], named["image_size"], named["recipe"]) == ("resnet18", 20, "folder")


def test_ctrl_c_is_a_line(monkeypatch, capsys):
    def pressed(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("typer.main.get_command", pressed)
    assert main(["list"]) == 130 and capsys.readouterr().err == "reslearn: stopped by Ctrl-C\n"


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [(KeyboardInterrupt, 130, "stopped by Ctrl-C"), (Terminated, 143, "stopped by SIGTERM")],
)
def test_a_signal_inside_a_command_is_a_line_and_its_status(error, status, said, monkeypatch, capsys):
    """The parser catches Ctrl-C on its own, and says nothing."""

    def stopped(*arguments, **options):
        raise error

    monkeypatch.setattr("reslearn.spec.published.find_published", stopped)
    assert main(["weights"]) == status and capsys.readouterr().err == f"reslearn: {said}\n"
