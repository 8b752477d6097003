"""What something was chosen on, and what a model has seen, goes with the weights and with nothing else."""

from __future__ import annotations

import shutil

import pytest

import reslearn
from reslearn.bundle.file import load, read_bundle
from reslearn.data.sources import open_data
from reslearn.jobs.calibration import calibrate_model
from reslearn.jobs.convert import convert_weights
from reslearn.jobs.ensemble import ensemble_models
from reslearn.jobs.pages.run import gather
from reslearn.jobs.training import train
from reslearn.measure.scoring import Scoring
from reslearn.spec.seen import Seen
from reslearn.train.pictures import seen_before
from reslearn.train.records.ledger import read_ledger

from .noise import CHANGES, noise, plan


@pytest.mark.parametrize("way", ["best", "calibrate", "greedy"])
def test_what_something_was_chosen_on_goes_wherever_the_weights_go(flat, tmp_path, monkeypatch, way):
    train(plan(noise(tmp_path / "second", seed=5)), out=tmp_path / "other")
    chosen = noise(tmp_path / "d" / "test", 3, seed=6)
    noise(tmp_path / "d" / "train", 3, seed=7)
    model = tmp_path / "model.safetensors"
    if way == "best":
        noise(flat / "train", seed=8)
        for cls in "ab":
            shutil.rmtree(flat / cls)
        shutil.copytree(chosen, flat / "val")
        train(plan(flat, changes=CHANGES | {"select": "best"}), out=tmp_path / "run")
        shutil.copy(tmp_path / "run/model.safetensors", model)
    else:
        train(plan(flat), out=tmp_path / "run")
        shutil.copy(tmp_path / "run/model.safetensors", model)
    if way == "calibrate":
        calibrate_model(model, chosen, scoring=Scoring("all"))
    if way == "greedy":  # a choice of one member alone is a choice, too
        monkeypatch.setattr("reslearn.jobs.ensemble.select_greedily", lambda *given: [1, 0])
        ensemble_models([tmp_path / "run", tmp_path / "other"], chosen, greedy=True, out=model, scoring=Scoring("all"))
    made = {name: tmp_path / f"{name}.safetensors" for name in ("converted", "nested", "nested twice")}
    convert_weights(model, load(model).bundle.members[0].spec, out=made["converted"])
    ensemble_models([model, tmp_path / "other"], chosen, out=made["nested"], scoring=Scoring("all"))
    ensemble_models([made["nested"], tmp_path / "run"], chosen, out=made["nested twice"], scoring=Scoring("all"))
    made["tuned"] = train(plan(tmp_path / "second", weights=str(model)), out=tmp_path / "tuned").model
    step = max((tmp_path / "tuned" / "checkpoints").glob("step-*"))
    made["converted checkpoint"] = tmp_path / "converted checkpoint.safetensors"
    convert_weights(step, load(model).bundle.members[0].spec, out=made["converted checkpoint"])
    for name, path in made.items():
        alone = shutil.copy(path, tmp_path / "alone.safetensors")
        assert reslearn.evaluate(alone, tmp_path / "d").seen == Seen(0, 6, "content"), name


def test_the_mark_of_a_choice_on_test_goes_through_checkpoints(run, flat, tmp_path):
    noise(tmp_path / "d" / "test", 3, seed=6)
    noise(tmp_path / "d" / "train", 3, seed=7)
    calibrate_model(run, tmp_path / "d", scoring=Scoring(split="test"))
    train(plan(flat, weights=str(run)), out=tmp_path / "tuned")
    step = max((tmp_path / "tuned" / "checkpoints").glob("step-*"))
    again = train(plan(flat, weights=str(step)), out=tmp_path / "again").model
    convert_weights(step, load(run).bundle.members[0].spec, out=tmp_path / "converted.safetensors")
    for path in (tmp_path / "tuned/model.safetensors", again, tmp_path / "converted.safetensors"):
        assert read_bundle(path).data["selected_on"] == "test", path


@pytest.mark.parametrize("record", [b"{}", b"[1]", b'{"run_id": "abc"}', b"\xff", b'{"spec": 3, "format": 1}'])
def test_another_programs_run_json_beside_weights_says_nothing(run, flat, tmp_path, record):
    spec = load(run).bundle.members[0].spec
    state = tmp_path / "state.safetensors"
    convert_weights(run, spec, out=state, to="akamaster")
    theirs = tmp_path / "theirs"
    (theirs / "checkpoints").mkdir(parents=True)
    (theirs / "run.json").write_bytes(record)
    for path in (theirs / "model.safetensors", theirs / "checkpoints/step-1.safetensors"):
        shutil.copy(state, path)
        convert_weights(path, spec, out=tmp_path / "converted.safetensors")
        assert read_bundle(tmp_path / "converted.safetensors").seen.known_by == "nothing"
        assert seen_before(path, open_data(flat)).known_by == "nothing"


def test_another_file_in_a_runs_folder_is_not_of_the_run(run, flat, tmp_path):
    """Not weights, and not a sealed file either: neither inherits what the run has seen."""
    spec = load(run).bundle.members[0].spec
    convert_weights(run, spec, out=run / "foreign.safetensors", to="akamaster")
    assert seen_before(run / "foreign.safetensors", open_data(flat)).known_by == "nothing"
    train(plan(noise(tmp_path / "second", seed=5)), out=tmp_path / "other")
    convert_weights(tmp_path / "other", spec, out=run / "other.safetensors", forget_pictures=True)
    assert reslearn.evaluate(run / "other.safetensors", flat, split="all").seen == Seen()


def test_a_line_of_the_ledger_says_what_was_scored(run, tmp_path):
    other = noise(tmp_path / "new", 2, seed=70)
    reslearn.evaluate(run, other)
    first = load(run).identity()
    calibrate_model(run, other, scoring=Scoring("all"))
    assert [line["model_digest"] for line in read_ledger(run)] == [first, first]  # to calibrate is to look, too
    assert "as it was before it was sealed anew" in remark_on(run, other)
    reslearn.evaluate(run, other)
    assert read_ledger(run)[-1]["model_digest"] == load(run).identity() != first
    assert "sealed anew" not in remark_on(run, other)


def remark_on(run, data):
    return next(score.remark for score in gather(run).scores if str(data) in score.split)
