"""Killed at any instant and resumed, a run ends with the same weights, bit for bit, as one never killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from safetensors import safe_open

from reslearn.spec.errors import UserError
from reslearn.train.fit import resume

ARGUMENTS = ["digits", "--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--seed", "3"]
ARGUMENTS += ["--set", "spec.stage_blocks=[1,1,1]", "--set", "checkpoint_every=0.2", "--set", "validate_every=2"]
ARGUMENTS += ["--set", "settings.threads=1", "--epochs", "6", "--precision", "fp32"]


def command(*arguments: object, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "reslearn", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def outcome(folder) -> tuple[str, list[dict]]:
    """The sealed tensors' digest and the journal without the clock's part."""
    with safe_open(folder / "model.safetensors", "pt") as file:
        bundle = json.loads(file.metadata()["reslearn.bundle"])
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return bundle["sha256"], [
        {k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in lines
    ]


COMPILED = ["--set", "settings.compile=true"]


def train_whole(folder, *extra):
    started = time.monotonic()
    process = command("train", *ARGUMENTS, *extra, "--out", folder)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    return folder, time.monotonic() - started


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return train_whole(tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture(scope="module")
def uninterrupted_compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    train_whole(folder / "warm", *COMPILED)  # fills the compiler's cache, so that the next time is a run's own
    return train_whole(folder / "whole", *COMPILED)


def kill_and_resume(folder, instants, *extra) -> None:
    """Start, `kill -9` after each of the given seconds, resume; then let it end."""
    process = command("train", *ARGUMENTS, *extra, "--out", folder, "--overwrite")
    for seconds in instants:
        time.sleep(seconds)
        process.kill()
        process.communicate()
        started = (folder / "run.json").exists()
        process = command(*(["resume", folder] if started else ["train", *ARGUMENTS, *extra, "--out", folder]))
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def test_killed_at_random_instants(uninterrupted, tmp_path):
    folder, seconds = uninterrupted
    draws = random.Random(0)
    kill_and_resume(tmp_path / "run", [draws.uniform(0.3, 1.0) * seconds for _ in range(2)])
    assert outcome(tmp_path / "run") == outcome(folder)


@pytest.mark.slow
@pytest.mark.parametrize("draw", range(20))
@pytest.mark.parametrize("mode", ["eager", "compiled"])
def test_killed_at_twenty_random_instants(mode, draw, request, tmp_path):
    fixture = "uninterrupted" if mode == "eager" else "uninterrupted_compiled"
    folder, seconds = request.getfixturevalue(fixture)
    extra = [] if mode == "eager" else COMPILED
    kill_and_resume(tmp_path / "run", [random.Random(100 + draw).uniform(0.2, 1.05) * seconds], *extra)
    assert outcome(tmp_path / "run") == outcome(folder)


def test_killed_before_the_first_checkpoint(uninterrupted, tmp_path):
    """Only `run.json` is there: the run starts at step 0."""
    folder, _ = uninterrupted
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text((folder / "run.json").read_text())
    process = command("resume", tmp_path / "run", "--json")
    printed, errors = process.communicate()
    assert process.returncode == 0, errors
    assert json.loads(printed)["run"] == str(tmp_path / "run")
    assert outcome(tmp_path / "run") == outcome(folder)


def test_killed_between_sealing_and_report(uninterrupted):
    folder, _ = uninterrupted
    first = command("resume", folder, "--json").communicate()[0]
    (folder / "report.html").unlink()
    process = command("resume", folder, "--json")
    printed, _ = process.communicate()
    assert process.returncode == 0
    assert printed == first
    assert (folder / "report.html").exists()


def test_a_stop_signal_checkpoints_and_exits(uninterrupted, tmp_path):
    folder, _ = uninterrupted
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        run = tmp_path / f"run{number}"
        process = command("train", *ARGUMENTS, "--out", run)
        while not (run / "checkpoints").exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate()
        assert process.returncode == status, errors
        assert f"reslearn resume {run}" in errors
        resume(run)
        assert outcome(run) == outcome(folder)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(uninterrupted, tmp_path):
    folder, _ = uninterrupted
    run = tmp_path / "run"
    process = command("train", *ARGUMENTS, "--out", run)
    while len(list((run / "checkpoints").glob("step-*"))) < 2 and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    newest = max((run / "checkpoints").glob("step-*.safetensors"))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    (run / "model.safetensors").unlink(missing_ok=True)
    with pytest.warns(UserWarning, match="going back to the checkpoint before"):
        resume(run)
    assert outcome(run) == outcome(folder)


def test_a_run_in_use_and_a_folder_that_is_none(uninterrupted, tmp_path):
    folder, _ = uninterrupted
    process = command("train", *ARGUMENTS, "--out", folder)
    _, errors = process.communicate()
    assert process.returncode == 2
    assert "resume" in errors.splitlines()[-1]
    assert "--overwrite" in errors.splitlines()[-1]
    with pytest.raises(UserError, match="no run here"):
        resume(tmp_path)


def test_another_machine_stops_a_resume(uninterrupted, tmp_path):
    folder, _ = uninterrupted
    record = json.loads((folder / "run.json").read_text())
    record["environment"]["numerics"]["processor"] = "z80"
    (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="--allow-different-numerics"):
        resume(tmp_path)


def test_only_needed_checkpoints_are_kept(uninterrupted):
    folder, _ = uninterrupted
    assert len(os.listdir(folder / "checkpoints")) == 2
