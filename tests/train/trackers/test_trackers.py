"""Boards beside a run: told its numbers, and unable to stop, slow or fail it. Against doubles and real readers."""

from __future__ import annotations

import json
import sys
import threading
import time
import types

import pytest

from reslearn.cli.app import main
from reslearn.train.events import Tick
from reslearn.train.records.journal import read_journal
from reslearn.train.trackers import forward

TINY = ["train", "digits", "--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--precision", "fp32"]
TINY += [
    "--epochs",
    "0.4",
    "--set",
    "spec.stage_blocks=1,1,1",
    "--set",
    "batch_size=128",
    "--set",
    "settings.threads=1",
]


class Wandb(types.ModuleType):
    """What the adapter uses of W&B, noting what it is told."""

    def __init__(self, log=None):
        super().__init__("wandb")
        self.begun, self.told, self.finished = [], [], 0
        self.log_instead = log

    def Settings(self, **words):
        return words

    def init(self, **words):
        print("wandb: greetings on standard output")
        self.begun.append(words)
        return self

    def log(self, numbers, step):
        if self.log_instead is not None:
            self.log_instead()
        self.told.append((step, numbers))

    def finish(self):
        self.finished += 1


def train(capsys, tmp_path, *more, status=0):
    capsys.readouterr()
    code = main([*TINY, "--out", str(tmp_path / "run"), *map(str, more), "--json"])
    printed, said = capsys.readouterr()
    assert code == status, said
    return json.loads(printed) if status == 0 else None, said


def numbers(folder):
    lines = read_journal(folder / "metrics.jsonl")
    return [forward.numbers_of(line) for line in lines]


def test_a_board_is_told_every_line_of_the_journal_under_what_the_run_is(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", wandb := Wandb())
    train(capsys, tmp_path, "--log-to", "wandb")
    assert [told for _, told in wandb.told] == numbers(tmp_path / "run") and wandb.finished == 1
    assert {"step/loss", "step/lr"} <= set(wandb.told[0][1]) and "epoch/val_error" in wandb.told[-2][1]
    steps = [step for step, _ in wandb.told]
    assert steps == sorted(steps) and steps[0] == 0
    config = wandb.begun[0]["config"]
    assert config["network"] == "resnet20_cifar" and config["recipe.batch_size"] == 128
    assert wandb.begun[0]["settings"]["console"] == "off" and wandb.begun[0]["resume"] == "allow"


def test_a_board_that_fails_is_said_once_and_the_run_is_the_same(capsys, tmp_path, monkeypatch):
    def broken():
        raise OSError("https://me:SECRET@board/x?t=SECRET: the network is\ndown")

    monkeypatch.setitem(sys.modules, "wandb", Wandb(broken))
    told, said = train(capsys, tmp_path, "--log-to", "wandb")
    assert said.count("wandb failed (https://board/x") == 1 and "SECRET" not in said
    assert "the network is down); the run goes on without it" in said
    alone, _ = train(capsys, tmp_path / "alone")
    assert told["val"] == alone["val"]


def test_a_board_that_takes_nothing_neither_slows_the_run_nor_holds_it_at_its_end(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(forward, "LENGTH", 4)
    monkeypatch.setattr(forward, "PATIENCE", 0.2)
    gate = threading.Event()
    monkeypatch.setitem(sys.modules, "wandb", Wandb(lambda: gate.wait(60)))
    started = time.monotonic()
    _, said = train(capsys, tmp_path, "--log-to", "wandb")
    gate.set()
    assert time.monotonic() - started < 50
    assert said.count("wandb does not keep up") == 1 and "the run is whole without it" in said


@pytest.mark.parametrize("tracker", ["wandb", "mlflow", "trackio", "tensorboard"])
def test_a_board_that_is_not_installed_is_one_line_before_anything_is_trained(capsys, tmp_path, monkeypatch, tracker):
    module = "torch.utils.tensorboard" if tracker == "tensorboard" else tracker
    monkeypatch.setitem(sys.modules, module, None)
    _, said = train(capsys, tmp_path, "--log-to", tracker, status=2)
    assert said.strip().splitlines()[-1].endswith(f"which is not installed; run: pip install {tracker}")
    assert not (tmp_path / "run").exists()


def test_a_board_that_cannot_be_imported_is_one_line(capsys, tmp_path, monkeypatch):
    (tmp_path / "trackio.py").write_text("raise AttributeError('made for another\\nNumPy')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "trackio", raising=False)
    _, said = train(capsys, tmp_path, "--log-to", "trackio", status=2)
    assert "trackio cannot be imported (made for another NumPy)" in said.strip().splitlines()[-1]


def test_tensorboard_is_told_every_line_of_the_journal(capsys, tmp_path, monkeypatch):
    told: dict = {}

    class Writer:
        def __init__(self, folder, purge_step):
            told["begun"] = [(folder, purge_step)]

        def add_scalar(self, name, value, step):
            told.setdefault(name, []).append((step, value))

        def close(self):
            told["closed"] = True

    module = types.SimpleNamespace(SummaryWriter=Writer)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    train(capsys, tmp_path, "--log-to", "tensorboard")
    lines = [line for line in read_journal(tmp_path / "run" / "metrics.jsonl") if line["kind"] == "step"]
    assert told["step/loss"] == [(line["step"], line["loss"]) for line in lines] and told["closed"]
    assert told["begun"] == [(str(tmp_path / "run" / "tensorboard"), 0)]


def test_tensorboard_reads_what_the_journal_says(capsys, tmp_path):
    pytest.importorskip("tensorboard", reason="needs tensorboard: pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(capsys, tmp_path, "--log-to", "tensorboard")
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    losses = [line["loss"] for line in read_journal(tmp_path / "run" / "metrics.jsonl") if line["kind"] == "step"]
    assert [event.value for event in events.Scalars("step/loss")] == pytest.approx(losses)


def test_several_boards_each_get_all(capsys, tmp_path, monkeypatch):
    class Run:
        def __init__(self, told):
            self.told = told

        def log(self, numbers, step):
            self.told.append(numbers)

    logged: list = []

    class Client:
        def get_experiment_by_name(self, name):
            return None

        def create_experiment(self, name):
            return "1"

        def search_runs(self, experiments, filter_string):
            return []

        def create_run(self, experiment, run_name, tags):
            assert run_name == "run" and tags.keys() == {"reslearn.run"}
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id="r"))

        def log_param(self, run, key, value):
            pass

        def log_batch(self, run, metrics):
            logged.append({metric[0]: metric[1] for metric in metrics})

        def set_terminated(self, run):
            logged.append("end")

    trackio, mlflow, entities = (types.ModuleType(name) for name in ("trackio", "mlflow", "mlflow.entities"))
    told: list = []
    trackio.init, trackio.finish = lambda **words: Run(told), lambda: told.append("end")
    mlflow.MlflowClient, entities.Metric = Client, lambda *values: values
    for module in (trackio, mlflow, entities):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    train(capsys, tmp_path, "--log-to", "trackio", "--log-to", "mlflow")
    assert told == logged == [*numbers(tmp_path / "run"), "end"]


def test_every_trial_of_a_sweep_is_a_run_of_its_own_on_a_board(capsys, tmp_path, monkeypatch):
    pytest.importorskip("optuna", reason="needs optuna: pip install optuna")
    monkeypatch.setitem(sys.modules, "wandb", wandb := Wandb())
    command = ["sweep", *TINY[1:], "--set", "lr=0.01,0.1", "--out", str(tmp_path / "s"), "--log-to", "wandb"]
    assert main(command) == 0
    assert [run["name"] for run in wandb.begun] == ["trial-001", "trial-002"] and wandb.finished == 2
    assert len({run["id"] for run in wandb.begun}) == 2
    assert {run["config"]["recipe.lr"] for run in wandb.begun} == {0.01, 0.1}
    told = [numbers(tmp_path / "s" / run["name"]) for run in wandb.begun]
    assert [line for _, line in wandb.told] == [*told[0], *told[1]]


def test_a_run_that_goes_on_goes_on_under_its_identity(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", wandb := Wandb())

    def stop(event):
        if isinstance(event, Tick) and event.step >= 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("reslearn.jobs.progress._lines", lambda every, held: stop)
        train(capsys, tmp_path, "--log-to", "wandb", status=130)
    before = len(wandb.told)
    assert main(["resume", str(tmp_path / "run"), "--log-to", "wandb"]) == 0
    assert len({run["id"] for run in wandb.begun}) == 1 < len(wandb.begun)
    again = [numbers for _, numbers in wandb.told[before:]]
    assert again and again == numbers(tmp_path / "run")[-len(again) :]
