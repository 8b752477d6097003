"""What a command prints is ours alone: no name of a class, file or model can move the cursor or begin a line."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

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
from reslearn.spec.text import shown, shown_json

SOURCE = Path(__file__).parents[2] / "src" / "reslearn"
EVIL = "a\x1b[2Jb\nreslearn: all is well\r\x9b31m\u2028\u202e[bold]"
MODEL, OTHER, DATA = f"m{EVIL}.safetensors", f"n{EVIL}.safetensors", f"data{EVIL}"
HARMFUL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]")
PRINTERS = {"cli/output.py", "jobs/progress.py", "runtime/notes.py"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A data set and a model whose every name is hostile."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    image = cv2.imencode(".png", rng.integers(0, 255, (12, 12, 3), dtype=np.uint8))[1].tobytes()
    for split in ("train", "test"):
        for name in (EVIL, "plain"):
            folder = tmp_path / f"data{EVIL}" / split / name
            folder.mkdir(parents=True)
            for i in range(3):
                (folder / f"{i}{EVIL}.png").write_bytes(image + bytes(i) if i else image)
    (tmp_path / f"data{EVIL}" / "train" / "plain" / f"broken{EVIL}.png").write_bytes(b"no picture")
    spec = NetSpec(f"tiny{EVIL}", "cifar", 4, "basic", (1,), (4,), num_classes=2)
    bundle = Bundle((Member(spec),), default_preprocess(12), classes=(EVIL, "plain"))
    for seed, name in enumerate((MODEL, OTHER)):
        torch.manual_seed(seed)
        save(tmp_path / name, [create_model(spec)], bundle)
    return tmp_path


COMMANDS = {
    "stats": ["data", "stats", DATA],
    "check": ["data", "check", DATA],
    "split": ["data", "split", DATA, "--ratio", "8:2"],
    "show": ["show", MODEL],
    "show a name": ["show", EVIL],
    "evaluate": ["evaluate", MODEL, DATA, "--details"],
    "predict": ["predict", MODEL, DATA],
    "predict what is not there": ["predict", MODEL, EVIL],
    "calibrate": ["calibrate", MODEL, DATA, "--split", "test"],
    "ensemble": ["ensemble", MODEL, OTHER, "--data", DATA, "--split", "test"],
    "compare": ["compare", MODEL, OTHER, "--data", DATA, "--split", "test"],
    "pack": ["data", "pack", DATA, "-o", f"{EVIL}.pack"],
    "train": ["train", DATA, "--model", "resnet20_cifar", "--recipe", "demo", "--out", EVIL, "--dry-run"],
    "no such model": ["train", DATA, "--model", EVIL, "--recipe", "demo", "--out", "run"],
    "no such option": ["train", f"--{EVIL}"],
    "an assignment": ["train", "digits", "--model", "resnet20_cifar", "--recipe", "demo", "--out", "r", "--set", EVIL],
    "resume": ["resume", DATA],
    "report": ["report", DATA],
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("as_json", [False, True])
def test_names_are_shown_escaped(here, capsys, name, as_json):
    status = main([*COMMANDS[name], *(["--json"] if as_json else [])])
    out, err = capsys.readouterr()
    assert status in (0, 2) and "Traceback" not in err
    for text in (out, err):
        assert not HARMFUL.search(text), text
        assert not re.search("^reslearn: all", text, re.MULTILINE), text
    assert "\\x1b" in err + out or "\\u001b" in out, "shown, not dropped"
    if as_json and out:
        json.loads(out)


def test_names_in_brackets_are_no_style(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = cv2.imencode(".png", np.zeros((12, 12, 3), np.uint8))[1].tobytes()
    for name in ("[red]", "[b]x[", "back\\[slash]"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "a.png").write_bytes(image)
    assert main(["data", "stats", "data"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("[red]", "[b]x[", "back\\[slash]"))


def test_only_one_place_prints():
    """Else the next command forgets to escape."""
    for path in SOURCE.rglob("*.py"):
        if path.relative_to(SOURCE).as_posix() in PRINTERS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert called not in ("print", "Console", "sys.stdout.write", "sys.stderr.write", "typer.echo"), path


@pytest.mark.parametrize("text", ["plain", "한국어", "é", "a b", "x\\n", "\U0001f600"])
def test_other_text_stays(text):
    assert shown(text) == text


def test_escapes():
    assert shown("a\nb\r\t\x1b\x9b\u2028\x7f") == "a\\nb\\r\\t\\x1b\\x9b\\u2028\\x7f"
    value = {"\x9b": "\u202e\n\x00"}
    text = shown_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value and not HARMFUL.search(text)
