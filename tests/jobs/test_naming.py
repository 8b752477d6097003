"""Where a run goes that nobody named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reslearn.jobs.naming import begun_before, next_folder, set_name


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("digits", "digits"),
        ("pictures/flowers/", "flowers"),
        ("flowers.tar.gz", "flowers"),
        ("a/scans.csv", "scans"),
        ("train-000.tar", "train-000"),
        ("my pets (2024)", "my-pets-2024"),
        ("고양이", "고양이"),
        ("split.json", "split"),
        ("/", "run"),
    ],
)
def test_a_set_is_called_by_its_folder_or_file(data, name):
    assert set_name(data) == name


def test_a_point_is_the_folder_one_stands_in(tmp_path, monkeypatch):
    (tmp_path / "birds").mkdir()
    monkeypatch.chdir(tmp_path / "birds")
    assert set_name(".") == set_name("../birds") == "birds"


def test_columns_after_a_table_s_name_are_none_of_it(tmp_path):
    (tmp_path / "scans.csv").write_text("path,label\n")
    assert set_name(f"{tmp_path}/scans.csv#label=x") == "scans"


def test_numbers_go_on_behind_the_last(tmp_path):
    assert next_folder("digits", tmp_path / "runs") == tmp_path / "runs" / "digits-1"
    for name in ("digits-1", "digits-7", "digits-x", "other-9", "digits-crossval-3"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert next_folder("digits", tmp_path / "runs").name == "digits-8"
    assert next_folder("digits", tmp_path / "runs", kind="-crossval").name == "digits-crossval-4"


@pytest.mark.parametrize(("kind", "record"), [("", "run.json"), ("-crossval", "crossval.json")])
def test_a_restarted_launcher_finds_the_run_that_it_began(kind, record, tmp_path, monkeypatch):
    monkeypatch.setattr("reslearn.jobs.naming.command_line", lambda: "reslearn train digits")
    monkeypatch.setattr("reslearn.jobs.naming._launched", lambda: 1000.0)
    runs = tmp_path / "runs"

    def begin(number, command, at):
        folder = runs / f"digits{kind}-{number}"
        folder.mkdir(parents=True)
        (folder / record).write_text(json.dumps({"command": command}))
        os.utime(folder / record, (at, at))
        return folder

    begin(1, "reslearn train digits", 500.0)
    assert begun_before("digits", runs, kind=kind) is None  # by another launcher, before this one
    mine = begin(2, "reslearn train digits", 2000.0)
    begin(3, "reslearn train digits --epochs 3", 2000.0)
    assert begun_before("digits", runs, kind=kind) == mine
    (mine / "model.safetensors").touch()
    assert begun_before("digits", runs, kind=kind) is None


@pytest.mark.slow
def test_processes_agree_on_one_name(tmp_path):
    """Two of them, of which the second looks when the first has made its folder already."""
    code = "from reslearn.jobs.naming import chosen_folder as f; p = f('digits'); p.mkdir(0o777, 1, 1); print(p)"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "--no-python",
               sys.executable, "-c", code]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == [str(Path("runs/digits-1"))] * 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "processes", "own"),
    [(["train", "digits"], 2, "digits-4"), (["crossval", "digits", "--folds", "2"], 1, "digits-crossval-1")],
)
def test_a_process_that_dies_is_started_again_and_goes_on_with_its_own_run(asked, processes, own, tmp_path):
    """Under a launcher that starts all anew, in a folder where another run lies, and none is named."""
    runs = tmp_path / "runs"
    (runs / "digits-3").mkdir(parents=True)
    asked = [*asked, "--epochs", "0.5", "--image-size", "8", "--set", "settings.compile=false",
              "--set", "spec.stage_blocks=1,1,1", "--set", "checkpoint_every=0.001"]  # fmt: skip
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--standalone",
               "--max-restarts", "1", str(Path(__file__).with_name("restarting.py")), *asked]  # fmt: skip
    surroundings = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, env=surroundings)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in runs.iterdir()) == ["digits-3", own]
    journal = next(
        path for path in (runs / own / "metrics.jsonl", runs / own / "fold-1/metrics.jsonl") if path.exists()
    )
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    numbers = [line["step"] for line in lines if line["kind"] == "step"]
    assert numbers == [*range(len(numbers))] and len(numbers) > 4
    assert (runs / own / "model.safetensors").exists()
