"""What is sealed is what the recipe asked for: the best weights or the mean ones, exact statistics, fp32 as fp32.

Validation is a script here, so that which weights are best is known beforehand.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from reslearn.bundle.file import load
from reslearn.data.loaders import train_loader
from reslearn.data.memory import Subset
from reslearn.data.preprocess import Normalise
from reslearn.data.sources import open_data
from reslearn.engine.scorer import TorchScorer
from reslearn.measure.views import predict_logits
from reslearn.nets.build import create_model
from reslearn.runtime.process_group import World
from reslearn.runtime.settings import Settings
from reslearn.spec.preprocess import default_preprocess
from reslearn.train import execute
from reslearn.train.fit import fit, resume
from reslearn.train.records.journal import read_journal
from reslearn.train.update import Update

STEPS = 4  # in an epoch


@pytest.fixture
def parts():
    data = open_data("digits")
    return Subset(data, np.arange(64 * STEPS)), Subset(data, np.arange(64 * STEPS, 64 * STEPS + 64))


@pytest.fixture
def recipe(tiny_recipe):
    """Six epochs of four steps, validated after each."""
    return replace(tiny_recipe, iterations=6 * STEPS, schedule="constant", lr=0.05)


@pytest.fixture
def scripted(monkeypatch):
    """scripted(errors) lets validation find these, one after another; the list of what it was given to look at."""

    def follow(errors):
        seen, left = [], iter(errors)

        def validate(net):
            seen.append(state_of(net))
            return 1.0, next(left)

        monkeypatch.setattr(execute, "provisional", lambda record, data, mean: validate)
        return seen

    return follow


def state_of(net):
    return {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}


def journal(folder, kind, key):
    return [line[key] for line in read_journal(folder / "metrics.jsonl") if line["kind"] == kind]


def assert_same(net, state):
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, state[name]), name


@pytest.mark.parametrize(
    ("errors", "best"), [([50, 30, 40, 35, 30, 60], 2), ([50, 40, 30, 20, 10, 5], 6), ([10, 20, 30, 40, 50, 60], 1)]
)
def test_the_best_weights_are_sealed(errors, best, scripted, tiny_spec, recipe, parts, tmp_path):
    seen = scripted(errors)
    run = fit(tiny_spec, *parts, replace(recipe, select="best"), out=tmp_path / "run", settings=Settings())
    assert run.best_epoch == best and len(seen) == 6
    assert_same(load(run.path).net, seen[best - 1])


def test_the_last_weights_are_sealed_where_the_recipe_says_so(scripted, tiny_spec, recipe, parts, tmp_path):
    seen = scripted([50, 30, 40, 35, 30, 60])
    run = fit(tiny_spec, *parts, replace(recipe, select="last"), out=tmp_path / "run", settings=Settings())
    assert run.best_epoch == 2
    assert_same(load(run.path).net, seen[-1])


@pytest.mark.parametrize(("wait", "end", "best"), [(1, 3, 2), (2, 4, 2), (3, 6, 5), (4, 6, 5)])
def test_training_ends_at_the_epoch_that_the_script_says(wait, end, best, scripted, tiny_spec, recipe, parts, tmp_path):
    seen = scripted([50, 30, 40, 35, 29, 60])
    recipe = replace(recipe, early_stop=wait, select="best")
    run = fit(tiny_spec, *parts, recipe, out=tmp_path / "run", settings=Settings())
    assert journal(run.path, "epoch", "epoch") == list(range(1, end + 1)) and run.best_epoch == best
    assert_same(load(run.path).net, seen[best - 1])


def test_the_mean_weights_are_sealed_and_validated(scripted, tiny_spec, recipe, parts, tmp_path, monkeypatch):
    """Followed by hand: every weight moves a tenth of the way to the new one, statistics are the net's own."""
    seen, states, follow = scripted([50.0]), [], Update._follow

    def build(spec):
        net = create_model(spec)
        states.append(state_of(net))
        return net

    def note(update):
        states.append(state_of(update.net))
        follow(update)

    monkeypatch.setattr(Update, "_follow", note)
    monkeypatch.setattr(execute, "create_model", build)
    recipe = replace(recipe, iterations=STEPS, ema_decay=0.9, select="ema")
    run = fit(tiny_spec, *parts, recipe, out=tmp_path / "run", settings=Settings())
    first, *after = states[: STEPS + 1]  # those that follow are built for the sealed file
    net = load(run.path).net
    assert_same(net, seen[0])
    for name, parameter in net.named_parameters():
        mean = first[name]
        for state in after:
            mean = 0.9 * mean + 0.1 * state[name]
        torch.testing.assert_close(parameter, mean)
    for name, buffer in net.named_buffers():
        assert torch.equal(buffer, after[-1][name]), name


def batches(parts, recipe, seed=0):
    options = {
        "normalise": Normalise(default_preprocess(8)),
        "augment": recipe.augment,
        "batch_size": recipe.batch_size,
    }
    return (batch.images for batch in train_loader(parts[0], seed=seed, **options).batches(0, STEPS))


@pytest.mark.parametrize("kind", ["exact", "moving"])
def test_sealed_statistics_are_those_the_recipe_asks_for(kind, tiny_spec, recipe, parts, tmp_path):
    """Exact ones are the averages over an epoch's batches with the sealed weights; torch averages for momentum None."""
    recipe = replace(recipe, bn_statistics=kind)
    run = fit(tiny_spec, *parts, recipe, out=tmp_path / "run", settings=Settings())
    sealed = load(run.path).net
    net = create_model(tiny_spec, num_classes=10)
    net.load_state_dict(sealed.state_dict())
    norms = [layer for layer in net.eval().modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    with torch.no_grad():
        for images in batches(parts, recipe):
            net(images)
    found = dict(net.named_buffers())
    gaps = [
        float(((buffer - found[name]).abs() / (found[name].abs() + 1e-3)).max())
        for name, buffer in sealed.named_buffers()
        if "running" in name
    ]
    assert len(gaps) == 2 * len(norms)
    assert (max(gaps) < 1e-3) == (kind == "exact"), gaps


@pytest.mark.parametrize(
    ("epoch", "fields", "asked"),
    [
        (3, {"bn_statistics": "exact"}, [(0, 3)]),
        (1000, {"bn_statistics": "exact"}, [(0, 200)]),
        (3, {"bn_statistics": "exact", "freeze_bn": True}, []),
        (3, {}, []),
    ],
)
def test_exact_statistics_are_those_of_an_epoch_or_of_200_batches(epoch, fields, asked, tiny_spec, recipe):
    """And none where batch norm is frozen: it keeps its own, whatever is trained around it."""
    found = []
    loader = SimpleNamespace(steps_per_epoch=epoch, batches=lambda start, stop: found.append((start, stop)) or iter(()))
    update = SimpleNamespace(recipe=replace(recipe, **fields), evaluated=create_model(tiny_spec))
    work = SimpleNamespace(recipe=update.recipe, update=update, loader=loader, world=World())
    assert execute.chosen_net(work) is update.evaluated and found == asked


def test_frozen_statistics_are_sealed_as_they_were(tiny_spec, recipe, parts, tmp_path):
    """Also of single pictures, whose 1x1 map has no variance."""
    first = fit(tiny_spec, *parts, recipe, out=tmp_path / "first", settings=Settings())
    before = dict(load(first.path).net.named_buffers())
    changes = {"freeze_bn": True, "bn_statistics": "exact", "batch_size": 1, "iterations": 3, "lr": 0.01}
    weights = str(first.model)
    run = fit(tiny_spec, *parts, replace(recipe, **changes), out=tmp_path / "run", weights=weights, settings=Settings())
    for name, buffer in load(run.path).net.named_buffers():
        assert torch.equal(buffer, before[name]), name


@pytest.mark.parametrize("changes", [{"dropout": 0.3}, {"drop_path": 0.3}], ids=["dropout", "stochastic depth"])
def test_dropout_and_stochastic_depth_resume_by_step(changes, tiny_spec, recipe, parts, tmp_path):
    """What is dropped is a function of the step: a run that was left after two epochs goes on to the same bits."""
    spec = replace(tiny_spec, **changes)
    whole = fit(spec, *parts, recipe, out=tmp_path / "whole", settings=Settings())

    def leave(tick):
        if tick.step == 2 * STEPS + 1:  # a checkpoint was written after step 8
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(spec, *parts, recipe, out=tmp_path / "run", settings=Settings(), watch=leave)
    torch.rand(3)  # the process's own draws do not matter
    resume(tmp_path / "run", train_data=parts[0], val_data=parts[1])
    losses = journal(whole.path, "step", "loss")
    assert journal(tmp_path / "run", "step", "loss") == losses and len(set(losses)) == 6 * STEPS
    assert_same(load(tmp_path / "run").net, load(whole.path).net.state_dict())
    undropped = fit(tiny_spec, *parts, recipe, out=tmp_path / "none", settings=Settings())
    assert journal(undropped.path, "step", "loss") != losses


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_training_computes_in_its_precision_and_seals_what_fp32_scores(
    precision, dtype, tiny_spec, recipe, parts, tmp_path, monkeypatch
):
    """No switch of the process lets fp32 be less; validation computes as training does, the sealed score is fp32."""
    found = set()

    def build(spec):
        net = create_model(spec)
        net.head.register_forward_hook(
            lambda layer, given, out: found.add((layer.training, out.dtype, torch.get_float32_matmul_precision()))
        )
        return net

    monkeypatch.setattr(execute, "create_model", build)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        run = fit(tiny_spec, *parts, recipe, out=tmp_path / "run", settings=Settings(precision=precision))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert found == {(True, dtype, "highest"), (False, dtype, "highest"), (False, torch.float32, "highest")}
    loaded = load(run.path)
    logits = predict_logits(TorchScorer(loaded.net, loaded.normalise), parts[1], default_preprocess(8))
    labels = np.asarray(parts[1].labels)
    loss = nn.functional.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels))
    assert run.val["loss"] == pytest.approx(float(loss)) and run.val["precision"] == "fp32"
