"""What the world does to a command while it runs: one line that says what and where, and the right exit status."""

from __future__ import annotations

import json
import os
import random
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

from reslearn.cli.app import main
from reslearn.data.formats.files import Files
from reslearn.data.workers import Workers
from reslearn.spec.errors import Fault

RESLEARN = f"{shlex.quote(sys.executable)} -m reslearn"
TRAIN = ["train", "digits", "--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--precision", "fp32"]
TRAIN += ["--set", "spec.stage_blocks=1,1,1", "--set", "settings.threads=1", "--set", "checkpoint_every=0.01"]


def shell(line, **options):
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, **options)


def test_standard_output_that_takes_nothing():
    closed = shell(f"{RESLEARN} list --json >&-")
    assert (closed.returncode, closed.stderr.count("\n")) == (1, 1) and "standard output is closed" in closed.stderr
    full = shell(f"{RESLEARN} list --json >/dev/full")
    assert (full.returncode, full.stderr.count("\n")) == (1, 1)
    assert full.stderr.startswith("reslearn: standard output: No space left")
    ended = shell(f"{RESLEARN} list --json | true; echo ${{PIPESTATUS[0]}}")
    assert ended.stdout == "0\n" and ended.stderr == ""


def test_standard_error_that_takes_nothing():
    for redirection in ("2>&-", "2>/dev/full", "2>&- <&-"):
        done = shell(f"{RESLEARN} paper show static --json {redirection}")
        assert done.returncode == 0 and json.loads(done.stdout)


@pytest.mark.parametrize("draw", [pytest.param(n, marks=[pytest.mark.slow] if n > 1 else []) for n in range(20)])
def test_ctrl_c_while_modules_are_loaded(draw, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "reslearn", "evaluate", "nothing", "digits"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    time.sleep(random.Random(draw).uniform(0.3, 2.5))
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=60)[1]
    assert "Traceback" not in err
    # 2 where it was too fast for us; the bare signal where Python had begun to take itself apart
    assert process.returncode in (130, 2, -signal.SIGINT)


@pytest.fixture
def small_disk():
    """Files longer than `small_disk(bytes)` fail to be written, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A trained run and foreign weights."""
    folder = tmp_path_factory.mktemp("made")
    for seed, name in enumerate(("run", "other")):
        assert main([*TRAIN, "--epochs", "1", "--seed", str(seed), "--out", str(folder / name)]) == 0
    net = torch.nn.Linear(300, 300)
    torch.save(net.state_dict(), folder / "w.pth")
    return folder


EVALUATE = ["evaluate", "run", "digits", "--no-cache"]
CROSSVAL = ["crossval", *TRAIN[1:], "--folds", "2", "--epochs", "0.2", "--out", "new"]
CONVERT = ["convert", "run", "--model", "resnet20_cifar", "--set", "stage_blocks=1,1,1", "--to"]
COMMANDS = {
    "new/pictures.safetensors": ([*TRAIN, "--epochs", "1", "--out", "new"], 500),
    "checkpoints/step-": ([*TRAIN, "--epochs", "1", "--out", "new"], 100_000),
    "new/crossval.json": (CROSSVAL, 500),
    "new/fold-1/checkpoints/step-": (CROSSVAL, 100_000),
    "both.safetensors": (["ensemble", "run", "other", "--data", "digits", "-o", "both.safetensors"], 5000),
    "page.html": ([*EVALUATE, "--report", "page.html"], 5000),
    "runs/demo/pictures.safetensors": (["demo"], 500),
    "scores.safetensors": ([*EVALUATE, "--predictions", "scores.safetensors"], 5000),
    "run/report.html": (["report", "run"], 5000),
    "x.pack.part": (["data", "pack", "digits", "--encoding", "raw", "-o", "x.pack"], 5000),
    "m.json": (["data", "check", "digits", "-o", "m.json"], 5000),
    "p.png": (["data", "preview", "digits", "-o", "p.png"], 1000),
    "x.pth": ([*CONVERT, "akamaster", "-o", "x.pth"], 1000),
    "x.safetensors": ([*CONVERT, "akamaster", "-o", "x.safetensors"], 1000),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_names_the_file(name, made, small_disk, tmp_path, monkeypatch, capsys):
    shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    command, size = COMMANDS[name]
    small_disk(size)
    try:
        status = main(command)
    finally:
        small_disk(resource.RLIM_INFINITY)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("reslearn: ")]
    assert status == 1 and len(lines) == 1, lines
    assert name in lines[0] and "File too large" in lines[0] and ".tmp" not in lines[0], lines


def test_a_journal_that_finds_no_room_names_itself(small_disk, tmp_path):
    from reslearn.train.records.journal import Journal

    with pytest.raises(OSError, match=r"metrics\.jsonl"), Journal(tmp_path / "metrics.jsonl", 0) as journal:
        small_disk(100)
        for step in range(1000):
            journal.write(kind="step", step=step, loss=1.0, lr=0.1)
        journal.flush()
    small_disk(resource.RLIM_INFINITY)


def test_a_run_folder_that_is_removed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    from reslearn.train import loop

    saved = loop.save

    def remove_first(work, journal):
        shutil.rmtree("run", ignore_errors=True)
        saved(work, journal)

    monkeypatch.setattr(loop, "save", remove_first)
    assert main([*TRAIN, "--epochs", "1", "--out", "run"]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("reslearn: ")]
    assert len(lines) == 1 and lines[0].startswith("reslearn: run: removed while the run was being trained")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_while_the_first_is_answered_says_what_is_lost(number, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    from reslearn.train import checkpoint

    def twice(*given):
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        pytest.fail("it goes on")

    with monkeypatch.context() as saving:
        saving.setattr(checkpoint, "save", twice)
        assert main([*TRAIN, "--epochs", "0.2", "--out", "run"]) == 128 + number
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("reslearn: ")]
    lost = "stopped at once: what came after the last checkpoint is lost; go on from there with: reslearn resume run"
    assert lines == [f"reslearn: {lost}"]
    assert main(["resume", "run"]) == 0


def dies(task):
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return np.zeros(1)


def test_a_killed_reader_is_a_fault_of_one_line():
    with pytest.raises(Fault, match="has died or was killed"):
        list(Workers(dies, 2).map(range(8)))


PICTURES = ["pictures", *TRAIN[2:], "--epochs", "1", "--set", "batch_size=16"]
STREAMED = ["--set", "settings.loader=streaming", "--set", "settings.workers=2"]
READING = {
    "train": ["train", *PICTURES, *STREAMED, "--out", "run"],
    "crossval": ["crossval", *PICTURES, *STREAMED, "--folds", "2", "--out", "cv"],
    "check": ["data", "check", "pictures", "--workers", "2"],
    "stats": ["data", "stats", "pictures", "--workers", "2"],
    "split": ["data", "split", "pictures", "--ratio", "8:2", "-o", "m.json", "--workers", "2"],
    "evaluate": ["evaluate", "{made}/small", "pictures", "--workers", "2", "--no-cache", "--allow-seen"],
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A run on pictures of two classes."""
    folder = tmp_path_factory.mktemp("small")
    for name in ("a", "b"):
        (folder / "pictures" / name).mkdir(parents=True)
        for i in range(130):  # fewer are checked by one process
            pixels = np.random.default_rng(i + 100 * (name == "b")).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{i}.png")
    assert main(["train", str(folder / "pictures"), *PICTURES[1:], "--out", str(folder / "small")]) == 0
    return folder


@pytest.mark.parametrize("command", READING)
def test_a_reader_that_is_killed_is_one_line(command, small, tmp_path, monkeypatch, capsys):
    """As the kernel does where memory is short, at the first picture that one of them reads."""
    shutil.copytree(small / "pictures", tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    read, parent = Files.raw, os.getpid()

    def die(source, row):
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(source, row)

    monkeypatch.setattr(Files, "raw", die)
    capsys.readouterr()
    status = main([part.format(made=small) for part in READING[command]])
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("reslearn: ")]
    assert status == 1 and out == "" and len(lines) == 1 and "has died or was killed" in lines[0], err


@pytest.mark.parametrize(
    "command",
    [
        "train digits --recipe demo --set batch_size=1 --out new",
        "train digits --recipe demo --set batch_size=4 --set accumulate=4 --out new",
        "crossval digits --recipe demo --folds 2 --set batch_size=1 --out new",
        "plan digits --recipe demo --set batch_size=2 --set accumulate=2",
        "bench train --batch 1",
    ],
)
def test_a_batch_that_leaves_batch_norm_one_value_is_one_line(command, tmp_path, monkeypatch, capsys):
    """Of resnet18 at 32 pixels, whose last map is 1x1."""
    monkeypatch.chdir(tmp_path)
    assert main([*command.split(), "--model", "resnet18", "--image-size", "32"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("reslearn: ")]
    remedy = "--batch 2" if command.startswith("bench") else "--set batch_size="
    assert len(lines) == 1 and "sees one picture" in lines[0] and remedy in lines[0]
    assert list(tmp_path.iterdir()) == []
