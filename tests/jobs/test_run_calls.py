"""The calls of `reslearn` that train: they do what the commands do, and say it in Python's words."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import reslearn
from reslearn.cli.app import app
from reslearn.train import execute
from reslearn.train.loop import Diverged
from reslearn.train.stopping import Interrupted

TINY = reslearn.get_spec("resnet20_cifar", stage_blocks=(1, 1, 1), stage_channels=(4, 4, 4), stem_channels=4)


class Enough(Exception):
    """Ends a training from outside."""


def until(step):
    """A watcher that ends the training at this step."""

    def watch(event):
        if getattr(event, "step", 0) == step:
            raise Enough

    return watch


def how(**changes):
    return reslearn.recipe("folder", batch_size=8, warmup=0, checkpoint_every=0.0001, **changes)


@pytest.fixture
def pictures():
    images = np.random.default_rng(0).integers(0, 256, (24, 12, 12, 3), np.uint8)
    return images, np.arange(24) % 2


def weights(path):
    return {name: tensor.numpy() for name, tensor in reslearn.load(path).net.state_dict().items()}


@pytest.mark.parametrize("parts", ["held out of one", "given apart"])
def test_a_run_on_arrays_is_gone_on_with_to_the_same_weights_and_a_page(pictures, tmp_path, parts):
    images, labels = pictures
    one = {"train_data": pictures, "val_fraction": 0.25}
    two = {"train_data": (images[:16], labels[:16]), "val_data": (images[16:], labels[16:])}
    given = one if parts == "held out of one" else two
    again = {name: value for name, value in given.items() if name != "val_fraction"}
    whole = reslearn.fit(TINY, recipe=how(epochs=3), out=tmp_path / "whole", **given)
    with pytest.raises(Enough):
        reslearn.fit(TINY, recipe=how(epochs=3), out=tmp_path / "run", watch=until(3), **given)
    done = reslearn.resume(tmp_path / "run", **again)
    assert (tmp_path / "run" / "report.html").exists() and done.val == whole.val
    ours, theirs = weights(done.path), weights(whole.path)
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    with pytest.raises(reslearn.UserError, match=r"not what the run .* began with"):
        other = tmp_path / "other"
        with pytest.raises(Enough):
            reslearn.fit(TINY, recipe=how(epochs=3), out=other, watch=until(3), **given)
        reslearn.resume(other, train_data=(255 - images[: len(again["train_data"][0])], again["train_data"][1]))


def test_what_is_resumed_may_be_a_cross_validation_or_a_sweep(folder, tmp_path):
    recipe = how(epochs=1)
    folds = reslearn.crossval(folder, 2, model=TINY, recipe=recipe, out=tmp_path / "folds")
    again = reslearn.resume(tmp_path / "folds")
    assert type(again) is reslearn.Crossval and again.to_json() == folds.to_json()
    for wrong in ({"transform": lambda picture: picture}, {"report": False}, {"train_data": folder}):
        with pytest.raises(reslearn.UserError, match="a cross-validation has its pictures and its page itself"):
            reslearn.resume(tmp_path / "folds", **wrong)


def test_a_sweep_from_python_is_the_commands(folder, tmp_path, monkeypatch):
    pytest.importorskip("optuna", reason="needs optuna: pip install optuna")
    monkeypatch.chdir(tmp_path)
    space = {"lr": [0.01, 0.1], "batch_size": 8, "warmup": 0}
    ours = reslearn.sweep(folder, space, model="resnet20_cifar", recipe="folder", epochs=1, out="ours")
    options = ["--model", "resnet20_cifar", "--recipe", "folder", "--epochs", "1", "--out", "theirs"]
    sets = ["--set", "lr=0.01,0.1", "--set", "batch_size=8", "--set", "warmup=0"]
    told = CliRunner().invoke(app, ["sweep", str(folder), *options, *sets], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    theirs = reslearn.resume("theirs")
    values = [[one.trial.values | {"top1": one.top1.mean} for one in done.tried] for done in (ours, theirs)]
    assert values[0] == values[1] and len(values[0]) == 2 and repr(ours).startswith("Sweep(ours: 2 trials, best lr=")
    assert (
        reslearn.sweep(folder, space, model="resnet20_cifar", recipe="folder", epochs=1, out="ours").best == ours.best
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"space": {"lr": object()}}, "lr is object; it must be a span such as"),
        ({"space": {"lrr": [0.1, 0.2]}}, "unknown field 'lrr'; did you mean lr"),
        ({"space": {"lr": [0.1, 0.2]}, "sampler": "grid"}, "sampler is 'grid'; valid: 'quasi', 'tpe'"),
        ({"space": {"lr": [0.1, 0.2]}, "recipe": how()}, "recipe is a name, whose fields `space` changes"),
        ({"space": {"lr": [0.1, 0.2]}, "val_fraction": 0}, "give a val_fraction=... above 0"),
    ],
)
def test_a_space_that_is_none_is_one_line(folder, tmp_path, monkeypatch, given, said):
    pytest.importorskip("optuna", reason="needs optuna: pip install optuna")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(reslearn.UserError, match=said.replace(".", r"\.")):
        reslearn.sweep(folder, given.pop("space"), **{"model": "resnet20_cifar", "out": "x"} | given)
    assert not (tmp_path / "x").exists() and not (tmp_path / "runs").exists()


def test_plan_and_find_lr_write_nothing_but_a_page(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    cost = reslearn.plan(folder, model=TINY, recipe=how(epochs=2), seconds=0.05)
    assert cost.steps == 5 and cost.images_per_second > 0 and sorted(tmp_path.rglob("*")) == before
    test = reslearn.find_lr(folder, model=TINY, recipe=how(epochs=2), out="lr.html")
    assert test.suggested > 0 and "\n" not in repr(test)
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "lr.html"])
    with pytest.raises(reslearn.UserError, match="what is there is no page of reslearn"):
        reslearn.find_lr(folder, out=next(folder.rglob("*.png")))


def broken(monkeypatch, value):
    """Every training ends with a running variance of this value."""
    chosen = execute.chosen_net

    def broken_net(work):
        net = chosen(work)
        next(tensor for name, tensor in net.state_dict().items() if "running_var" in name)[0] = value
        return net

    monkeypatch.setattr(execute, "chosen_net", broken_net)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_network_of_no_numbers_is_never_sealed(pictures, tmp_path, monkeypatch, value):
    with monkeypatch.context() as patch:
        broken(patch, value)
        with pytest.raises(Diverged, match=r"running statistics became NaN or infinity at step 3 .* e\.g\. lr="):
            reslearn.fit(TINY, pictures, recipe=how(epochs=1), out=tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert reslearn.resume(tmp_path / "run", train_data=pictures).model.exists()  # of whole checkpoints


def test_answers_of_no_numbers_are_never_sealed(pictures, tmp_path, monkeypatch):
    broken(monkeypatch, -1.0)  # whose root is no number
    with pytest.raises(Diverged, match="pictures the network answers with NaN or infinity"):
        reslearn.fit(TINY, pictures, recipe=how(epochs=1), val_fraction=0.25, out=tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_trial_that_ends_in_no_numbers_ends_no_sweep(folder, tmp_path, monkeypatch):
    pytest.importorskip("optuna", reason="needs optuna: pip install optuna")
    chosen = execute.chosen_net

    def sometimes(work):
        net = chosen(work)
        if work.recipe.lr == 0.1:
            next(tensor for name, tensor in net.state_dict().items() if "running_var" in name)[0] = float("inf")
        return net

    monkeypatch.setattr(execute, "chosen_net", sometimes)
    space = {"lr": [0.01, 0.1], "batch_size": 8, "warmup": 0}
    done = reslearn.sweep(folder, space, model="resnet20_cifar", recipe="folder", epochs=1, out=tmp_path / "sweep")
    assert [one.trial.state for one in done.tried] == ["done", "failed"] and done.best.trial.values["lr"] == "0.01"


@pytest.mark.parametrize("call", ["fit", "crossval", "sweep"])
def test_who_stops_a_call_is_told_the_call_that_goes_on(folder, tmp_path, monkeypatch, call):
    if call == "sweep":
        pytest.importorskip("optuna", reason="needs optuna: pip install optuna")
    monkeypatch.setattr("reslearn.train.loop.count_step", pressed)
    out, many = tmp_path / "run", {"model": "resnet20_cifar", "recipe": "folder", "epochs": 1}
    with pytest.raises(Interrupted, match=rf"go on .*: reslearn\.resume\('{out}'\)$"):
        if call == "fit":
            reslearn.fit(TINY, folder, recipe=how(epochs=1), out=out)
        elif call == "crossval":
            reslearn.crossval(folder, 2, model=TINY, recipe=how(epochs=1), out=out)
        else:
            reslearn.sweep(folder, {"lr": [0.1, 0.2]}, out=out, **many)


def pressed(*_):
    raise KeyboardInterrupt


def test_what_a_call_returned_goes_where_its_path_goes(folder, tmp_path):
    run = reslearn.fit(TINY, folder, recipe=how(epochs=1), out=tmp_path / "run")
    other = reslearn.fit(TINY, folder, recipe=how(epochs=1), seed=1, out=tmp_path / "other")
    both = reslearn.ensemble([run, other], folder, out=tmp_path / "both.safetensors")
    packed = reslearn.pack(folder, tmp_path / "p.pack")
    by_path = reslearn.evaluate(run.path, folder, split="val").to_json()
    assert reslearn.evaluate(run, folder, split="val").to_json() == by_path
    assert reslearn.evaluate(both, packed, allow_seen=True).images == 20
    assert reslearn.load(run).path == run.model and reslearn.resume(run).path == run.path
    assert len(reslearn.predict(run, folder)) == len(reslearn.Predictor(both)(folder)) == 20
    assert reslearn.features(run, packed).pictures == 20 and reslearn.calibrate(run, folder).model == run.model
    assert reslearn.explain(other, folder, shown=1, faithfulness=0).found == 20
    assert reslearn.compare(run, other, folder).verdict
    with pytest.raises(reslearn.UserError, match=r"sealed in no file; name one with out=\.\.\."):
        reslearn.card(reslearn.ensemble([run, other], folder))
