"""`paper run` on digits, for real but in six steps: cells are made once, shared, resumed, sharded and merged."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
from dataclasses import replace

import pytest
import torch

from reslearn.bundle.file import load
from reslearn.cli.app import main
from reslearn.jobs.evaluation import evaluate_model
from reslearn.jobs.pages.run import write_report
from reslearn.paper.cells import probes, session
from reslearn.paper.cells import run as run_module
from reslearn.paper.cells.pictures import open_pictures
from reslearn.paper.cells.run import Runner
from reslearn.paper.cells.session import Session
from reslearn.paper.cells.store import Store
from reslearn.paper.entry import Entry, Experiment
from reslearn.paper.recipes import P1_CIFAR
from reslearn.predictor.predictor import predict
from reslearn.spec.errors import UserError
from reslearn.train.events import Tick
from reslearn.train.fit import resume
from reslearn.train.stopping import Interrupted

pytestmark = pytest.mark.usefixtures("few_steps")


def run(name, store, **arguments):
    return Session(name, store=store, **arguments).run()


def result_files(store):
    return {str(p.relative_to(store)): p.read_text() for p in store.glob("**/result.json")}


def test_a_figures_cells_are_made_once_and_shared(tmp_path):
    first = run("p1-fig1", tmp_path)
    assert [(c["row"], c["state"]) for c in first["cells"]] == [("plain-20", "done"), ("plain-56", "done")]
    assert all(0 <= c["test_error"] <= 100 and c["steps"] == 6 for c in first["cells"])
    before = result_files(tmp_path)
    told = Session("p1-fig6", store=tmp_path, rows=["plain-20", "plain-32"]).to_json()["cells"][0]
    assert (told["state"], told["test_error"]) == ("done", first["cells"][0]["test_error"])
    assert run("p1-fig1", tmp_path)["cells"] == first["cells"] and result_files(tmp_path) == before
    (result,) = [r for r in Store(tmp_path).results() if r.net == "plain20_cifar"]
    assert result.curve.step[-1] == 6 and len(result.curve.test_error) == len(result.curve.step)
    assert result.data["name"] == "digits" and (result.data["train"], result.data["test"]) == (1437, 360)
    assert result.recipe["iterations"] == 6 and result.test["1-crop"]["images"] == 360
    assert "/" not in json.dumps(result.machine | result.data)  # no path of this machine


def test_an_interrupted_cell_goes_on_to_the_same_numbers(tmp_path):
    def stop(tick):
        if tick.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="go on") as stopped:
        Session("p1-fig1", store=tmp_path / "a", rows=["plain-20"]).run(watch=stop)
    assert str(stopped.value).endswith(f": reslearn paper run p1-fig1 --rows plain-20 --store {tmp_path / 'a'}")
    plan = Session("p1-fig1", store=tmp_path / "a", rows=["plain-20"])
    assert plan.to_json()["cells"][0]["state"] == "begun"
    resumed, whole = plan.run()["cells"][0], run("p1-fig1", tmp_path / "b", rows=["plain-20"])["cells"][0]
    assert (resumed["test_error"], resumed["train_error"]) == (whole["test_error"], whole["train_error"])


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_names_the_same_command_which_goes_on(signum, tmp_path):
    """In a step, where the run is saved; and behind the training, where nothing waits for a step's end."""
    asked = {"tier": "short", "data": "digits", "fraction": 1e-3, "rows": ["plain-20", "plain-5*"], "seeds": 2,
             "shard_text": "1/1", "precision": "fp32", "store": tmp_path / "a store"}  # fmt: skip
    plan = Session("p1-fig1", **asked)
    with pytest.raises(Interrupted, match="stopped and saved") as stopped:
        plan.run(watch=lambda tick: signal.raise_signal(signum) if isinstance(tick, Tick) and tick.step == 3 else None)
    words = shlex.split(str(stopped.value).partition("go on with: ")[2])
    assert words == ["reslearn", "paper", "run", "p1-fig1", "--tier", "short", "--data", "digits",
                     "--rows", "plain-20;plain-5*", "--seeds", "2", "--fraction", "0.001", "--shard", "1/1",
                     "--store", str(tmp_path / "a store"), "--precision", "fp32"]  # fmt: skip
    assert stopped.value.signum == signum
    assert main([*words[1:], "--dry-run"]) == 0  # every word of it is taken
    assert Session("p1-fig1", **asked).to_json()["cells"][0]["state"] == "begun"


def test_ctrl_c_while_a_net_is_measured_names_the_command_too(tmp_path, monkeypatch):
    def press(trained):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "PROBES", dict.fromkeys(probes.PROBES, press))
    with pytest.raises(Interrupted, match=r"stopped at once.*reslearn paper run p1-fig7 --rows ResNet-20"):
        run("p1-fig7", tmp_path, rows=["ResNet-20"])
    monkeypatch.undo()


def test_a_cell_decides_its_settings_once(tmp_path, monkeypatch):
    decided, decide = [], Runner.settings
    monkeypatch.setattr(Runner, "settings", lambda self, cell: decided.append(cell.entry.label) or decide(self, cell))
    run("p1-fig1", tmp_path)
    assert decided == ["plain-20", "plain-56"]
    run("p1-fig1", tmp_path)  # all is done
    assert len(decided) == 2


def test_shards_of_two_machines_merge_by_copying(tmp_path):
    one = run("p1-fig1", tmp_path / "a", shard_text="1/2")
    two = run("p1-fig1", tmp_path / "b", shard_text="2/2")
    assert [c["row"] for c in (*one["cells"], *two["cells"])] == ["plain-20", "plain-56"]
    assert len(list(Store(tmp_path / "a", tmp_path / "b").results())) == 2  # read as one
    shutil.copytree(tmp_path / "b", tmp_path / "a", dirs_exist_ok=True)
    assert {c["state"] for c in Session("p1-fig1", store=tmp_path / "a").to_json()["cells"]} == {"done"}


def test_probes_are_measured_later_without_training_again(tmp_path):
    run("study-depth", tmp_path, rows=["ResNet-20"])
    folder = next(tmp_path.glob("**/result.json")).parent
    weights = (folder / "run" / "model.safetensors").read_bytes()
    run("p1-fig7", tmp_path, rows=["ResNet-20"])
    run("study-degradation", tmp_path, rows=["ResNet-20"])
    found = next(Store(tmp_path).results()).probes
    assert len(found["responses"]) == 19 and set(found["gradients"]) == {"start", "end"}
    assert found["gradients"]["start"] != found["gradients"]["end"]
    assert (folder / "run" / "model.safetensors").read_bytes() == weights
    shutil.rmtree(folder / "run")  # a committed store has results alone
    assert run("p1-fig7", tmp_path, rows=["ResNet-20"])["cells"][0]["state"] == "done"


def test_the_constructed_net_starts_where_the_shallow_one_ended(tmp_path):
    run("study-constructed", tmp_path, rows=["ResNet-56 built from ResNet-20"])
    built = next(r for r in Store(tmp_path).results() if "start" in r.probes)
    start = built.probes["start"]
    assert start["train_error"] == start["shallow_train_error"] and start["largest_difference"] == 0
    assert len(list(Store(tmp_path).results())) == 2  # its shallow net was trained on the way


@pytest.mark.parametrize(
    ("name", "row"),
    [("study-constructed", "ResNet-56 built from ResNet-20"), ("study-gate", "shortcut gate, b=-6")],
    ids=["constructed", "variant"],
)
def test_ordinary_commands_work_on_a_cells_run(name, row, tmp_path):
    run(name, tmp_path, rows=[row])
    result = next(r for r in Store(tmp_path).results() if {"start", "gates"} & r.probes.keys())
    (folder,) = [path.parent for path in tmp_path.glob("**/run") if result.identity in str(path)]
    pictures = open_pictures("digits", "smoke")
    parts = {"train_data": pictures.train, "val_data": pictures.test}
    error, model = result.test["1-crop"]["top1_error"], load(folder / "run")
    assert evaluate_model(folder / "run", "digits", split="test").top1_error == error
    assert predict(model, pictures.test.read(0)[0])[0].label in pictures.train.classes
    assert write_report(folder / "run").exists()
    assert resume(folder / "run", **parts).val["top1_error"] == error
    (folder / "run" / "model.safetensors").unlink()  # a cell keeps no checkpoints
    resume(folder / "run", **parts)  # from its first step, from the weights that it names
    assert load(folder / "run").identity() == model.identity()


def test_variants_gates_lesions_and_ensembles_go_through(tmp_path, monkeypatch):
    monkeypatch.setattr(probes, "LESION_PICTURES", 40)
    run("study-gate", tmp_path, rows=["shortcut gate, b=-6"])
    gates = next(Store(tmp_path).results()).probes["gates"]
    assert len(gates) == 9 and all(0.9 < block["open"] <= 1 for block in gates)
    run("study-lesion", tmp_path, rows=["plain-56"])
    lesion = next(r for r in Store(tmp_path).results() if r.net == "plain56_cifar").probes["lesion"]
    assert len(lesion["dropped"]) == 25 and lesion["pictures"] == 40
    run("study-ensemble", tmp_path, rows=["ResNet-20", "ResNet-32"])
    (after,) = Store(tmp_path).after("study-ensemble")
    assert list(after["members"]) == ["ResNet-20", "ResNet-32"] and len(after["growing"]) == 2
    assert after["growing"][0] == after["members"]["ResNet-20"]


def test_a_diverged_training_is_a_result(tmp_path, monkeypatch):
    hot = Entry("hot", "plain20_cifar", {"variant": "no_norm"}, replace(P1_CIFAR, name="hot", lr=1e20))
    monkeypatch.setattr(session, "experiments", lambda: {"too-hot": Experiment("too-hot", "", (hot,))})
    found = run("too-hot", tmp_path)["cells"][0]
    assert 0 < found["diverged"] <= 6 and found["test_error"] is None
    assert next(Store(tmp_path).results()).diverged == found["diverged"]


def test_a_dry_run_trains_nothing(tmp_path):
    found = Session("p2-table1", store=tmp_path, tier="smoke").to_json()
    assert len(found["cells"]) == 11 and {c["state"] for c in found["cells"]} == {"to run"}
    assert list(tmp_path.iterdir()) == []


def test_without_imagenet_its_rows_say_so_and_how_to_run_them(tmp_path):
    found = Session("p1-table2", store=tmp_path, tier="short").to_json()
    assert {c["state"] for c in found["cells"]} == {"not run"}
    assert found["cells"][0]["why"] == "needs ImageNet at --data"
    command = "reslearn paper run p1-table2 --tier short --rows plain-18 --data IMAGENET"
    assert found["cells"][0]["command"] == command
    with pytest.raises(UserError, match="needs ImageNet at --data"):
        Session("p1-table2", store=tmp_path, tier="short").run()
    with pytest.raises(UserError, match="1000 classes; digits has 10"):
        Session("p1-table2", store=tmp_path, tier="full", data="digits").run()


def test_wrong_input_is_told_in_one_line(tmp_path):
    for arguments, message in (
        ({"name": "p1-fig66"}, "p1-fig6"),
        ({"name": "p1-fig6", "rows": ["resnet-20"]}, "ResNet-20"),
        ({"name": "study-operations"}, "paper report"),
        ({"name": "p1-fig1", "data": str(tmp_path / "none")}, "no such file"),
    ):
        with pytest.raises(UserError, match=message) as error:
            Session(arguments.pop("name"), store=tmp_path, **arguments).run()
        assert "\n" not in str(error.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_fp16_without_a_gpu_is_refused_before_anything_is_written(tmp_path):
    plan = Session("p1-fig1", store=tmp_path, tier="short", data="digits", precision="fp16")
    with pytest.raises(UserError, match="fp16 needs a GPU"):
        plan.run()
    assert list(tmp_path.iterdir()) == []


def test_patterns_choose_rows(tmp_path):
    cells = Session("p1-fig6", store=tmp_path, rows=["plain-*", "ResNet-20"]).to_json()["cells"]
    assert [c["row"] for c in cells] == ["plain-20", "plain-32", "plain-44", "plain-56", "plain-110", "ResNet-20"]
