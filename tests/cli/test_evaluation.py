"""`evaluate`, `predict`, `calibrate`, `ensemble`, `compare` and `crossval` as a user types them."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch

from reslearn.bundle.file import save
from reslearn.bundle.header import Bundle, Member
from reslearn.cli.app import main
from reslearn.nets.build import create_model
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import default_preprocess

CLASSES = ("cat", "dog", "eel", "fox", "gnu", "hen")
SPEC = NetSpec("tiny", "cifar", 4, "basic", (1,), (4,), num_classes=6)
KEYS = {"images", "top1", "top5", "top1_error", "top5_error", "loss", "protocol", "precision", "preprocess_hash"}


def sealed(path, seed=0, classes=CLASSES):
    torch.manual_seed(seed)
    save(path, [create_model(SPEC)], Bundle((Member(SPEC),), default_preprocess(12), classes=classes))
    return path


@pytest.fixture
def model(tmp_path):
    return sealed(tmp_path / "model.safetensors")


@pytest.fixture
def pictures(tmp_path):
    """`val` and `test` folders of 18 and 12 pictures."""
    rng = np.random.default_rng(0)
    for split, count in (("val", 3), ("test", 2)):
        for name in CLASSES:
            folder = tmp_path / "pictures" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                cv2.imwrite(str(folder / f"{i}.png"), rng.integers(0, 256, (20, 15, 3), dtype=np.uint8))
    return tmp_path / "pictures"


def call(capsys, *arguments):
    """The JSON value that a command prints, and its progress."""
    status = main([*map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    assert status == 0, err
    assert out.count("\n") == 1
    return json.loads(out), err


def refuse(capsys, words, *arguments):
    """Status 2, nothing on standard output, one line with these words."""
    assert main([str(argument) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("reslearn: ")]
    assert out == "" and len(lines) == 1 and "Traceback" not in err
    for word in words:
        assert word in lines[0], lines[0]


def test_evaluate(capsys, model, pictures):
    value, err = call(capsys, "evaluate", model, pictures)
    assert value.keys() >= KEYS and value["images"] == 12 and value["protocol"] == "1-crop"
    assert value["top1_error"] == pytest.approx(100 * (1 - value["top1"])) and value["top5"] is not None
    assert err.startswith("reslearn evaluate")
    several, _ = call(capsys, "evaluate", model, pictures, "--protocol", "1-crop", "--protocol", "10-crop", "--details")
    assert several[0] == value | {"details": several[0]["details"]}
    assert several[1]["cost"] == 10 and len(several[1]["details"]["per_class"]) == 6
    assert call(capsys, "evaluate", model, pictures, "--split", "val")[0]["images"] == 18
    assert main(["evaluate", str(model), str(pictures), "--details", "--protocol", "1-crop+flip"]) == 0
    assert "ROC-AUC" in capsys.readouterr().out


def test_predict(capsys, model, pictures):
    value, _ = call(capsys, "predict", model, pictures / "test" / "cat", pictures / "val" / "dog" / "0.png", "--top", 2)
    assert [v["path"] for v in value] == [
        str(pictures / part) for part in ("test/cat/0.png", "test/cat/1.png", "val/dog/0.png")
    ]
    assert value[0]["predictions"][0].keys() == {"label", "index", "probability"} and len(value[0]["predictions"]) == 2
    assert main(["predict", str(model), str(pictures / "test/cat/0.png")]) == 0
    assert "0.png: " in capsys.readouterr().out


def test_predict_answers_the_sound_ones_and_lists_the_bad(capsys, model, pictures):
    folder = pictures / "test" / "cat"
    whole = (folder / "0.png").read_bytes()
    (folder / "0.jpg").write_text("notes")
    (folder / "1.jpg").write_bytes(b"")
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    names = ["0.jpg", "0.png", "1.jpg", "1.png", "half.png"]
    assert main(["predict", str(model), str(folder), "nowhere.png", "--json"]) == 2
    out, err = capsys.readouterr()
    values = json.loads(out)
    assert [value["path"] for value in values] == [*(str(folder / name) for name in names), "nowhere.png"]
    assert [bool(value["predictions"]) for value in values] == [False, True, False, True, False, False]
    lines = [line.removeprefix("reslearn: ") for line in err.splitlines() if line.startswith("reslearn: ")]
    assert lines == [value["error"] for value in values if "error" in value]
    for line, words in zip(lines, ("JPEG, PNG", "0 bytes", "damaged", "No such file"), strict=True):
        assert words in line and "remove" not in line
    assert main(["predict", str(model), str(folder)]) == 2
    assert capsys.readouterr().out.count("\n") == 2
    refuse(capsys, ["0.jpg: not an image", "JPEG, PNG"], "predict", model, folder / "0.jpg")
    assert main(["predict", str(model), str(folder / "0.jpg"), "--json"]) == 2
    (only,) = json.loads(capsys.readouterr().out)
    assert "not an image" in only["error"] and only["predictions"] == []


def test_calibrate(capsys, model, pictures):
    value, _ = call(capsys, "calibrate", model, pictures, "--target-precision", 0.01)
    assert value["temperature"] > 0 and value["threshold"] is not None and value["split"] == "val"
    refuse(capsys, ["no threshold reaches"], "calibrate", model, pictures, "--target-precision", "1.0")


def test_ensemble_and_compare(capsys, model, pictures, tmp_path):
    other, out = sealed(tmp_path / "other.safetensors", 1), tmp_path / "both.safetensors"
    value, _ = call(capsys, "ensemble", model, other, "--data", pictures, "--score-split", "test", "--out", out)
    assert value["scored_on"] == "test" and value["model"] == str(out) and len(value["members"]) == 2
    scores, _ = call(capsys, "evaluate", out, pictures)
    assert scores["loss"] == pytest.approx(value["ensemble"]["loss"], abs=1e-6)
    assert call(capsys, "predict", out, pictures / "test/cat/0.png")[0][0]["predictions"]
    value, _ = call(capsys, "compare", model, out, "--data", pictures)
    assert value["images"] == 12 and value["verdict"] and 0 <= value["p_value"] <= 1
    assert main(["ensemble", str(model), str(other), "--data", str(pictures), "--greedy"]) == 0
    assert main(["compare", str(model), str(other), "--data", str(pictures)]) == 0
    assert "right alone" in capsys.readouterr().out


def test_crossval(capsys, tmp_path):
    """A plan, one fold, the rest, the merge; then the same again only reads."""
    out = tmp_path / "cv"
    command = [
        *("crossval", "digits", "--folds", 2, "--model", "resnet20_cifar", "--recipe", "demo", "--image-size", 8),
        *("--set", "iterations=2", "--set", "spec.stage_blocks=[1,1,1]", "--set", "spec.stage_channels=[4,4,4]"),
        *("--set", "spec.stem_channels=4", "--out", out),
    ]
    plan, _ = call(capsys, *command, "--dry-run")
    assert plan["held_out"] == [719, 718] and plan["method"] == "stratified" and not out.exists()
    one, _ = call(capsys, *command, "--fold", 2)
    assert one == {"run": str(out), "model": None, "finished": [2], "missing": [1]}
    value, _ = call(capsys, *command)
    assert [fold["run"] for fold in value["folds"]] == [str(out / "fold-1"), str(out / "fold-2")]
    assert value["out_of_fold"]["images"] == 1437 and (out / "report.html").exists()
    assert call(capsys, *command)[0] == value and call(capsys, "resume", out)[0] == value
    test, _ = call(capsys, "evaluate", out, "digits")
    assert test["images"] == 360 and len((out / "ledger.jsonl").read_text().splitlines()) == 1
    refuse(capsys, ["without val pictures"], "evaluate", out, "digits", "--split", "val")
    refuse(capsys, ["another cross-validation", "folds"], *command[:3], 3, *command[4:])
    for verb in ("evaluate", "calibrate"):
        refuse(capsys, ["no tset split", "train, test", "did you mean test?"], verb, out, "digits", "--split", "tset")
    refuse(capsys, ["no fold7 split", "train, test", "name one"], "evaluate", out, "digits", "--split", "fold7")


def test_wrong_input(capsys, model, pictures, tmp_path):
    refuse(capsys, ["protocol", "10-crop"], "evaluate", model, pictures, "--protocol", "11-crop")
    refuse(capsys, ["precision", "bf16"], "evaluate", model, pictures, "--precision", "int4")
    refuse(capsys, ["device", "cpu"], "evaluate", model, pictures, "--device", "abacus")
    refuse(capsys, ["torch sees"], "evaluate", model, pictures, "--device", "cuda:99")
    refuse(capsys, ["untrained"], "evaluate", "resnet20_cifar", pictures)
    refuse(capsys, ["untrained"], "predict", "resnet20_cifar", pictures / "test/cat/0.png")
    refuse(capsys, ["no class named", "dog"], "evaluate", sealed(tmp_path / "m", classes=("cat", *"vwxyz")), pictures)
    refuse(capsys, ["train", "val"], "evaluate", model, pictures, "--split", "train")
    refuse(capsys, ["tset", "did you mean test?"], "evaluate", model, pictures, "--split", "tset")
    refuse(capsys, ["--weights"], "ensemble", model, model, "--data", pictures, "--weights", "a,b")
    refuse(capsys, ["--weights 1,2,3", "2 models"], "ensemble", model, model, "--data", pictures, "--weights", "1,2,3")
    other = sealed(tmp_path / "other.safetensors", 1)
    refuse(capsys, ["nan,1", "finite"], "ensemble", model, other, "--data", pictures, "--weights", "nan,1")
    refuse(capsys, ["--batch-size", "at least 1"], "evaluate", model, pictures, "--batch-size", 0)
    refuse(capsys, ["32:0.0", "share"], "evaluate", model, pictures, "--protocol", "1-crop@32:0.0")
    for text in ("1-crop@0/0", "1-crop@32/8"):
        refuse(capsys, [f"--protocol {text}: "], "evaluate", model, pictures, "--protocol", text)
        refuse(capsys, [f"--protocol {text}: "], "ensemble", model, other, "--data", pictures, "--protocol", text)
    plain = pictures / "test"  # class folders alone: no splits
    refuse(capsys, ["no 'val'", "reslearn data split", "--split all"], "calibrate", model, plain)
    refuse(capsys, ["no 'val'", "reslearn data split", "--split all"], "ensemble", model, other, "--data", plain)
    assert call(capsys, "ensemble", model, other, "--data", plain, "--split", "all")[0]["images"] == 12
    refuse(capsys, ["softmax", "logits"], "ensemble", model, model, "--data", pictures, "--combine", "median")
    for pattern in ("(", "cat", "(dodo)"):
        refuse(capsys, [f"--group '{pattern}'"], "crossval", pictures, "--folds", 2, "--group", pattern,
               "--model", "resnet20_cifar", "--recipe", "demo", "--out", tmp_path / "x")  # fmt: skip
    refuse(capsys, ["--folds is 500", "pictures"], "crossval", "digits", "--folds", 500,
           "--model", "resnet20_cifar", "--recipe", "demo", "--out", tmp_path / "x")  # fmt: skip
    refuse(capsys, ["top"], "predict", model, pictures / "test/cat/0.png", "--top", 0)
