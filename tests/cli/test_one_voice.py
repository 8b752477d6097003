"""What stops a command of several processes is said once, by whichever of them comes to say it first."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.distributed import TCPStore

from reslearn.cli.app import main
from reslearn.runtime.process_group import speaks_for_all

TRAIN = ["train", "digits", "--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--out", "run"]
WRONG = {
    "an option that is none": [*TRAIN, "--nope"],
    "a recipe that is none": [*TRAIN, "--recipe", "dem"],
    "a batch that does not divide": [*TRAIN, "--set", "batch_size=63"],
    "another's weights": [*TRAIN, "--weights", "w.pth"],
    "a run that is none": ["resume", "nowhere"],
    "no sealed file": ["evaluate", "w.pth", "digits"],
}


@pytest.mark.parametrize(
    "wrong", [pytest.param(name, marks=[pytest.mark.slow] if i in (1, 2, 4, 5) else []) for i, name in enumerate(WRONG)]
)
def test_two_processes_say_what_is_wrong_once(wrong, tmp_path):
    torch.save({"blocks.0.attn.qkv.weight": torch.zeros(3, 3)}, tmp_path / "w.pth")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "reslearn"]
    done = subprocess.run(
        [sys.executable, *launcher, *WRONG[wrong]], capture_output=True, text=True, timeout=300, cwd=tmp_path
    )
    said = [line for line in done.stderr.splitlines() if line.startswith("reslearn: ")]
    assert done.returncode != 0 and done.stdout == "" and len(said) == 1, done.stderr
    assert "exitcode  : 2 " in done.stderr and "reslearn/cli" not in done.stderr  # torchrun's traceback is its own
    assert [path.name for path in tmp_path.iterdir()] == ["w.pth"]


@pytest.fixture
def store(monkeypatch):
    """A place to meet, as `torchrun` keeps one, and the surroundings of the second of two processes."""
    kept = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    surroundings = {"WORLD_SIZE": "2", "RANK": "1", "TORCHELASTIC_USE_AGENT_STORE": "True", "MASTER_ADDR": "127.0.0.1"}
    surroundings |= {"MASTER_PORT": str(kept.port), "TORCHELASTIC_RESTART_COUNT": "0"}
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    return kept


def test_the_first_that_asks_speaks(store, monkeypatch, capsys):
    assert [speaks_for_all() for _ in range(3)] == [True, False, False]
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")  # all were started anew: there is something new to say
    assert main(["resume", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith("reslearn: nowhere: no run here")
    assert main(["resume", "nowhere"]) == 2
    assert capsys.readouterr().err == ""


def test_where_nobody_can_be_asked_each_speaks(store, monkeypatch):
    for name, value in (("WORLD_SIZE", "1"), ("TORCHELASTIC_USE_AGENT_STORE", "False"), ("MASTER_PORT", "none")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert speaks_for_all() and speaks_for_all()
