"""Several processes under `torchrun` train as one does, write once, and survive being killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

COMMON = ["digits", "--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--precision", "fp32"]
COMMON += ["--set", "spec.stage_blocks=[1,1,1]", "--set", "settings.threads=1"]


def launch(processes, arguments):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.Popen(
        [sys.executable, *(launcher if processes > 1 else []), "-m", "reslearn", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process):
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return printed, errors


def journal(folder, kind):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def test_two_processes_with_synchronised_bn_train_as_one_does(tmp_path):
    options = ["--epochs", "0.99", "--set", "bn_sync=true", "--set", "lr=0.05", "--json"]
    for processes in (1, 2):
        process = launch(processes, ["train", *COMMON, *options, "--out", tmp_path / str(processes)])
        printed, errors = finish(process)
        assert len(printed.splitlines()) == 1, "the result is printed once"
        assert errors.count("reslearn train:") == 1, "progress is printed once"
    one, two = (journal(tmp_path / n, "step") for n in ("1", "2"))
    assert len(one) == len(two) >= 20
    assert two[0]["loss"] == pytest.approx(one[0]["loss"], rel=1e-6)  # the forward pass
    for a, b in zip(one[:4], two[:4], strict=True):  # and what the first updates made of it
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-5)
    for a, b in zip(one, two, strict=True):  # later a small net's fp32 rounding grows, step by step
        assert b["loss"] == pytest.approx(a["loss"], rel=2e-2)


def kill_all(process):
    """SIGKILL for the launcher and its workers, which sit in sessions of their own."""
    workers = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and parent_of(pid) == process.pid]
    for pid in (process.pid, *workers):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return None


@pytest.mark.parametrize("draw", [pytest.param(n, marks=[pytest.mark.slow] if n else []) for n in range(5)])
def test_two_killed_processes_resume_to_the_same_bits(draw, tmp_path):
    arguments = [*COMMON, "--epochs", "4", "--set", "checkpoint_every=0.2"]
    started = time.monotonic()
    finish(launch(2, ["train", *arguments, "--out", tmp_path / "whole"]))
    seconds = time.monotonic() - started
    run = tmp_path / "run"
    process = launch(2, ["train", *arguments, "--out", run])
    time.sleep(seconds * (0.55 + 0.08 * draw))
    kill_all(process)
    verb = ["resume", run] if (run / "run.json").exists() else ["train", *arguments, "--out", run]
    finish(launch(2, verb))
    assert (run / "model.safetensors").read_bytes()[-1000:] == (tmp_path / "whole/model.safetensors").read_bytes()[
        -1000:
    ]
    assert [line["loss"] for line in journal(run, "step")] == [
        line["loss"] for line in journal(tmp_path / "whole", "step")
    ]


def test_a_batch_that_does_not_divide_is_one_line(tmp_path):
    process = launch(2, ["train", *COMMON, "--set", "batch_size=65", "--out", tmp_path / "run"])
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "must be a multiple of 2 processes" in errors
    assert not (tmp_path / "run").exists()
