"""Pipes and devices as pictures, in every kind of list, are named in one line, at once."""

from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest

from reslearn.cli.app import main

from .limits import ends_within


@pytest.fixture(autouse=True)
def alarm():
    with ends_within(20):
        yield


def put_odd(path, kind):
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "sparse":
        with open(path, "wb") as file:
            file.truncate(1 << 40)
    else:
        path.symlink_to(f"/dev/{kind}")


ODD = {"pipe": "a pipe", "zero": "a device", "urandom": "a device", "full": "a device", "sparse": "1,099,511,627,776"}


@pytest.fixture(params=ODD)
def here(request, tmp_path, monkeypatch):
    """`folder` of two classes, `list.csv` of the same pictures, and one odd thing among them; what is said of it."""
    monkeypatch.chdir(tmp_path)
    rng, rows = np.random.default_rng(0), []
    for name in ("cat", "dog"):
        (tmp_path / "folder" / name).mkdir(parents=True)
        for i in range(6):
            path = f"folder/{name}/{i}.png"
            cv2.imwrite(path, rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
            rows.append(f"{path},{name}")
    put_odd(tmp_path / "folder" / "cat" / "odd.png", request.param)
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows, "folder/cat/odd.png,cat"]))
    return ODD[request.param]


def one_line(capsys, words, *arguments):
    assert main(list(arguments)) == 2
    err = capsys.readouterr().err
    lines = [line for line in err.splitlines() if line.startswith("reslearn: ")]
    assert len(lines) == 1 and "odd.png" in lines[0] and words in lines[0], err


@pytest.mark.parametrize("data", ["folder", "list.csv"])
def test_as_a_picture(here, capsys, data):
    for command in (["data", "stats", data, "--workers", "0"], ["data", "pack", data, "-o", "a.pack"]):
        one_line(capsys, here, *command)
    train = ["train", data, "--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--epochs", "1"]
    one_line(capsys, here, *train, "--set", "spec.stage_blocks=1,1,1", "--out", "run")
    assert not os.path.exists("run")


@pytest.mark.parametrize("data", ["folder", "list.csv"])
def test_a_check_finds_it_and_training_then_does_without(here, capsys, data):
    assert main(["data", "check", data, "--json"]) == 0
    faults = json.loads(capsys.readouterr().out)["faults"]["undecodable"]
    assert len(faults) == 1 and here in faults[0]["detail"]
    assert main(["data", "stats", data]) == 0, "the manifest leaves it out"


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize(
    "name", ["data", "data.csv", "data.tar", "data.tar.gz", "data.pack", "data.json", "data.parquet"]
)
def test_as_data(kind, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    put_odd(tmp_path / name, kind)
    assert main(["data", "stats", name]) == 2
    err = capsys.readouterr().err
    assert sum(line.startswith("reslearn: ") and name in line for line in err.splitlines()) == 1


READING = [
    "show odd.safetensors", "predict odd.safetensors odd.pth", "evaluate odd.safetensors digits", "resume run",
    "report run", "convert odd.pth --model resnet18 -o x.safetensors", "convert odd.safetensors -o x.safetensors",
    "train --config odd.toml", "train digits --dry-run --save odd.toml", "data stats odd.zip",
    "verify odd.safetensors odd.safetensors --data digits", "features odd.safetensors digits -o f.parquet",
    "paper report --page page.md", "card odd.safetensors", "push odd.safetensors --to-folder there",
]  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_as_any_other_file_that_is_read(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    for name in ("odd.safetensors", "odd.pth", "run/run.json", "odd.toml", "page.md", "odd.zip"):
        put_odd(tmp_path / name, kind)
    for line in READING:
        command = line.split()
        assert main(command) == 2, command
        err = capsys.readouterr().err
        assert sum(line.startswith("reslearn: ") for line in err.splitlines()) == 1 and "Traceback" not in err


def test_as_a_place_to_write_to_it_is_not_replaced(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    put_odd(tmp_path / "out.png", "full")
    assert main(["data", "preview", "digits", "-o", "out.png"]) == 2
    assert "a device" in capsys.readouterr().err
    assert (tmp_path / "out.png").is_symlink()
