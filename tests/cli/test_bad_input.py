"""Wrong input to the command line: one plain line with the thing and the remedy, status 2, nothing half-written."""

from __future__ import annotations

import json
import shutil
from typing import get_args

import cv2
import numpy as np
import pytest

from reslearn.cli.app import main
from reslearn.spec.choices import Combine, Encoding, OnBadFile, Prefer

TRAIN = ["--model", "resnet20_cifar", "--recipe", "demo", "--epochs", "1", "--set", "spec.stage_blocks=[1,1,1]"]


def picture(path, value=128):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(value).integers(0, 255, (24, 24, 3), dtype=np.uint8)
    cv2.imwrite(str(path), noise)


@pytest.fixture
def pictures(tmp_path):
    """A sound folder: two classes in train and test."""
    root = tmp_path / "pictures"
    for part, count in (("train", 8), ("test", 2)):
        for index in range(count):
            picture(root / part / "cat" / f"{index}.jpg", index)
            picture(root / part / "dog" / f"{index}.jpg", 100 + index)
    return root


def run(capsys, *arguments):
    """(status, standard output, standard error without progress)."""
    status = main([str(argument) for argument in arguments])
    printed, errors = capsys.readouterr()
    return status, printed, [line for line in errors.splitlines() if line.startswith("reslearn: ")]


def refused(capsys, words, *arguments, status=2):
    """The command fails with exactly one error line that holds every word, and prints nothing on standard output."""
    got, printed, errors = run(capsys, *arguments)
    assert got == status, errors
    assert printed == ""
    assert len(errors) == 1, errors
    for word in words:
        assert word in errors[0], errors[0]


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_paths_that_are_not_there(extra, capsys, tmp_path):
    out = tmp_path / "run"
    refused(capsys, ["nowhere"], "train", tmp_path / "nowhere", *TRAIN, "--out", out, *extra)
    (tmp_path / "empty").mkdir()
    refused(capsys, ["empty"], "train", tmp_path / "empty", *TRAIN, "--out", out, *extra)
    refused(capsys, ["nowhere"], "evaluate", tmp_path / "nowhere", "digits", *extra)
    refused(capsys, ["nowhere"], "resume", tmp_path / "nowhere", *extra)
    assert not out.exists()


def test_a_folder_with_one_class(capsys, pictures, tmp_path):
    shutil.rmtree(pictures / "train" / "dog")
    shutil.rmtree(pictures / "test" / "dog")
    refused(capsys, ["cat", "class"], "train", pictures, *TRAIN, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fault", ["text", "truncated", "empty"])
def test_a_bad_file_stops_training_and_can_be_mended(fault, capsys, pictures, tmp_path):
    bad = pictures / "train" / "cat" / "3.jpg"
    sound = bad.read_bytes()
    bad.write_bytes({"text": b"this is no picture", "truncated": sound[: len(sound) // 2], "empty": b""}[fault])
    out = tmp_path / "run"
    refused(capsys, ["3.jpg"], "train", pictures, *TRAIN, "--out", out, "--val-fraction", "0.25")
    assert not (out / "model.safetensors").exists()
    bad.write_bytes(sound)
    verb = ["resume", out] if (out / "run.json").exists() else ["train", pictures, *TRAIN, "--out", out]
    assert run(capsys, *verb)[0] == 0
    assert (out / "model.safetensors").exists()


def test_a_class_in_test_that_train_lacks(capsys, pictures, tmp_path):
    picture(pictures / "test" / "horse" / "0.jpg")
    refused(capsys, ["horse"], "train", pictures, *TRAIN, "--out", tmp_path / "run")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "resnet19"], ["resnet19", "resnet18"]),
        (["--recipe", "paper-cifr"], ["paper-cifr", "paper-cifar"]),
        (["--set", "momentun=0.9"], ["momentun", "momentum"]),
        (["--set", "augment.padd=3"], ["augment.padd", "augment.pad"]),
        (["--set", "spec.shortcutt=A"], ["shortcutt", "shortcut"]),
        (["--set", "lr"], ["field=value"]),
        (["--precision", "fp8"], ["fp8", "bf16"]),
        *((["--epochs", value], ["--epochs is", "positive"]) for value in ("-1", "0", "nan", "inf")),
        (["--epochs", "1e300"], ["--epochs is 1e+300", "at most 1,000,000"]),
        (["--set", "batch_size=0"], ["batch_size is 0; it must be at least 1"]),
        (["--set", "preprocess.mode=foo"], ["preprocess.mode", "'squash'"]),
        (["--set", "settings.device=tpu"], ["settings.device", "cpu"]),
        (["--set", "settings.device=cuda:99"], ["settings.device is cuda:99", "use cpu"]),
        (["--set", "settings.device=cpu", "--set", "settings.precision=fp16"], ["settings.precision is fp16", "bf16"]),
        (["--set", "settings.workers=-1"], ["settings.workers is -1", "at least 0"]),
        (["--set", "settings.threads=0"], ["settings.threads is 0", "at least 1"]),
        (["--set", "spec.in_channels=1"], ["spec.in_channels=1", "RGB"]),
        (["--set", "spec.num_classes=10"], ["spec.num_classes", "data"]),
        (["--set", "spec.stage_blocks=many"], ["spec.stage_blocks=many", "whole numbers", "4,8"]),
        (["--image-size", "0"], ["--image-size is 0", "at least 1"]),
        (["--weights", "nowhere.pth"], ["nowhere.pth", "no such file"]),
        (["--frobnicate"], ["frobnicate"]),
    ],
    ids=lambda value: str(value[-1]),
)
def test_names_that_do_not_exist(arguments, words, capsys, tmp_path):
    given = [*TRAIN, *arguments]
    for extra in ([], ["--dry-run"], ["--dry-run", "--json"]):
        refused(capsys, words, "train", "digits", *given, "--out", tmp_path / "run", *extra)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("choices", "command"),
    [
        (OnBadFile, ["train", "digits", *TRAIN, "--out", "run", "--on-bad-file"]),
        (OnBadFile, ["crossval", "digits", *TRAIN, "--folds", "2", "--out", "run", "--on-bad-file"]),
        (Prefer, ["plan", "digits", *TRAIN, "--prefer"]),
        (Prefer, ["convert", "w.pth", "--model", "resnet20_cifar", "-o", "m.safetensors", "--prefer"]),
        (Combine, ["ensemble", "a", "b", "--data", "digits", "--combine"]),
        (Encoding, ["data", "pack", "digits", "-o", "x.pack", "--encoding"]),
    ],
    ids=lambda value: f"{value[0]} {value[-1]}" if isinstance(value, list) else "",
)
def test_what_an_option_offers_is_what_its_type_holds(choices, command, capsys):
    refused(capsys, [command[-1], *map(repr, get_args(choices))], *command, "other")


@pytest.mark.parametrize("wrong", ["fp8", "fp64"])  # fp64 is for tests alone
@pytest.mark.parametrize(
    "command",
    [
        ["train", "digits", *TRAIN, "--out", "run", "--precision"],
        ["train", "digits", *TRAIN, "--out", "run", "--set", "settings."],
        ["crossval", "digits", *TRAIN, "--folds", "2", "--out", "run", "--precision"],
        ["crossval", "digits", *TRAIN, "--folds", "2", "--out", "run", "--set", "settings."],
        *(["bench", kind, *last] for kind in ("train", "infer") for last in (["--precision"], ["--set", ""])),
        ["paper", "run", "p1-fig6", "--precision"],
        ["evaluate", "FINISHED", "digits", "--precision"],
        ["predict", "FINISHED", "x.png", "--precision"],
    ],
    ids=lambda command: " ".join([command[0], command[1], *command[-2:]]),
)
def test_a_precision_that_no_command_offers(command, wrong, finished, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "x.png")
    given = [str(finished) if word == "FINISHED" else word for word in command]
    given = [*given, wrong] if command[-1] == "--precision" else [*given[:-1], f"{given[-1]}precision={wrong}"]
    status, printed, errors = run(capsys, *given)
    assert (status, printed, len(errors)) == (2, "", 1), errors
    offered = errors[0].replace(wrong, "", 1)
    assert all(word in offered for word in ("precision", "fp32", "bf16", "fp16")) and "fp64" not in offered
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan", "digits", *TRAIN, "--seconds", "-1"], ["--seconds is -1", "positive"]),
        (["plan", "digits", *TRAIN, "--seconds", "1e300"], ["--seconds is 1e+300", "at most 86,400"]),
        (["bench", "train", "--steps", "9" * 30], ["--steps is far too large", "at most 1,000,000"]),
        (["data", "preview", "digits", "--columns", "99999999", "-o", "x.png"], ["too large", "--columns"]),
        (["crossval", "digits", *TRAIN, "--folds", "99999999"], ["--folds is 99999999", "2..", "pictures"]),
        (["plan", "digits", *TRAIN, "--seconds", "nan"], ["--seconds is nan", "positive"]),
        (["plan", "digits", *TRAIN, "--image-size", "0"], ["--image-size is 0"]),
        (["data", "stats", "digits", "--image-size", "0"], ["--image-size is 0"]),
        (["data", "preview", "digits", "--image-size", "0"], ["--image-size is 0"]),
        (["bench", "train", "--steps", "1"], ["--steps is 1", "at least 2"]),
        (["bench", "train", "--batch", "0"], ["--batch is 0", "at least 1"]),
        (["bench", "train", "--image-size", "0"], ["--image-size is 0", "at least 1"]),
        (["bench", "train", "--set", "device=cuda:99"], ["device is cuda:99", "use cpu"]),
        (["bench", "infer", "--steps", "0"], ["--steps is 0", "at least 2"]),
        (["bench", "infer", "--batch", "-1"], ["--batch is -1", "at least 1"]),
        (["bench", "infer", "--image-size", "-8"], ["--image-size is -8", "at least 1"]),
        (["bench", "data", "digits", "--steps", "1"], ["--steps is 1", "at least 2"]),
        (["bench", "data", "digits", "--batch", "0"], ["--batch is 0", "at least 1"]),
        (["bench", "data", "digits", "--image-size", "0"], ["--image-size is 0", "at least 1"]),
        (["bench", "data", "digits", "--workers", "-1"], ["--workers is -1", "at least 0"]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_numbers_with_which_nothing_can_be_done(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(capsys, words, *arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ratio", ["1e308:1e308:1e308", "inf:1", "nan:1", "1e300:1e-300", "1:-1", "0:0"])
def test_a_ratio_without_shares_is_named(ratio, capsys, pictures):
    refused(capsys, [f"--ratio is '{ratio}'", "positive numbers"], "data", "split", pictures, "--ratio", ratio)


@pytest.mark.parametrize("there", [[], ["--folds", "8"], ["--ratio", "3:1"]])
def test_folds_that_cannot_be_are_named_whatever_the_manifest_says(there, capsys, pictures):
    if there:
        assert run(capsys, "data", "split", pictures, *there)[0] == 0
    for folds in ("1", "99999999"):
        given = ["data", "split", pictures, "--folds", folds]
        refused(capsys, [f"--folds is {folds}; it must lie in 2..20, the number of pictures"], *given)
    if "--ratio" in there:
        errors = run(capsys, "data", "split", pictures, "--folds", "16")[2]
        assert "not fold0, fold1, fold2, ... (16 in all)" in errors[0], errors


def test_a_dry_run_looks_at_the_weights_and_the_place(capsys, tmp_path):
    """All that would stop the run stops its rehearsal; nothing is written by either."""
    notes = tmp_path / "weights.pth"
    notes.write_text("no tensors here")
    for extra in ([], ["--dry-run"]):
        given = ["train", "digits", *TRAIN, "--weights", notes, "--out", tmp_path / "run", *extra]
        refused(capsys, ["weights.pth", "not a PyTorch or safetensors file"], *given)
        refused(capsys, [str(tmp_path), "not empty"], "train", "digits", *TRAIN, "--out", tmp_path, *extra)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pth"]


@pytest.mark.parametrize(("fraction", "told"), [("0.001", True), ("0", False), ("0.25", False)])
def test_a_fraction_that_holds_out_nothing_is_told(fraction, told, capsys, pictures, tmp_path):
    given = ["train", pictures, *TRAIN, "--val-fraction", fraction, "--dry-run", "--json", "--out", tmp_path / "run"]
    assert main([str(argument) for argument in given]) == 0
    printed, errors = capsys.readouterr()
    assert (json.loads(printed)["data"]["val"] == 0) == (fraction != "0.25")
    assert (f"note      --val-fraction {fraction} of 16 pictures holds out none" in errors) == told


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "digits", *TRAIN, "--image-size", "8", "--out", str(folder)]) == 0
    return folder


def test_a_sealed_file_that_is_damaged_or_not_ours(finished, capsys, tmp_path):
    whole = (finished / "model.safetensors").read_bytes()
    damaged = {"cut": whole[: len(whole) // 2], "noise": bytes(range(256)) * 9, "nothing": b""}
    flipped = bytearray(whole)
    flipped[-9] ^= 1
    for name, content in {**damaged, "flipped": bytes(flipped)}.items():
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(content)
        refused(capsys, [path.name], "evaluate", path, "digits")


def test_an_untrained_name_cannot_be_scored(capsys):
    refused(capsys, ["resnet20_cifar", "untrained"], "evaluate", "resnet20_cifar", "digits")


def test_a_run_folder_in_use(finished, capsys):
    before = (finished / "model.safetensors").read_bytes()
    for extra in ([], ["--dry-run"]):
        refused(capsys, ["--overwrite", "resume"], "train", "digits", *TRAIN, "--out", finished, *extra)
    assert (finished / "model.safetensors").read_bytes() == before


def test_the_result_of_training_is_what_evaluate_says(finished, capsys):
    status, printed, _ = run(capsys, "resume", finished, "--json")
    assert status == 0
    val = json.loads(printed)["val"]
    status, printed, _ = run(capsys, "evaluate", finished, "digits", "--split", "val", "--json")
    again = json.loads(printed)
    for key in ("images", "top1", "top5", "loss", "precision", "preprocess_hash"):
        assert again[key] == val[key]


def test_a_full_disk_while_sealing(finished, capsys, tmp_path, monkeypatch):
    """The checkpoint is there, the sealed file is not, and `resume` finishes once there is room."""
    import errno

    from reslearn.runtime import files

    out, real = tmp_path / "run", files.os.fsync
    room = {"left": True}

    def full(handle):
        path = files.os.readlink(f"/proc/self/fd/{handle}")
        if "model.safetensors" in path and room["left"]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle)

    monkeypatch.setattr(files.os, "fsync", full)
    refused(capsys, ["No space left"], "train", "digits", *TRAIN, "--image-size", "8", "--out", out, status=1)
    assert not (out / "model.safetensors").exists()
    assert not list(out.glob(".*tmp"))
    room["left"] = False
    assert run(capsys, "resume", out)[0] == 0


def test_weights_that_cannot_be_loaded_leave_a_run_as_it_is(capsys, tmp_path, pictures):
    out = tmp_path / "run"
    missing = ["--weights", tmp_path / "typo.pth"]
    refused(capsys, ["typo.pth"], "train", pictures, *TRAIN, "--out", out, *missing)
    assert not out.exists()
    assert run(capsys, "train", pictures, *TRAIN, "--out", out)[0] == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    refused(capsys, ["typo.pth"], "train", pictures, *TRAIN, "--out", out, "--overwrite", *missing)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_fold_that_there_is_not_begins_nothing(capsys, tmp_path):
    out = tmp_path / "cv"
    command = ["crossval", "digits", "--folds", "5", "--model", "resnet20_cifar", "--recipe", "demo", "--out", out]
    for extra in ([], ["--dry-run"]):
        refused(capsys, ["--fold is 9", "1..5"], *command, "--fold", "9", *extra)
    assert not out.exists()


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["--set", "settings.device=tpu"], ["settings.device", "tpu"]),
        (["--set", "spec.num_classes=3"], ["spec.num_classes"]),
        (["--set", "preprocess.mode=foo"], ["preprocess.mode"]),
        (["--epochs", "0"], ["--epochs is 0"]),
    ],
)
def test_a_cross_validation_refuses_what_a_training_refuses(extra, words, capsys, tmp_path):
    out = tmp_path / "cv"
    command = ["crossval", "digits", "--folds", "3", "--model", "resnet20_cifar", "--recipe", "demo", "--out", out]
    refused(capsys, words, *command, *extra)
    assert not out.exists()
