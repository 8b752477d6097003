"""What lies beside data and models, damaged in every way: options, halves of answers, lists, labels in an archive."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

import reslearn
from reslearn.cli.app import main
from reslearn.jobs.probe import read_probe
from reslearn.nets.build import create_model
from reslearn.predictor import writing
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import default_preprocess

from .limits import GIGA, at_most, ends_within
from .mutants import RAW, damaged_bytes, damaged_json

PREDICT = ["predict", "m.safetensors", "pics", "--engine", "torch", "--batch-size", "4", "-o", "a.jsonl"]
SPEC = NetSpec(
    name="tiny", stem="cifar", stem_channels=4, block="basic", stage_blocks=(1,), stage_channels=(4,), num_classes=2
)


class Stopped(BaseException):
    """As a kill: nobody catches it."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model, pictures, a list of them, an archive with JSON labels, options, and a prediction stopped half-way."""
    folder = tmp_path_factory.mktemp("made")
    torch.manual_seed(0)
    reslearn.save(folder / "m.safetensors", create_model(SPEC), preprocess=default_preprocess(8), classes=["a", "b"])
    rng = np.random.default_rng(0)
    (folder / "pics").mkdir()
    with tarfile.open(folder / "set.tar", "w") as tar:
        for i in range(20):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f"pics/{i:02d}.png")
            tar.add(folder / f"pics/{i:02d}.png", f"{i:02d}.png")
            label = json.dumps({"label": f"class {i % 2}", "box": [i, [0, 1]]}).encode()
            member = tarfile.TarInfo(f"{i:02d}.json")
            member.size = len(label)
            tar.addfile(member, io.BytesIO(label))
    (folder / "list.csv").write_text("name,path\n" + "".join(f"{i},pics/{i:02d}.png\n" for i in range(20)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(writing, "PART", 4)
        options = ["--model", "resnet20_cifar", "--recipe", "demo", "--epochs", "1", "--set", "lr=0.1"]
        assert main(["train", "digits", *options, "--out", "run", "--dry-run", "--save", "o.toml"]) == 0
        assert main(PREDICT) == 0
        (folder / "a.jsonl").rename(folder / "whole.jsonl")
        answered = writing.write_atomic
        patch.setattr(writing, "write_atomic", lambda path, content: stop_after(answered, path, content))
        with pytest.raises(Stopped):
            main(PREDICT)
    return folder


def stop_after(write, path, content):
    write(path, content)
    if path.name.startswith("part-000002"):
        raise Stopped


@pytest.fixture
def fresh(made, tmp_path, monkeypatch):
    """A function that goes into a new copy of all that, and returns it."""
    monkeypatch.setattr(writing, "PART", 4)

    def copy():
        shutil.rmtree(tmp_path / "here", ignore_errors=True)
        shutil.copytree(made, tmp_path / "here")
        monkeypatch.chdir(tmp_path / "here")
        return tmp_path / "here"

    return copy


def one_line_or_done(capsys, command):
    """Exit status 0, or 2 with one line, soon and in little memory; what was said."""
    capsys.readouterr()
    with at_most(GIGA), ends_within(20):
        status = main(command)
    err = capsys.readouterr().err
    said = [line for line in err.splitlines() if line.startswith("reslearn: ")]
    assert status in (0, 2) and len(said) == (status == 2), (command, err)
    return status, err


DAMAGE = {
    "o.toml": (damaged_bytes, ["train", "--config", "o.toml", "--dry-run"]),
    "list.csv": (damaged_bytes, ["predict", "m.safetensors", "list.csv", "--engine", "torch", "-o", "l.csv"]),
    "set.tar": (damaged_bytes, ["data", "stats", "set.tar"]),
    "a.jsonl.parts/plan.json": (damaged_json, PREDICT),
    "a.jsonl.parts": (damaged_bytes, PREDICT),
}


@pytest.mark.parametrize("count", [3, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_one_line_or_the_right_answer(name, count, fresh, capsys):
    how, command = DAMAGE[name]
    for number in range(count):
        draw, here = random.Random(f"{name} {number}"), fresh()
        file = draw.choice(sorted((here / name).glob("part-*"))) if (here / name).is_dir() else here / name
        file.write_bytes(how(file.read_bytes(), draw))
        if one_line_or_done(capsys, command)[0] == 0 and command is PREDICT:
            assert (here / "a.jsonl").read_bytes() == (here / "whole.jsonl").read_bytes(), number


def test_a_half_prediction_that_was_altered_is_answered_again(fresh, capsys):
    """A digit is as good as any other to whoever reads the file; only a digest tells."""
    here = fresh()
    part = min((here / "a.jsonl.parts").glob("part-*"))
    part.write_bytes(
        part.read_bytes().replace(b'"index": 0', b'"index": 1').replace(b'"probability": 0', b'"probability": 1')
    )
    status, err = one_line_or_done(capsys, PREDICT)
    assert status == 0 and f"{part.name}: altered since it was written" in err
    assert (here / "a.jsonl").read_bytes() == (here / "whole.jsonl").read_bytes()
    assert not (here / "a.jsonl.parts").exists()


DEEP, DIGITS = "[" * 100_000, "7" * 5000
LABELS = {
    DEEP: None,
    f'{{"label": {DEEP}': None,
    f'{{"label": {DIGITS}}}': None,
    '{"label": "\\ud800"}': "half of a character",
}


@pytest.mark.parametrize("content", LABELS)
def test_labels_in_json(content, fresh, capsys):
    here = fresh()
    with tarfile.open(here / "set.tar", "a") as tar:
        tar.add(here / "pics/00.png", "more.png")
        member = tarfile.TarInfo("more.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content.encode()))
    status, err = one_line_or_done(capsys, ["data", "stats", "set.tar"])
    assert LABELS[content] is None or (status == 2 and LABELS[content] in err and "more.png" in err)


@pytest.mark.parametrize(
    "line",
    [f"seed = {DIGITS}", f"seed = {DEEP}", "[set]\nlr = 1979-05-27", "[set]\n" + "a." * 5000 + "b = 1", "seed = inf"],
)
def test_options_in_a_file(line, fresh, capsys):
    here = fresh()
    (here / "o.toml").write_text('data = "digits"\nout = "run"\nmodel = "resnet20_cifar"\nrecipe = "demo"\n' + line)
    status, err = one_line_or_done(capsys, ["train", "--config", "o.toml", "--dry-run"])
    assert status == 2 and len(err) < 3000


@pytest.mark.parametrize("value", [DEEP, DIGITS, f"[{DIGITS}]"])
def test_assignments(value, fresh, capsys):
    fresh()
    command = ["train", "digits", "--model", "resnet20_cifar", "--recipe", "demo", "--out", "run", "--dry-run"]
    for name in ("lr", "milestones", "spec.stage_blocks"):
        assert one_line_or_done(capsys, [*command, "--set", f"{name}={value}", "--save", "x.toml"])[0] == 2


def test_a_list_of_an_old_macintosh(fresh, capsys):
    """Lines that end in CR alone."""
    here = fresh()
    (here / "list.csv").write_bytes((here / "list.csv").read_bytes().replace(b"\n", b"\r"))
    assert (
        one_line_or_done(capsys, ["predict", "m.safetensors", "list.csv", "--engine", "torch", "-o", "l.jsonl"])[0] == 0
    )
    assert len((here / "l.jsonl").read_text().splitlines()) == 20


@pytest.mark.parametrize("name", ["set.tar", "list.csv", "a.jsonl.parts/plan.json", "a.jsonl.parts", "pics/05.png"])
def test_a_pipe_is_waited_for_by_nobody(name, fresh, capsys):
    here = fresh()
    file = min((here / name).glob("part-*")) if (here / name).is_dir() else here / name
    file.unlink()
    os.mkfifo(file)
    given, out = (
        (name, []) if name in ("set.tar", "list.csv") else ("pics", ["-o", "a.jsonl"] if "parts" in name else [])
    )
    command = ["predict", "m.safetensors", given, "--engine", "torch", "--batch-size", "4", *out]
    status, err = one_line_or_done(capsys, command)
    assert status == 2 and "a pipe" in err


@pytest.mark.parametrize(
    "content", [*RAW, b'{"top1": 1e999}', b'{"top1": 0.5, "gain": "x"}', b'{"top1": true, "gain": 0}']
)
def test_a_probe_that_says_no_numbers_is_none(content, tmp_path):
    (tmp_path / "probe.json").write_bytes(content)
    assert read_probe(tmp_path) is None
