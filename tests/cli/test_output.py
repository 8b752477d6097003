"""A place that cannot be written is refused before any work, by its own name; what is not ours is not replaced."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from reslearn.bundle.file import save
from reslearn.bundle.header import Bundle, Member
from reslearn.cli.app import main
from reslearn.cli.output import put_table
from reslearn.nets.build import create_model
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import default_preprocess

SPEC = NetSpec("tiny", "cifar", 4, "basic", (1,), (4,), num_classes=2)
TRAINING = ["digits", "--model", "resnet20_cifar", "--recipe", "demo"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in: `notes.txt`, a `folder`, `pictures` of two classes, and a sealed model."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("do not lose me")
    (tmp_path / "folder").mkdir()
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "pictures" / "test" / name).mkdir(parents=True)
        for i in range(3):
            image = rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "pictures" / "test" / name / f"{i}.png"), image)
    torch.manual_seed(0)
    bundle = Bundle((Member(SPEC),), default_preprocess(12), classes=("cat", "dog"))
    save(tmp_path / "m.safetensors", [create_model(SPEC)], bundle)
    return tmp_path


def refused(capsys, here, words, *arguments):
    """Status 2 and one line with these words; every file is as it was, and no new one is there."""
    before = {path: path.is_file() and path.read_bytes() for path in here.rglob("*")}
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("reslearn: ")]
    assert out == "" and len(lines) == 1 and ".tmp" not in err and "Traceback" not in err
    for word in words:
        assert word in lines[0], lines[0]
    assert {path: path.is_file() and path.read_bytes() for path in here.rglob("*")} == before


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["evaluate", "m.safetensors", "pictures", "--no-cache"], "--predictions"),
        (["evaluate", "m.safetensors", "pictures", "--no-cache"], "--report"),
        (["ensemble", "m.safetensors", "m.safetensors", "--data", "pictures"], "--out"),
        (["compare", "m.safetensors", "m.safetensors"], "--report"),
        (["data", "split", "pictures", "--ratio", "8:2"], "--manifest"),
        (["data", "check", "pictures"], "--manifest"),
        (["data", "check", "pictures"], "--html"),
        (["data", "preview", "pictures"], "--out"),
        (["data", "pack", "pictures"], "--out"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else value,
)
def test_a_file_that_cannot_come_to_be(capsys, here, command, option):
    refused(capsys, here, ["nosuch: no such folder", "make it first"], *command, option, "nosuch/x.png")
    refused(capsys, here, ["folder: a folder is there"], *command, option, "folder")
    refused(capsys, here, ["notes.txt is a file, not a folder"], *command, option, "notes.txt/x.png")


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["evaluate", "m.safetensors", "pictures", "--no-cache"], "--predictions"),
        (["evaluate", "m.safetensors", "pictures", "--no-cache"], "--report"),
        (["ensemble", "m.safetensors", "m.safetensors", "--data", "pictures"], "--out"),
        (["compare", "m.safetensors", "m.safetensors"], "--report"),
        (["data", "split", "pictures", "--ratio", "8:2"], "--manifest"),
        (["data", "check", "pictures"], "--manifest"),
        (["data", "check", "pictures"], "--html"),
        (["data", "preview", "pictures"], "--out"),
        (["data", "pack", "pictures"], "--out"),
        (["convert", "m.safetensors", "--model", "resnet20_cifar"], "--output"),
        (["convert", "m.safetensors", "--model", "resnet20_cifar", "--to", "akamaster"], "--output"),
    ],
    ids=lambda value: " ".join([*value[:2], *value[-1:]]) if isinstance(value, list) else value,
)
def test_a_file_of_another_kind_is_not_replaced(capsys, here, command, option):
    """Whatever a command writes, the file of somebody else that it would take the place of stays."""
    cv2.imwrite("photo.png", np.zeros((8, 8, 3), np.uint8))
    (here / "page.html").write_text("<!doctype html><p>mine</p>")
    (here / "numbers.json").write_text('{"mine": [1, 2, 3]}')
    for name in ("notes.txt", "photo.png", "page.html", "numbers.json"):
        refused(capsys, here, [name], *command, option, name)


def test_what_a_run_is_made_of_is_its_own(capsys, here):
    (here / "run.json").write_text("{}")
    (here / "metrics.jsonl").write_text("{}")
    for option, name in (("--predictions", "out-of-fold.safetensors"), ("--report", "metrics.jsonl")):
        refused(capsys, here, [option, name], "evaluate", "m.safetensors", "pictures", option, name)
    refused(capsys, here, ["run"], "convert", "m.safetensors", "--model", "resnet20_cifar", "-o", "model.safetensors")


def test_two_results_need_two_files(capsys, here):
    command = ["evaluate", "m.safetensors", "pictures", "--predictions", "x", "--report", "./x"]
    refused(capsys, here, ["--report x", "--predictions names the same file"], *command)


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["report", "nowhere"], "--figures"),
        (["crossval", *TRAINING, "--folds", "2"], "--out"),
        (["demo"], "--out"),
        (["paper", "run", "p1-fig6"], "--store"),
        (["paper", "report"], "--out"),
        (["paper", "report"], "--keep"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else value,
)
def test_a_folder_that_cannot_come_to_be(capsys, here, command, option):
    for name in ("notes.txt", "notes.txt/a/b"):
        refused(capsys, here, [option, "notes.txt is a file, not a folder"], *command, option, name)


def test_what_the_system_says_of_a_path_is_the_users_to_mend(capsys, here):
    """`train` makes its folder late; the line and the status are as they are everywhere."""
    refused(capsys, here, ["notes.txt/sub"], "train", *TRAINING, "--epochs", "1", "--out", "notes.txt/sub")


def test_only_a_pack_is_replaced_by_a_pack(capsys, here):
    refused(capsys, here, ["notes.txt", "no pack"], "data", "pack", "pictures", "-o", "notes.txt")
    for _ in range(2):
        assert main(["data", "pack", "pictures", "-o", "a.pack"]) == 0
    assert sorted(path.name for path in here.glob("a.pack*")) == ["a.pack"]


def test_a_sheet_is_a_png_and_says_what_it_replaces(capsys, here):
    refused(capsys, here, ["notes.txt", "notes.png"], "data", "preview", "pictures", "-o", "notes.txt")
    cv2.imwrite("photo.png", np.zeros((8, 8, 3), np.uint8))
    refused(capsys, here, ["photo.png", "not replaced"], "data", "preview", "pictures", "-o", "photo.png")
    for _ in range(2):
        assert main(["data", "preview", "pictures", "-o", "sheet.png", "--rows", "2", "--columns", "2"]) == 0
    assert "replaces sheet.png" in capsys.readouterr().err
    assert cv2.imread("sheet.png") is not None


def test_a_pack_says_what_the_manifest_leaves_out(capsys, here):
    (here / "pictures" / "test" / "cat" / "0.png").write_bytes(b"")
    assert main(["data", "check", "pictures"]) == 0
    capsys.readouterr()
    assert main(["data", "pack", "pictures", "-o", "a.pack"]) == 0
    out, err = capsys.readouterr()
    assert "1 picture left out" in err and "5 pictures" in out


@pytest.mark.parametrize("columns", [8, 40, 80])
def test_no_name_and_no_number_of_a_table_is_cut_in_a_narrow_terminal(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["list", "*50_v1*"]) == 0 and main(["recipes"]) == 0 and main(["recipes", "demo", "--fields"]) == 0
    put_table(["class", "F1"], [["a cat 🐱", "66.7 %"], ["[macro]", "100.0 %"]])
    printed = capsys.readouterr().out
    for whole in (
        "66.7 %",
        "100.0 %",
        "a cat 🐱",
        "resnet50_v1",
        "25,557,032",
        "3.86 G",
        "64,000 steps",
        "modern-imagenet",
        "label_smoothing",
    ):
        assert whole in printed
    assert "…" not in printed
    assert columns > 40 or max(map(len, printed.splitlines())) > columns, "the terminal was wide enough"
