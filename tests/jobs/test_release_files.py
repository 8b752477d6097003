"""Runs, sealed files, packs and manifests of the release before load, resume and score, and claim no more than they
know: a run its pictures by their names, while they are the ones that it was trained on; a file on its own nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import reslearn
from reslearn.bundle.file import load, read_bundle
from reslearn.data.care.splitting import split_data
from reslearn.data.memory import Subset
from reslearn.data.parts.keyed import Keyed, file_keys
from reslearn.data.parts.keys import FILE, ORIGINAL, PIXELS
from reslearn.data.parts.splits import choose_splits
from reslearn.data.sources import open_data
from reslearn.jobs.calibration import calibrate_model
from reslearn.jobs.compare import compare_models
from reslearn.jobs.convert import convert_weights
from reslearn.jobs.ensemble import ensemble_models
from reslearn.measure.scoring import Scoring
from reslearn.runtime.files import read_json, write_json
from reslearn.runtime.settings import Settings
from reslearn.spec.errors import UserError
from reslearn.spec.seen import Seen
from reslearn.train import crossval
from reslearn.train.fit import finished_run, fit, resume
from reslearn.train.pictures import read_pictures
from reslearn.train.records.run import read_record

RELEASE = Path(__file__).parent.parent / "fixtures" / "release"
UNKNOWN = Seen(None, None, "nothing")


@pytest.fixture
def release(tmp_path):
    """A copy in which the runs find the pictures where they lie now."""
    root = Path(shutil.copytree(RELEASE, tmp_path / "release"))
    for record in (*root.glob("*/run.json"), *root.glob("*/*/run.json"), root / "crossval" / "crossval.json"):
        value = read_json(record)
        write_json(record, value | {"data": value["data"] | {"path": str(root / "pictures")}})
    return root


def alone(run: Path) -> Path:
    return Path(shutil.copy(run / "model.safetensors", run.parent / f"{run.name}.safetensors"))


def test_a_run_knows_its_pictures_by_name(release):
    pictures = release / "pictures"
    assert reslearn.evaluate(release / "run", pictures, split="val").seen == Seen(0, 0, "names")
    assert reslearn.evaluate(release / "best", pictures, split="val").seen == Seen(0, 4, "names")
    assert reslearn.evaluate(release / "run", pictures, split="train").seen == Seen(12, 0, "names")
    assert finished_run(release / "best").val["seen"] == Seen(0, 4, "names").to_json()
    split_data(str(pictures), ratio="1:1:2", seed=3)  # the data's fingerprint stays
    with pytest.raises(UserError, match=r"of 8 pictures of test were trained on"):
        reslearn.evaluate(release / "run", pictures)
    marked = reslearn.evaluate(release / "run", pictures, allow_seen=True)
    others = reslearn.evaluate(release / "run", pictures, only_unseen=True)
    assert marked.seen == Seen(8 - others.images, 0, "names") and 0 < others.images < 8


def test_on_other_data_and_without_its_run_nothing_is_known(release):
    shutil.copy(release / "pictures/a/0.png", release / "pictures/a/more.png")
    assert reslearn.evaluate(release / "run", release / "pictures").seen == UNKNOWN
    for model in (alone(release / "run"), release / "ensemble.safetensors", release / "crossval/model.safetensors"):
        assert load(model).bundle.format == 1
        assert reslearn.evaluate(model, release / "pictures").seen == UNKNOWN
    convert_weights(release / "run", load(release / "run").bundle.members[0].spec, out=release / "new.safetensors")
    assert reslearn.evaluate(release / "new.safetensors", release / "pictures").seen == UNKNOWN
    assert read_bundle(release / "new.safetensors").seen.known_by == "nothing"


def test_a_stopped_run_is_finished_and_then_knows_by_content(release):
    run = resume(release / "stopped", allow_different_numerics=True)
    assert run.val["seen"] == Seen(0, 0, "content").to_json()
    assert len(read_pictures(release / "stopped").train) == 12
    copy = Path(shutil.copytree(release / "pictures", release / "elsewhere"))
    (copy / "a/0.png").rename(copy / "b/new.png")
    assert reslearn.evaluate(alone(release / "stopped"), copy, allow_seen=True).seen == Seen(12, 0, "content")
    with pytest.raises(UserError, match=r"12 of 16 pictures of all were trained on"):
        reslearn.evaluate(release / "stopped", copy)


def test_calibrated_a_run_says_what_it_was_calibrated_on(release):
    done = calibrate_model(release / "run", release / "pictures")
    assert done.seen == Seen(0, 0, "names")
    assert reslearn.evaluate(release / "run", release / "pictures", split="val").seen == Seen(0, 4, "names")
    assert reslearn.evaluate(alone(release / "run"), release / "pictures").seen == Seen(at_least=(0, 4))


def test_together_they_are_known_as_well_as_the_weakest(release):
    options = Scoring(cache=None)
    value = ensemble_models([release / "run", release / "best"], release / "pictures", scoring=options).to_json()
    assert [member["score"]["seen"] for member in value["members"]] == [
        Seen(0, 0, "names").to_json(),
        Seen(0, 4, "names").to_json(),
    ]
    assert value["ensemble"]["seen"] == Seen(0, 4, "names").to_json()
    done = compare_models(release / "run", alone(release / "best"), data=release / "pictures", scoring=Scoring("val"))
    assert done.seen == Seen(None, None, "nothing") and done.b.scores[0].seen == UNKNOWN


@pytest.mark.parametrize("weights", ["run", "run/model.safetensors"])
def test_what_starts_from_a_run_inherits_its_pictures(release, weights):
    record, data = read_record(release / "run"), open_data(release / "pictures")
    splits = choose_splits(data, val_fraction=0.25, split_seed=9)
    train, val = Subset(data, splits["train"]), Subset(data, splits["val"])
    again = len(set(val.ids) & set(record.split.train))
    assert again
    settings = Settings(compile=False, threads=1)
    run = fit(record.spec, train, val, record.recipe, out=release / "more", weights=str(release / weights),
              settings=settings)  # fmt: skip
    assert run.val["seen"] == Seen(again, 0, "names").to_json()
    assert read_bundle(run.path).seen.known_by == "names"
    seen = reslearn.evaluate(alone(run.path), data, allow_seen=True).seen
    assert seen == Seen(len({*train.ids, *record.split.train}), 0, "names")


def test_weights_of_an_unknown_past_make_no_promise(release):
    record, data = read_record(release / "run"), open_data(release / "pictures")
    other = Subset(data, np.arange(0, 16, 2))
    run = fit(record.spec, other, None, record.recipe, out=release / "more", weights=str(alone(release / "run")),
              settings=Settings(compile=False, threads=1))  # fmt: skip
    rest = Subset(data, np.arange(1, 16, 2))
    assert reslearn.evaluate(run.path, rest).seen == UNKNOWN  # the weights were trained on most of these
    assert reslearn.evaluate(run.path, data, split="all", allow_seen=True).seen == Seen(at_least=(8, 0))
    with pytest.raises(UserError, match=r"8 of 16 pictures"):
        reslearn.evaluate(run.path, data, split="all")


def test_folds_are_merged_and_known_by_name(release):
    for name in ("model.safetensors", "out-of-fold.safetensors"):
        (release / "crossval" / name).unlink()
    done = crossval.proceed(release / "crossval")
    assert done.out_of_fold.seen == Seen(0, 0, "names") and done.out_of_fold.images == 16
    assert done.to_json()["folds"][0]["val"]["seen"] == Seen(0, 0, "names").to_json()
    assert read_bundle(done.model).seen.known_by == "nothing"


@pytest.mark.parametrize("name", ["original.pack", "raw.pack", "jpeg.pack"])
def test_a_pack_knows_the_files_that_it_was_made_of(release, name):
    folder, pack = open_data(release / "pictures"), open_data(release / name)
    assert np.array_equal(file_keys(pack), file_keys(folder))
    assert not pack.reader.keys[:, ORIGINAL].any()
    whole, packed = Keyed(folder), Keyed(pack)
    whole.complete()
    packed.complete()
    assert np.array_equal(whole.rows[:, FILE], packed.rows[:, FILE])
    assert np.array_equal(whole.rows[:, PIXELS], packed.rows[:, PIXELS]) == (name != "jpeg.pack")
    record = read_record(release / "run")
    run = fit(record.spec, pack, None, replace(record.recipe, iterations=1), out=release / "packed",
              settings=Settings(compile=False, threads=1))  # fmt: skip
    with pytest.raises(UserError, match=r"all 16 pictures of all were trained on"):
        reslearn.evaluate(alone(run.path), folder)


def test_a_manifest_still_splits(release):
    data = open_data(release / "manifest.json")
    assert {name: len(part) for name, part in data.splits.items()} == {"train": 8, "val": 4, "test": 4}
    assert all(len(text) == 64 for text in data.table.hashes)
    assert np.array_equal(file_keys(data), file_keys(open_data(release / "pictures")))
