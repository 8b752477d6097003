"""Ways in which a number was once reported that was wrong, or taken on pictures that had been seen, without a word."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

import reslearn
from reslearn.bundle.file import load, read_bundle
from reslearn.data.memory import ArrayDataset, Subset
from reslearn.data.sources import open_data
from reslearn.jobs.calibration import calibrate_model
from reslearn.jobs.convert import convert_weights
from reslearn.jobs.crossval import plan_crossval, resume_folds, run_crossval
from reslearn.jobs.ensemble import ensemble_models
from reslearn.jobs.pages.run import gather
from reslearn.jobs.training import train
from reslearn.measure.scoring import Scoring
from reslearn.spec.errors import UserError
from reslearn.spec.seen import Seen
from reslearn.train.fit import fit, resume
from reslearn.train.records.ledger import read_ledger

from .noise import request

NOT_KNOWN = "nothing"


@pytest.fixture
def runs(small_plan, folder, tmp_path):
    """runs(NAME, **options) -> the folder of a run on `folder`."""

    def run(name, **options):
        return train(small_plan(folder, **options), out=tmp_path / name).path

    return run


def spec_of(model):
    return load(model).bundle.members[0].spec


def names(run, part):
    return set(json.loads((run / "run.json").read_text())["split"][part])


# -- a file that lies in the folder of a run, but is not the run's -------------------------------------------


def others(way, a, b):
    """A sealed file of which B is a part, in the folder of run A."""
    if way == "copied":
        return Path(shutil.copy(b / "model.safetensors", a / "model.safetensors")).parent
    if way == "converted":
        convert_weights(b, spec_of(b), out=a / "c.safetensors", forget_pictures=True)
        return a / "c.safetensors"
    out = a / "e.safetensors"
    ensemble_models([a, b], data_of(a), out=out, forget_pictures=True, scoring=Scoring("all", allow_seen=True))
    return out


def data_of(run):
    return json.loads((run / "run.json").read_text())["data"]["path"]


@pytest.mark.parametrize("way", ["copied", "converted", "ensemble"])
def test_names_in_a_runs_folder_say_nothing_of_another_model_in_it(runs, way, capsys):
    a = runs("a", split_seed=1, val_fraction=0.3, forget_pictures=way == "copied")
    b = runs("b", split_seed=2, val_fraction=0.3, forget_pictures=True)
    assert names(a, "val") & names(b, "train")
    model, data = others(way, a, b), open_data(data_of(a))
    looks = read_ledger(a)
    val = Subset(data, [i for i, name in enumerate(data.ids) if name in names(a, "val")])
    assert reslearn.evaluate(model, val).seen.known_by == NOT_KNOWN
    assert reslearn.evaluate(model, data_of(a), split="all").seen.known_by == NOT_KNOWN
    with pytest.raises(UserError, match="no splits"):
        reslearn.evaluate(model, data_of(a), split="val")
    assert read_ledger(a) == looks
    assert ("not the model that run.json" in capsys.readouterr().err) == (way == "copied")


def test_another_runs_model_is_no_end_of_this_run(runs):
    a, b = runs("a", split_seed=1), runs("b", split_seed=2)
    shutil.copy(b / "model.safetensors", a)
    for use in (gather, resume):
        with pytest.raises(UserError, match=r"not the model that run\.json"):
            use(a)


@pytest.mark.parametrize("where", ["c.th", "checkpoints/c.th", "checkpoint", "c.safetensors"])
def test_weights_that_merely_lie_in_a_runs_folder_have_not_seen_its_pictures(runs, where):
    a, b = runs("a", split_seed=1, val_fraction=0.3), runs("b", split_seed=2, val_fraction=0.3)
    if where == "checkpoint":
        weights = shutil.copy(next((b / "checkpoints").glob("step*")), a / "checkpoints")
    elif where == "c.safetensors":
        weights = a / where
        convert_weights(b, spec_of(b), out=weights, forget_pictures=True)
    else:
        weights = a / where
        convert_weights(b, spec_of(b), out=weights, to="akamaster")
    val = json.loads((runs("t", weights=str(weights), split_seed=3) / "run.json").read_text())["split"]["val"]
    seen = read_bundle(a.parent / "t").scores["val"]["seen"]
    assert val and seen["known_by"] == NOT_KNOWN


def test_a_checkpoint_of_another_run_is_not_gone_on_with(runs):
    a, b = runs("a", split_seed=1), runs("b", split_seed=2)
    for file in (a / "model.safetensors", *(a / "checkpoints").iterdir()):
        file.unlink()
    shutil.copy(next((b / "checkpoints").glob("step*")), a / "checkpoints")
    with pytest.raises(UserError, match="of another run"):
        resume(a)


def two_folds(data, **options):
    changes = {"iterations": "1", "batch_size": "8", "spec.stage_blocks": "[1,1,1]", "spec.stage_channels": "[4,4,4]",
               "spec.stem_channels": "4"}  # fmt: skip
    return plan_crossval(request(data, changes, **options), folds=2)


def test_a_fold_of_another_cross_validation_is_not_merged(folder, tmp_path):
    for name, seed in (("cv", 0), ("other", 1)):
        run_crossval(two_folds(folder, split_seed=seed), out=tmp_path / name)
    cv = tmp_path / "cv"
    for file in ("model.safetensors", "out-of-fold.safetensors", "fold-1/out-of-fold.safetensors"):
        (cv / file).unlink()
    foreign = tmp_path / "other/fold-1/model.safetensors"
    shutil.copy(foreign, cv / "fold-1")  # alone: it is not of the run beside it
    assert resume_folds(cv).out_of_fold.images == 20
    assert (cv / "fold-1/model.safetensors").read_bytes() != foreign.read_bytes()


# -- what a run that forgets its pictures can still tell -----------------------------------------------------


def test_a_cross_validation_from_weights_cannot_tell_by_names_what_they_have_seen(folder, tmp_path, runs):
    whole = tmp_path / "whole"
    shutil.copytree(folder, whole / "train")
    noise(whole / "test")
    run_crossval(two_folds(whole, weights=str(runs("w")), forget_pictures=True), out=tmp_path / "cv")
    assert reslearn.evaluate(tmp_path / "cv", whole).seen.known_by == NOT_KNOWN


def noise(root, seed=9, count=5):
    draw = np.random.default_rng(seed)
    for cls in ("cat", "dog"):
        (root / cls).mkdir(parents=True)
        for i in range(count):
            Pillow.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(root / cls / f"{seed}-{i}.bmp")
    return root


def test_a_forgetful_run_that_was_calibrated_does_not_say_that_nothing_was_chosen(runs, folder):
    run = runs("run", forget_pictures=True)
    assert reslearn.evaluate(run, folder, split="val").seen == Seen(0, 0, "names")
    calibrate_model(run, folder)
    assert reslearn.evaluate(run, folder, split="val").seen.known_by == NOT_KNOWN


def test_the_mark_of_test_pictures_goes_through_checkpoints_and_into_validation(runs, folder, tmp_path):
    run, data = runs("run"), tmp_path / "d"
    noise(data / "test")
    shutil.copytree(folder, data / "train")
    calibrate_model(run, data, scoring=Scoring(split="test"))
    again = runs("again", weights=str(run))
    assert read_bundle(again).scores["val"]["selected_on_test"] is True
    checkpoint = next((again / "checkpoints").glob("step*"))
    assert read_bundle(runs("third", weights=str(checkpoint))).data["selected_on"] == "test"
    convert_weights(checkpoint, spec_of(again), out=tmp_path / "c.safetensors", class_names="cat,dog", image_size=8)
    assert reslearn.evaluate(tmp_path / "c.safetensors", data).selected_on_test


# -- from Python ---------------------------------------------------------------------------------------------


def test_a_net_that_was_changed_after_loading_does_not_know_what_it_has_seen(runs, folder, tmp_path):
    loaded, new = load(runs("run")), noise(tmp_path / "new")
    assert reslearn.evaluate(loaded, new).seen == Seen(0, 0, "content")
    loaded.net.train()
    loaded.net.to(memory_format=torch.channels_last)
    assert reslearn.evaluate(loaded, new).seen == Seen(0, 0, "content")
    loaded.net.head.fc.weight.data[0, 0] += 1
    assert reslearn.evaluate(loaded, new).seen.known_by == NOT_KNOWN


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_width_are_not_scored_as_fp32(runs, folder, tmp_path, dtype):
    loaded = load(runs("run"))
    loaded.net.to(dtype)
    with pytest.raises(UserError, match=rf"weights are {str(dtype)[6:]}.*none of fp32"):
        reslearn.evaluate(loaded, noise(tmp_path / "new"))


@pytest.mark.parametrize("classes", [("dog", "cat"), ("cat",), ("cat", "dog", "emu")])
def test_validation_pictures_of_other_classes_are_refused(small_plan, folder, tmp_path, classes):
    plan = small_plan(folder)
    images, labels = np.zeros((2, 8, 8, 3), np.uint8), np.array([0, 0])
    val = ArrayDataset(images, labels, classes=classes, ids=["1", "2"])
    with pytest.raises(UserError, match="val_data has the classes"):
        start = plan.start
        fit(start.spec, plan.train_data, val, start.recipe, out=tmp_path / "run", settings=start.settings)
    assert not (tmp_path / "run").exists()


# -- pages and choices ---------------------------------------------------------------------------------------


@pytest.fixture
def tested(small_plan, tmp_path):
    """A run on data with a test split, which has been scored; and the data, whose files are all of one size."""
    data = tmp_path / "d"
    noise(data / "train", 1)
    noise(data / "test", 2)
    run = train(small_plan(data, val_fraction=0.2), out=tmp_path / "run").path
    reslearn.evaluate(run, data)
    return run, data


def leak(data):
    """Put training pictures in the places of the test pictures."""
    for file, other in zip(sorted((data / "test").glob("*/*")), sorted((data / "train").glob("*/*")), strict=True):
        file.write_bytes(other.read_bytes())


def test_a_report_says_that_its_calibration_was_fitted_on_the_test_pictures(tested):
    run, data = tested
    assert not gather(run).notes
    calibrate_model(run, data, scoring=Scoring(split="test"))
    assert any("chosen on test pictures" in note for note in gather(run).notes)


def test_a_report_made_anew_says_that_its_pictures_are_others_now(tested):
    run, data = tested
    leak(data)
    told = gather(run).notes
    assert any("closer look at test" in note for note in told) and any("8 in training" in note for note in told)


def test_the_top_of_a_report_says_what_was_seen_of_its_headline(tested):
    run, data = tested
    leak(data)
    reslearn.evaluate(run, data, allow_seen=True)
    assert any("of test, what the model has seen: 8 in training" in note for note in gather(run).notes)


def test_calibrated_numbers_say_that_they_were_fitted_on_these_pictures(runs, folder):
    done = calibrate_model(runs("run"), folder)
    assert done.seen.selected == 0 and done.after.seen.selected == done.images


def test_scores_stay_with_the_names_they_were_taken_by(runs, tmp_path):
    run = runs("run")
    for given, kept in (("dog,cat", False), ("Katze,Hund", True), ("cat,Hund", True)):
        out = tmp_path / f"{given}.safetensors"
        value = convert_weights(run, spec_of(run), out=out, class_names=given)
        assert bool(read_bundle(out).scores) is kept
        assert any("order of classes" in note for note in value.notes) is not kept
