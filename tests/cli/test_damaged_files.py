"""Every format that is read, damaged in every way: one line and exit status 2, or the right answer; no traceback."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import tarfile
import time
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reslearn.cli.app import main

from .limits import GIGA, at_most
from .mutants import damaged_bytes, damaged_json, damaged_lines

TRAIN = ["--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--precision", "fp32"]
TRAIN += ["--set", "spec.stage_blocks=1,1,1", "--set", "batch_size=8", "--set", "settings.threads=1"]
LOOK = ["data", "stats"]
CHECK = ["data", "check", "--no-write"]
# What is damaged and how, and the commands that read it; a `*` stands for the name of a data set.
FORMATS = {
    "run/run.json": (damaged_json, ["resume run", "report run", "evaluate run pics --split val", "show run"]),
    "half/run.json": (damaged_json, ["resume half", "report half", "show half"]),
    "run/metrics.jsonl": (damaged_lines, ["resume run", "report run"]),
    "half/metrics.jsonl": (damaged_lines, ["resume half", "report half"]),
    "run/ledger.jsonl": (damaged_lines, ["report run", "evaluate run pics --no-cache --json"]),
    "run/model.safetensors": (damaged_bytes, ["show run", "evaluate run pics --no-cache --json", "resume run"]),
    "run/pictures.safetensors": (damaged_bytes, ["evaluate run pics --json", "report run", "resume run"]),
    "run/predictions": (damaged_bytes, ["evaluate run pics --json", "report run"]),
    "half/checkpoints": (damaged_bytes, ["resume half"]),
    "cv/crossval.json": (damaged_json, ["resume cv", "report cv", "evaluate cv pics --json"]),
    "cv/fold-1/out-of-fold.safetensors": (damaged_bytes, ["resume cv", "report cv"]),
    "scores.safetensors": (damaged_bytes, ["compare scores.safetensors scores.safetensors"]),
    "checked.json": (damaged_json, ["data stats *", "data check --no-write *", "data split * --ratio 8:2 -o x.json"]),
    "split.json": (damaged_json, ["data stats *", "data check --no-write *", "data split * --ratio 8:2 -o x.json"]),
    "a.pack": (damaged_bytes, ["data stats *", "data check --no-write *"]),
    "raw.pack": (damaged_bytes, ["data stats *", "data check --no-write *"]),
    "list.csv": (damaged_bytes, ["data stats *", f"train * {' '.join(TRAIN)} --out new --dry-run"]),
    "pics.tar": (damaged_bytes, ["data stats *"]),
    "pics.tar.gz": (damaged_bytes, ["data stats *"]),
    "pics.parquet": (damaged_bytes, ["data stats *"]),
    "pics.zip": (damaged_bytes, ["data stats *"]),
}


def done(*arguments):
    assert main(list(arguments)) == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One of everything: runs, finished and not, a cross-validation, scores, manifests, packs, lists and archives."""
    folder, before = tmp_path_factory.mktemp("made"), os.getcwd()
    os.chdir(folder)
    rng, rows = np.random.default_rng(0), [["path", "label", "split"]]
    for split, count in (("train", 12), ("test", 3)):
        for name in ("cat", "dog"):
            os.makedirs(f"pics/{split}/{name}")
            for i in range(count):
                path = f"pics/{split}/{name}/{i}.png"
                cv2.imwrite(path, rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
                rows.append([path, name, split])
    with open("list.csv", "w", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    names = [path for path, *_ in rows[1:]]
    files = [{"bytes": Path(path).read_bytes(), "path": path} for path in names]
    labels = [int("dog" in path) for path in names]
    pq.write_table(pa.table({"image": files, "label": labels}), "pics.parquet", row_group_size=8)
    shutil.make_archive("pics", "zip", base_dir="pics")
    for name, mode in (("pics.tar", "w"), ("pics.tar.gz", "w:gz")):
        with tarfile.open(name, mode) as tar:
            tar.add("pics")
    done("train", "pics", *TRAIN, "--epochs", "2", "--out", "run")
    done("evaluate", "run", "pics", "--predictions", "scores.safetensors")
    shutil.copytree("run", "half")
    for name in ("model.safetensors", "report.html"):
        os.unlink(f"half/{name}")
    done("crossval", "pics", "--folds", "2", *TRAIN, "--epochs", "1", "--out", "cv")
    done("data", "pack", "pics", "-o", "a.pack")
    done("data", "pack", "pics", "-o", "raw.pack", "--encoding", "raw")
    done("data", "check", "pics", "-o", "checked.json")
    done("data", "split", "pics", "--ratio", "8:2", "-o", "split.json")
    os.chdir(before)
    return folder


def try_damage(name, draw, made, folder, capsys):
    """Damage the file `name` of a copy of everything, and run one of the commands that read it."""
    how, commands = FORMATS[name]
    shutil.copytree(made, folder)
    os.chdir(folder)
    file = folder / name
    if file.is_dir():
        file = max(file.iterdir())
    elif not file.exists():
        pytest.skip(f"needs {name}, which this run does not write")
    command = draw.choice(commands).replace("*", name).split()
    right = None
    if "--json" in command:
        main(command)
        right = capsys.readouterr().out
    file.write_bytes(how(file.read_bytes(), draw))
    capsys.readouterr()
    started = time.monotonic()
    with at_most(GIGA):
        status = main(command)
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("reslearn: ")]
    assert status in (0, 2), (command, err)
    assert len(lines) == (status == 2), (command, err)
    assert time.monotonic() - started < 20
    if status == 0 and right is not None:
        assert scores(out) == scores(right), command


def scores(out):
    """What was scored, whatever else is said of it."""
    return {name: value for name, value in json.loads(out).items() if name != "seen"}


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_one_line_or_changes_nothing(name, made, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        try_damage(name, random.Random(f"{name} {number}"), made, tmp_path / str(number), capsys)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_much_damage(name, made, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(200):
        try_damage(name, random.Random(f"{name} slow {number}"), made, tmp_path / str(number), capsys)
        os.chdir(tmp_path)
        shutil.rmtree(tmp_path / str(number))


FOREIGN = [b"", b"null", b"[]", b"[{}]", b"{}", b'"x"', b'{"spec": {}, "recipe": {}, "split": {}}', b'{"run_id": "1"}']


@pytest.mark.parametrize("name", ["run/run.json", "half/run.json"])
def test_another_programs_record_is_one_line(name, made, tmp_path, capsys, monkeypatch):
    """Whatever stands in the record's place, and not only what is changed inside it."""
    shutil.copytree(made, tmp_path / "made")
    monkeypatch.chdir(tmp_path / "made")
    for content in FOREIGN:
        (tmp_path / "made" / name).write_bytes(content)
        for command in [*FORMATS[name][1], f"demo --out {name.partition('/')[0]}"]:
            capsys.readouterr()
            status, err = main(command.split()), capsys.readouterr().err
            wanted = 0 if command == "show run" else 2  # which needs the sealed file alone
            assert status == wanted, (command, content)
            said = [line for line in err.splitlines() if line.startswith("reslearn: ")]
            assert len(said) == (status == 2), (command, err)
