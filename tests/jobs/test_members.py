"""`ensemble` and `compare` on short runs: fair pictures, classes by name, what is chosen on test is marked."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from reslearn.bundle.file import load, read_bundle, read_tensors, reseal, write_sealed
from reslearn.data.sources import open_data
from reslearn.jobs.compare import compare_models
from reslearn.jobs.ensemble import ensemble_models
from reslearn.jobs.evaluation import evaluate_model
from reslearn.measure.metrics import accuracy
from reslearn.measure.scoring import Scoring
from reslearn.nets.build import create_model
from reslearn.predictor.predictor import predict
from reslearn.spec.errors import UserError
from reslearn.train.records.belonging import split_digest
from reslearn.train.records.ledger import read_ledger

SHARED = ["head.fc.weight", "head.fc.bias"]


@pytest.fixture
def runs(short_run, tmp_path):
    """Three runs on one split: a trained one, and two whose heads were shaken a little and a lot."""
    folders = [short_run]
    for name, noise in (("second", 0.1), ("third", 0.4)):
        folder = shutil.copytree(short_run, tmp_path / name)
        bundle, tensors = read_tensors(folder)
        torch.manual_seed(len(folders))
        tensors["head.fc.weight"] += noise * torch.randn_like(tensors["head.fc.weight"])
        write_sealed(folder / "model.safetensors", tensors, bundle)
        folders.append(folder)
    return folders


def test_the_ensemble_is_the_mean_of_its_members(runs, tmp_path):
    out = tmp_path / "e.safetensors"
    value = ensemble_models(runs, "digits", out=out).to_json()
    assert value["scored_on"] == "val" and value["selected_on"] is None and value["images"] == 144
    assert value["ensemble"]["loss"] <= value["mean_member_loss"]
    assert value["ensemble"]["cost"] == 3
    again = evaluate_model(out, "digits", split="test")
    scores = [evaluate_model(run, "digits").logits for run in runs]
    shares = np.mean([torch.tensor(s).double().softmax(1).numpy() for s in scores], axis=0)
    np.testing.assert_allclose(torch.tensor(again.logits).softmax(1), shares, atol=1e-5)
    best = value["gain"]["best"]
    tops = [member["score"]["top1"] for member in value["members"]]
    assert tops[best] == max(tops)
    assert value["gain"]["top1"] == pytest.approx(value["ensemble"]["top1"] - tops[best])
    image = open_data("digits").read(0)[0]
    assert predict(load(out), [image])[0].predictions[0].label in "0123456789"
    json.dumps(value)


def test_scored_on_test_once_each(runs):
    value = ensemble_models(runs[:2], "digits", score_split="test", combine="logits", weights=[1, 3]).to_json()
    assert value["scored_on"] == "test" and value["images"] == 360
    assert [len(read_ledger(run)) for run in runs] == [1, 1, 0]
    assert not value["ensemble"]["selected_on_test"]
    first, second = (evaluate_model(run, "digits") for run in runs[:2])
    mixed = (first.logits + 3 * second.logits) / 4
    assert value["ensemble"]["top1"] == accuracy(mixed, first.labels)


def test_members_are_chosen_on_validation(runs, tmp_path):
    value = ensemble_models(runs, "digits", greedy=True, out=tmp_path / "e").to_json()
    assert value["selected_on"] == "val" and read_bundle(tmp_path / "e").data["selected_on"] == "val"
    weights = [member["weight"] for member in value["members"]]
    assert sum(weights) >= 1 and len(read_bundle(tmp_path / "e").members) == sum(weight > 0 for weight in weights)
    assert value["ensemble"]["loss"] <= min(member["score"]["loss"] for member in value["members"]) + 1e-9


def test_what_is_chosen_on_test_is_marked_for_good(runs, tmp_path):
    out = tmp_path / "e.safetensors"
    value = ensemble_models(runs, "digits", greedy=True, out=out, scoring=Scoring(split="test"))
    assert value.ensemble.selected_on_test and read_bundle(out).data["selected_on"] == "test"
    assert evaluate_model(out, "digits").to_json()["selected_on_test"]
    bigger = tmp_path / "bigger.safetensors"
    other = shutil.copy(runs[1] / "model.safetensors", tmp_path / "alone.safetensors")
    value = ensemble_models([out, other], "digits", out=bigger, scoring=Scoring(split="test"))
    assert value.ensemble.selected_on_test


def test_an_ensemble_can_be_a_member(runs, tmp_path):
    ensemble_models(runs[:2], "digits", out=tmp_path / "two", weights=[1, 3])
    ensemble_models([tmp_path / "two", runs[2]], "digits", out=tmp_path / "three")
    weights = [member.weight for member in read_bundle(tmp_path / "three").members]
    assert weights == [0.25, 0.75, 1.0]
    with pytest.raises(UserError, match="averaging softmax cannot be a member of one of logits"):
        ensemble_models([tmp_path / "two", runs[2]], "digits", out=tmp_path / "x", combine="logits")


def test_classes_are_brought_into_one_order(runs, tmp_path):
    """The second member was taught the same classes under another order: its rows move, its answers do not."""
    bundle, tensors = read_tensors(runs[1])
    order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]
    for name in SHARED:
        tensors[name] = tensors[name][order]
    turned = write_turned(tmp_path / "turned.safetensors", tensors, bundle, [bundle.classes[i] for i in order])
    plain = ensemble_models(runs[:2], "digits", out=tmp_path / "plain", scoring=Scoring(split="test"))
    other = ensemble_models([runs[0], turned], "digits", out=tmp_path / "other", scoring=Scoring(split="test"))
    assert other.ensemble.loss == pytest.approx(plain.ensemble.loss, abs=1e-6)
    one, two = (evaluate_model(tmp_path / name, "digits") for name in ("plain", "other"))
    np.testing.assert_allclose(one.logits, two.logits, atol=1e-5)


def write_turned(path, tensors, bundle, classes):
    write_sealed(path, tensors, replace(bundle, classes=tuple(classes)))
    return path


def test_members_that_do_not_fit(runs, tmp_path):
    bundle, tensors = read_tensors(runs[1])
    other = write_turned(tmp_path / "a", tensors, bundle, ["zero", *bundle.classes[1:]])
    with pytest.raises(UserError, match="knows zero and lacks 0"):
        ensemble_models([runs[0], other], "digits")
    larger = tmp_path / "b"
    write_sealed(larger, tensors, replace(bundle, preprocess=replace(bundle.preprocess, size=12, resize=12)))
    with pytest.raises(UserError, match="size 8 and 12, resize 8 and 12"):
        ensemble_models([runs[0], larger], "digits")
    with pytest.raises(UserError, match="is the same model as"):
        ensemble_models([runs[0], runs[0]], "digits")
    with pytest.raises(UserError, match="at least two"):
        ensemble_models(runs[:1], "digits")
    with pytest.raises(UserError, match="2 weights for 3"):
        ensemble_models(runs, "digits", weights=[1, 2])
    for weights in ([float("nan"), 1], [float("inf"), 1], [-1, 2], [0, 0], [1e308, 1e308]):
        with pytest.raises(UserError, match="finite numbers of at least 0"):
            ensemble_models(runs[:2], "digits", weights=weights)
    with pytest.raises(UserError, match="not both"):
        ensemble_models(runs, "digits", weights=[1, 2, 3], greedy=True)


def held_out(run, record):
    """Let a run, and its model, say that it had the parts of `record`."""
    (run / "run.json").write_text(json.dumps(record))
    reseal(run, data=read_bundle(run).data | {"split": split_digest(record["split"]["train"], record["split"]["val"])})


def test_only_pictures_that_all_held_out_are_fair(runs):
    """Two runs with overlapping validation parts meet on the overlap; with none there is no fair picture."""
    record = json.loads((runs[1] / "run.json").read_text())
    held = record["split"]["val"]
    record["split"]["train"] += held[:100]
    record["split"]["val"] = held[100:]
    held_out(runs[1], record)
    assert ensemble_models(runs[:2], "digits").images == 44
    record["split"]["train"], record["split"]["val"] = record["split"]["train"] + held[100:], []
    held_out(runs[1], record)
    with pytest.raises(UserError, match="no picture was held out by all"):
        ensemble_models(runs[:2], "digits")


# -- compare ---------------------------------------------------------------------------------------------------------


def test_compare_two_runs(runs):
    """Without --data and --split: the first run's data, its test split, one line in each ledger."""
    bundle, tensors = read_tensors(runs[2])
    torch.manual_seed(0)
    fresh = create_model(bundle.members[0].spec).state_dict()
    write_sealed(runs[2] / "model.safetensors", tensors | fresh, bundle)
    done = compare_models(runs[2], runs[0])
    value = done.to_json()
    assert value["split"] == "test" and value["images"] == 360 and value["data"] == "digits"
    assert done.verdict.startswith("short is better than third by")
    assert value["only_b"] > value["only_a"] and value["p_value"] < 1e-6
    assert value["a"]["parameters"] == sum(p.numel() for p in load(runs[0]).net.parameters())
    assert [len(read_ledger(run)) for run in (runs[0], runs[2])] == [1, 1]
    json.dumps(value)


def test_compare_folders_of_seeds(runs, tmp_path):
    for name, members in {"a": runs[:2], "b": runs[2:]}.items():
        for run in members:
            shutil.copytree(run, tmp_path / "seeds" / name / run.name)
    done = compare_models(tmp_path / "seeds" / "a", tmp_path / "seeds" / "b", scoring=Scoring(split="val"))
    assert len(done.a.scores) == 2 and len(done.b.scores) == 1
    assert done.comparison.test.endswith("first training of each")
    with pytest.raises(UserError, match="neither a run nor a folder of finished runs"):
        compare_models(tmp_path / "seeds", runs[0])


def test_a_cross_validation_says_which_pictures_it_belongs_to(runs):
    record = json.loads((runs[0] / "run.json").read_text())
    folds = {identity: 1 + i % 2 for i, identity in enumerate(record["split"]["train"] + record["split"]["val"])}
    (runs[0] / "run.json").unlink()
    shared = ("spec", "recipe", "preprocess", "settings", "seed", "data", "environment", "command", "created")
    whole = {name: record[name] for name in shared} | {
        "count": 2,
        "folds": folds,
        "method": "stratified",
        "split_seed": 0,
    }
    (runs[0] / "crossval.json").write_text(json.dumps(whole))
    reseal(runs[0], data=read_bundle(runs[0]).data | {"split": split_digest(folds, ())})
    value = compare_models(runs[0], runs[1]).to_json()
    assert value["data"] == "digits" and value["split"] == "test" and value["images"] == 360


def test_a_lone_file_needs_its_data_named(runs, tmp_path):
    alone = shutil.copy(runs[1] / "model.safetensors", tmp_path / "alone.safetensors")
    with pytest.raises(UserError, match="--data"):
        compare_models(alone, runs[0])
    assert compare_models(alone, runs[0], data="digits").split == "test"
