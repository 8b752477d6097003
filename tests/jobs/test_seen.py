"""Attempts to have training pictures scored in silence, made small: each is refused, or counted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from PIL import Image as Pillow

import reslearn
from reslearn.bundle.file import load, read_bundle
from reslearn.data.care.splitting import split_data
from reslearn.data.formats.pack_index import PackOptions
from reslearn.data.formats.packing import write_pack
from reslearn.data.memory import Subset
from reslearn.data.sources import open_data
from reslearn.jobs.calibration import calibrate_model
from reslearn.jobs.compare import compare_models
from reslearn.jobs.convert import convert_weights
from reslearn.jobs.crossval import plan_crossval, run_crossval
from reslearn.jobs.ensemble import ensemble_models
from reslearn.jobs.training import train
from reslearn.measure.scoring import Scoring
from reslearn.spec.errors import UserError
from reslearn.spec.seen import Seen
from reslearn.train.records.ledger import read_ledger

from .noise import noise, plan, request

ALL, ASIDE = Scoring("all"), Scoring("all", allow_seen=True)


def refused(model, data, trained, count, **options):
    """Scoring is refused with the counts, writes nothing, and both ways on lead on."""
    folder = Path(model) if Path(model).is_dir() else Path(model).parent
    before = written(folder)
    said = rf"{trained} of {count} pictures" if trained < count else rf"all {count} pictures"
    with pytest.raises(UserError, match=said + r".*were trained on.*allow_seen=True"):
        reslearn.evaluate(model, data, cache=folder / "predictions", **options)
    assert written(folder) == before
    assert reslearn.evaluate(model, data, allow_seen=True, **options).seen == Seen(trained, 0, "content")
    if trained < count:
        others = reslearn.evaluate(model, data, only_unseen=True, **options)
        assert (others.images, others.seen) == (count - trained, Seen(0, 0, "content"))


def written(folder):
    """Every file below a folder, and when it was written."""
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}


def added(root):
    noise(root, 1, seed=99)


def removed(root):
    (root / "a/1-00.bmp").unlink()
    noise(root, 1, seed=99)


def renamed(root):
    for file in sorted(root.glob("*/*.bmp")):
        file.rename(file.with_name(f"other {file.name}"))
    noise(root, 1, seed=99)


def reencoded(root):
    for i, file in enumerate(sorted(root.glob("*/*.bmp"))):
        Pillow.open(file).save(file.with_suffix((".png", ".tif", ".ppm")[i % 3]))
        file.unlink()
    noise(root, 1, seed=99)


@pytest.mark.parametrize("change", [added, removed, renamed, reencoded])
def test_a_folder_that_was_changed_a_little(run, flat, tmp_path, change):
    data = Path(shutil.copytree(flat, tmp_path / "changed"))
    change(data)
    trained = {Pillow.open(flat / name).tobytes() for name in open_data(flat).ids}
    held = {Pillow.open(flat / name).tobytes() for name in json.loads((run / "run.json").read_text())["split"]["val"]}
    there = [Pillow.open(file).tobytes() for file in data.glob("*/*.*")]
    refused(run, data, sum(one in trained - held for one in there), len(there))


@pytest.mark.parametrize("kind", ["d.tar", "d.csv", "original.pack", "raw.pack", "jpeg.pack", "folder"])
def test_the_same_pictures_in_another_source_for_the_file_alone(run, flat, tmp_path, kind):
    data = open_data(flat)
    with tarfile.open(tmp_path / "d.tar", "w") as tar:
        tar.add(flat, "d")
    (tmp_path / "d.csv").write_text("path,label\n" + "".join(f"flat/{name},{name[0]}\n" for name in data.ids))
    for options in (PackOptions(), PackOptions("raw", 5), PackOptions("jpeg", 5)):
        write_pack(data, tmp_path / f"{options.encoding}.pack", options)
    (tmp_path / "alone").mkdir()
    model = shutil.copy(run / "model.safetensors", tmp_path / "alone" / "model.safetensors")
    refused(model, flat if kind == "folder" else tmp_path / kind, 18, 20)


def test_a_split_made_anew_after_training(run, flat):
    split_data(str(flat), ratio="1:1:2", seed=5)  # a manifest: the fingerprint of the data stays
    data = open_data(flat)
    names = set(json.loads((run / "run.json").read_text())["split"]["train"])
    test = [data.ids[int(i)] for i in data.splits["test"]]
    refused(run, flat, sum(name in names for name in test), len(test))


@pytest.mark.parametrize(("copies", "count", "told"), [(1, 100, True), (2, 100, False), (1, 50, False)])
def test_a_declared_test_split_may_have_seen_one_in_a_hundred(tmp_path, copies, count, told):
    data = tmp_path / "d"
    noise(data / "train", seed=2)
    noise(data / "test", count // 2, seed=3)
    train(plan(data), out=tmp_path / "run")
    name = json.loads((tmp_path / "run/run.json").read_text())["split"]["train"]
    for i, target in zip(range(copies), sorted((data / "test" / "a").iterdir()), strict=False):
        shutil.copy(data / name[i], target)
    if told:
        assert reslearn.evaluate(tmp_path / "run", data).seen == Seen(copies, 0, "content")
        assert read_ledger(tmp_path / "run")[0]["seen"] == Seen(copies, 0, "content").to_json()
        only = reslearn.evaluate(tmp_path / "run", data, only_unseen=True)
        assert (only.images, only.seen.trained) == (count - copies, 0)
    else:
        with pytest.raises(UserError, match=rf"{copies} of {count} pictures of test were trained on"):
            reslearn.evaluate(tmp_path / "run", data)


def test_what_was_asked_for_as_train_is_scored_and_marked(run, flat):
    assert reslearn.evaluate(run, flat, split="train").seen == Seen(18, 0, "content")
    assert reslearn.evaluate(run, flat, split="val").seen == Seen(0, 0, "content")
    with pytest.raises(UserError, match="give one of them"):
        reslearn.evaluate(run, flat, split="val", allow_seen=True, only_unseen=True)


def test_weights_hand_on_what_they_have_seen(run, flat, tmp_path):
    again = train(plan(flat, split_seed=9, weights=str(run)), out=tmp_path / "again")
    before, now = (json.loads((tmp_path / name / "run.json").read_text())["split"] for name in ("run", "again"))
    known = len(set(now["val"]) & set(before["train"]))
    assert known and again.val["seen"] == Seen(known, 0, "content").to_json()
    refused(shutil.copy(again.model, tmp_path / "alone.safetensors"), flat, 20, 20)


def test_exact_duplicates_across_the_split_of_an_unchecked_folder(tmp_path):
    data = noise(tmp_path / "d", 20)
    for file in sorted(data.glob("*/*.bmp")):
        shutil.copy(file, file.with_name(f"copy of {file.name}"))
    done = train(plan(data, val_fraction=0.25), out=tmp_path / "run")
    assert done.val["images"] and done.val["seen"] == Seen(0, 0, "content").to_json()


def test_the_same_picture_in_two_formats_across_the_split_is_marked(tmp_path):
    data = noise(tmp_path / "d", 20)
    for file in sorted(data.glob("*/*.bmp")):
        Pillow.open(file).save(file.with_suffix(".png"))
    assert train(plan(data, val_fraction=0.25), out=tmp_path / "run").val["seen"]["trained"] > 0


def test_ensembles_and_comparisons_count_for_each_and_for_all(run, flat, tmp_path):
    second = noise(tmp_path / "second", seed=5)
    train(plan(second), out=tmp_path / "other")
    for file in sorted(second.glob("*/*")):
        shutil.copy(file, flat / file.parent.name)
    models = [run, tmp_path / "other"]
    before = written(tmp_path)
    with pytest.raises(UserError, match="36 of 40 pictures"):
        ensemble_models(models, flat, out=tmp_path / "e.safetensors", scoring=ALL)
    with pytest.raises(UserError, match="36 of 40 pictures"):
        compare_models(*models, data=flat, scoring=ALL)
    assert written(tmp_path) == before
    value = ensemble_models(models, flat, out=tmp_path / "e.safetensors", scoring=ASIDE).to_json()
    assert [member["score"]["seen"]["trained"] for member in value["members"]] == [18, 18]
    assert value["ensemble"]["seen"] == Seen(36, 0, "content").to_json()
    done = compare_models(*models, data=flat, scoring=ASIDE).to_json()
    assert done["seen"]["trained"] == 36 and done["a"]["scores"][0]["seen"]["trained"] == 18
    rest = Scoring("all", only_unseen=True)
    assert compare_models(*models, data=flat, scoring=rest).to_json()["images"] == 4
    refused(tmp_path / "e.safetensors", flat, 36, 40)


def test_what_something_was_chosen_on_is_known_by_content(run, flat, tmp_path):
    train(plan(flat, seed=1), out=tmp_path / "other")
    test = noise(tmp_path / "d" / "test", 5, seed=6)
    model = shutil.copy(run / "model.safetensors", tmp_path / "model.safetensors")
    calibrate_model(model, test, scoring=ALL)
    ensemble_models([run, tmp_path / "other"], test, greedy=True, out=tmp_path / "e.safetensors", scoring=ALL)
    noise(tmp_path / "d" / "train", 5, seed=7)
    convert_weights(model, load(model).bundle.members[0].spec, out=tmp_path / "c.safetensors")
    ensemble_models([model, tmp_path / "other"], test, out=tmp_path / "n.safetensors", scoring=ALL)
    for name in ("model", "e", "c", "n"):
        assert reslearn.evaluate(tmp_path / f"{name}.safetensors", tmp_path / "d").seen == Seen(0, 10, "content"), name


def test_folds_have_not_seen_what_they_hold_out_and_together_all(flat, tmp_path):
    made = plan_crossval(request(flat), folds=2)
    done = run_crossval(made, out=tmp_path / "cv")
    value = done.to_json()
    assert [fold["val"]["seen"] for fold in value["folds"]] == [Seen(0, 0, "content").to_json()] * 2
    assert value["out_of_fold"]["seen"] == Seen(0, 0, "content").to_json()
    alone = shutil.copy(done.model, tmp_path / "folds.safetensors")
    refused(alone, Subset(open_data(flat), range(20)), 20, 20)


@pytest.mark.parametrize("way", ["train", "convert", "ensemble", "crossval"])
def test_pictures_can_be_forgotten_and_the_header_says_so(run, flat, tmp_path, way):
    out = tmp_path / "forgetful"
    if way == "train":
        train(plan(flat, forget_pictures=True), out=out)
    elif way == "convert":
        convert_weights(run, load(run).bundle.members[0].spec, out=out, forget_pictures=True)
    elif way == "ensemble":
        train(plan(flat, seed=1), out=tmp_path / "other")
        ensemble_models([run, tmp_path / "other"], flat, out=out, forget_pictures=True)
    else:
        made = plan_crossval(request(flat, forget_pictures=True), folds=2)
        run_crossval(made, out=out)
    alone = shutil.copy(out / "model.safetensors" if out.is_dir() else out, tmp_path / "alone.safetensors")
    header = read_bundle(alone).seen
    assert header.forgotten and header.known_by == "nothing" and not len(load(alone).known.trained)
    assert reslearn.evaluate(alone, Subset(open_data(flat), range(20))).seen == Seen(None, None, "nothing")


def command(*arguments, processes=1):
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    return subprocess.run(
        [sys.executable, *launcher, "-m", "reslearn", *map(str, arguments)], capture_output=True, text=True
    )


@pytest.mark.parametrize("processes", [1, 2])
def test_the_command_refuses_and_says_what_can_be_done(run, flat, processes):
    noise(flat, 1, seed=99)
    before = written(run)
    strict = command("evaluate", run, flat, "--json", processes=processes)
    assert strict.returncode != 0 and not strict.stdout
    assert "18 of 22 pictures of all were trained on" in strict.stderr
    assert written(run) == before
    marked = json.loads(command("evaluate", run, flat, "--json", "--allow-seen", processes=processes).stdout)
    assert marked["seen"] == {"trained": 18, "selected": 0, "known_by": "content"}
    others = command("evaluate", run, flat, "--only-unseen", processes=processes)
    assert "pictures   4" in others.stdout and "18 that were trained on are left out" in others.stderr
