"""`evaluate RUN DATA`: the run's own split, the ledger, kept scores, several processes; `calibrate` on validation."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image

import reslearn
from reslearn.bundle.file import load, read_bundle, read_tensors, write_sealed
from reslearn.cli.app import main
from reslearn.data.memory import ArrayDataset, Subset
from reslearn.data.parts.manifest import Manifest, manifest_path, write_manifest
from reslearn.data.sources import open_data
from reslearn.jobs.calibration import calibrate_model
from reslearn.jobs.compare import compare_models
from reslearn.jobs.evaluation import evaluate_model, evaluate_protocols
from reslearn.jobs.subject import as_training, subject_of
from reslearn.jobs.training import train
from reslearn.measure.evaluate import evaluate
from reslearn.measure.metrics import loss
from reslearn.measure.predictions import read_predictions
from reslearn.measure.scoring import Scoring
from reslearn.predictor.predictor import predict
from reslearn.spec.errors import UserError
from reslearn.spec.seen import Seen
from reslearn.train.records.ledger import read_ledger
from reslearn.train.records.run import read_record


def test_val_is_what_training_sealed(short_run):
    """`train --json`'s `val` equals `evaluate RUN DATA --split val`, to the last bit."""
    sealed = read_bundle(short_run).scores["val"]
    assert json.loads(json.dumps(evaluate_model(short_run, "digits", split="val").to_json())) == sealed


def test_the_runs_own_split_is_used(short_run):
    record, digits = read_record(short_run), open_data("digits")
    training = as_training(record)
    subject = subject_of(training, digits, "val")
    assert tuple(subject.pictures.ids) == record.split.val and subject.own and not subject.unseen
    assert subject_of(training, digits, "train").pictures.ids[0] == record.split.train[0]
    test = subject_of(training, digits, None)
    assert test.split == "test" and test.unseen and len(test.pictures) == 360


def manifest_without(folder, ids):
    """What `data check` writes beside the pictures when it leaves these out."""
    data = open_data(folder, manifest=False, on_bad_file="skip")
    columns = {"ids": tuple(data.ids), "labels": tuple(map(int, data.labels)), "sizes": (-1,) * len(data)}
    manifest = Manifest(".", data.classes, **columns, excluded=dict.fromkeys(ids, "duplicate"))
    write_manifest(manifest_path(str(folder)), manifest)


def test_a_manifest_made_after_training(small_plan, folder, tmp_path, capsys):
    """What it leaves out of the run's validation is not scored, and said; kept scores are those of what is left."""
    run = train(small_plan(folder, val_fraction=0.3), out=tmp_path / "run").path
    held = read_record(run).split.val
    request = str(run), str(folder), ["1-crop"], Scoring("val", cache="auto")
    whole = evaluate_protocols(*request).results[0].evaluation
    capsys.readouterr()
    for left_out in (held[:1], held[1:2], held[:2]):
        manifest_without(folder, left_out)
        scores = evaluate_protocols(*request).results[0].evaluation
        rows = [i for i, identity in enumerate(held) if identity not in left_out]
        np.testing.assert_allclose(scores.logits, whole.logits[rows], atol=1e-5)
        assert not scores.kept and np.array_equal(scores.labels, whole.labels[rows])
        line = f"excludes {len(left_out)} of the run's 6 val pictures; scored are the {len(rows)} that are left"
        assert capsys.readouterr().err.count(line) == 1
    assert calibrate_model(run, folder).images == 4
    assert line in capsys.readouterr().err
    assert compare_models(run, shaken(run, tmp_path / "other"), data=folder).to_json()["images"] == 4
    assert line in capsys.readouterr().err
    manifest_without(folder, held)
    for score in (calibrate_model, partial(evaluate_model, split="val")):
        with pytest.raises(UserError, match="excludes all 6 val pictures of the run, so none is left"):
            score(run, folder)


def shaken(run, to):
    """A copy of a run with other weights."""
    shutil.copytree(run, to)
    bundle, tensors = read_tensors(to)
    tensors["head.fc.bias"] += 1
    write_sealed(to / "model.safetensors", tensors, bundle)
    return to


def test_a_run_that_skips_bad_files_is_scored_so(small_plan, folder, tmp_path, capsys):
    """A stray file among the pictures: the run's own record opens its data, and lists what it leaves out."""
    (folder / "cat" / "notes.txt").write_text("no picture")
    run = train(small_plan(folder, on_bad_file="skip"), out=tmp_path / "run")
    capsys.readouterr()
    scores = evaluate_model(run.path, folder, split="val")
    assert json.loads(json.dumps(scores.to_json())) == run.val
    assert capsys.readouterr().err.count("notes.txt: not an image, left out") == 1
    assert calibrate_model(run.path, folder).images == scores.images
    assert compare_models(run.path, shaken(run.path, tmp_path / "other")).to_json()["images"] == scores.images
    other = shutil.copytree(folder, tmp_path / "others")
    (other / "cat" / "0.png").unlink()
    with pytest.raises(UserError, match=r"notes\.txt: not an image"):  # not what the run was trained on
        evaluate_model(run.path, other)


def test_pictures_replaced_in_place_are_scored_anew(small_plan, folder, tmp_path):
    """Same names, same sizes, other pictures: neither the command nor the report serves what was kept."""
    for path in sorted(folder.rglob("*.png")):
        Image.open(path).save(path.with_suffix(".bmp"))
        path.unlink()
    run = train(small_plan(folder, val_fraction=0.3), out=tmp_path / "run").path
    request = str(run), str(folder), ["1-crop"], Scoring("val", cache="auto")
    first = evaluate_protocols(*request).results[0].evaluation
    assert evaluate_protocols(*request).results[0].evaluation.kept
    fingerprint = open_data(folder).fingerprint()
    for i, path in enumerate(sorted(folder.rglob("*.bmp"))):
        Image.new("RGB", (10, 12), (i * 12, 0, 255)).save(path)
    assert open_data(folder).fingerprint() == fingerprint
    second = evaluate_protocols(*request).results[0].evaluation
    assert not second.kept and second.loss != first.loss
    assert second.loss == evaluate_model(run, folder, split="val").loss


def test_other_data_has_its_own_split(short_run):
    training, digits = as_training(read_record(short_run)), open_data("digits")
    other = Subset(digits, np.arange(100))
    assert subject_of(training, other, None).split == "all" and subject_of(training, other, None).unseen
    with pytest.raises(UserError, match="declares no splits"):
        subject_of(training, other, "val")


def test_test_pictures_that_were_trained_on_are_refused(short_run):
    """The same pictures, but a test split that reaches into what the run has trained on."""
    digits = open_data("digits")
    moved = ArrayDataset(
        digits.images, digits.labels, classes=digits.classes, ids=digits.ids, splits={"test": np.arange(500)}
    )
    trained = len(set(range(500)) & {digits.ids.index(name) for name in read_record(short_run).split.train})
    before = sorted(file.name for file in short_run.rglob("*"))
    with pytest.raises(
        UserError, match=rf"{trained} of 500 pictures of test were trained on.*--allow-seen.*--only-unseen"
    ):
        evaluate_model(short_run, moved, split="test", cache=short_run / "predictions")
    assert sorted(file.name for file in short_run.rglob("*")) == before  # neither a kept score nor a line in the ledger
    marked = evaluate_model(short_run, moved, split="test", allow_seen=True)
    assert (marked.images, marked.seen) == (500, Seen(trained, 0, "content"))
    others = evaluate_model(short_run, moved, split="test", only_unseen=True)
    assert (others.images, others.seen) == (500 - trained, Seen(0, 0, "content"))
    assert [line["seen"]["trained"] for line in read_ledger(short_run)] == [trained, 0]


def test_from_python_the_split_is_the_runs_own_and_the_look_is_a_line(short_run):
    digits = open_data("digits")
    result = reslearn.evaluate(reslearn.load(short_run), digits)
    assert result.images == len(digits.splits["test"])
    assert [line["split"] for line in read_ledger(short_run)] == ["test"]
    unsplit = ArrayDataset(digits.images, digits.labels, classes=digits.classes, ids=digits.ids)
    with pytest.raises(UserError, match="own data has no test split"):  # all of it would hold what it was trained on
        reslearn.evaluate(short_run, unsplit)


def test_split_all_is_every_picture_and_says_what_to_do_of_those_trained_on(short_run, tmp_path):
    with pytest.raises(UserError, match=r"trained on.*--allow-seen"):
        evaluate_model(short_run, "digits", split="all")
    assert evaluate_model(short_run, "digits", split="all", allow_seen=True).images == 1797
    alone = shutil.copy(short_run / "model.safetensors", tmp_path / "alone.safetensors")
    assert evaluate_model(alone, "digits", split="all", allow_seen=True).images == 1797


def test_a_file_is_no_cache(short_run, tmp_path, capsys):
    (tmp_path / "rose.jpg").write_bytes(b"")
    for place in ("rose.jpg", "rose.jpg/inside"):
        with pytest.raises(UserError, match=r"^--cache .*rose\.jpg is a file, not a folder"):
            evaluate_model(short_run, "digits", cache=tmp_path / place)
    assert main(["evaluate", str(short_run), "digits", "--cache", str(tmp_path / "c"), "--no-cache"]) == 2
    assert "give one of them" in capsys.readouterr().err


def test_every_look_at_test_is_a_line(short_run):
    evaluate_model(short_run, "digits", split="val")
    assert read_ledger(short_run) == []
    evaluate_model(short_run, "digits")
    evaluate_model(short_run / "model.safetensors", "digits", split="test", protocol="1-crop+flip")
    lines = read_ledger(short_run)
    assert [(line["split"], line["protocol"], line["images"]) for line in lines] == [
        ("test", "1-crop", 360),
        ("test", "1-crop+flip", 360),
    ]


def test_a_lone_sealed_file_knows_no_validation(short_run, tmp_path):
    alone = shutil.copy(short_run / "model.safetensors", tmp_path / "alone.safetensors")
    assert evaluate_model(alone, "digits").to_json() == evaluate_model(short_run, "digits").to_json()
    with pytest.raises(UserError, match="val"):
        evaluate_model(alone, "digits", split="val")


def test_several_protocols_and_kept_predictions(short_run, tmp_path):
    request = str(short_run), "digits", ["1-crop", "1-crop+flip"], Scoring("val", cache="auto")
    file = tmp_path / "p.safetensors"
    first = evaluate_protocols(*request, details=True, predictions=file).results
    again = evaluate_protocols(*request).results
    assert [r.evaluation.to_json() for r in again] == [r.evaluation.to_json() for r in first]
    assert [r.evaluation.kept for r in again] == [True, True] and not first[0].evaluation.kept
    assert len(list((short_run / "predictions").iterdir())) == 1
    kept = read_predictions(file)
    assert loss(kept.logits, kept.labels) == first[1].evaluation.loss
    assert kept.ids == read_record(short_run).split.val and kept.classes == tuple("0123456789")
    assert first[0].details.nll == pytest.approx(first[0].evaluation.loss)
    assert sum(row.support for row in first[0].details.per_class) == 144


def test_a_misspelt_protocol_is_found_before_anything_is_scored(short_run):
    with pytest.raises(UserError, match="flop"):
        evaluate_protocols(str(short_run), "digits", ["1-crop", "1-crop+flop"], Scoring())
    assert read_ledger(short_run) == []


def test_calibration_is_stored_and_used(short_run):
    before = evaluate_model(short_run, "digits", split="val")
    done = calibrate_model(short_run, "digits", target_precision=0.95)
    bundle = read_bundle(short_run)
    assert (bundle.temperature, bundle.threshold) == (done.temperature, done.threshold)
    assert done.after.nll == pytest.approx(loss(before.logits, before.labels, done.temperature))
    assert done.after.nll <= done.before.nll and done.precision >= 0.95
    after = evaluate_model(short_run, "digits", split="val")
    assert before.seen == Seen(0, 0, "content") and after.seen == Seen(0, before.images, "content")
    assert after.calibrated is not None and after.calibrated.temperature == done.temperature
    assert replace(after, seen=before.seen, calibrated=None).to_json() == before.to_json()  # the rest is at T = 1
    digits = open_data("digits")
    answers = predict(load(short_run), [digits.read(i)[0] for i in digits.splits["test"]], top=1)
    unknown = [answer.label == "unknown" for answer in answers]
    assert 0 < sum(unknown) < 360
    right = [a.label == str(digits.labels[i]) for a, i in zip(answers, digits.splits["test"], strict=True)]
    assert sum(right) / (360 - sum(unknown)) > 0.9
    assert calibrate_model(short_run, "digits").temperature == done.temperature


def test_calibration_on_the_wrong_pictures(short_run):
    with pytest.raises(UserError, match="worthless"):
        calibrate_model(short_run, "digits", scoring=Scoring(split="train"))
    with pytest.raises(UserError, match="target precision"):
        calibrate_model(short_run, "digits", target_precision=1.5)
    done = calibrate_model(short_run, "digits", scoring=Scoring(split="test"))
    assert done.selected_on_test and evaluate_model(short_run, "digits").selected_on_test
    assert read_ledger(short_run)[0]["split"] == "test"


@pytest.mark.parametrize("processes", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_processes_share_the_pictures_out(short_run, tmp_path, processes):
    """Sizes that do not divide: 144 pictures less one. The same file of logits, so the same numbers."""
    loaded = load(short_run)
    digits = open_data("digits")
    ids = list(read_record(short_run).split.val)[:-1]
    place = {identity: i for i, identity in enumerate(digits.ids)}
    np.save(tmp_path / "indices.npy", np.array([place[i] for i in ids]))
    script = tmp_path / "work.py"
    script.write_text(WORK.format(run=str(short_run), folder=str(tmp_path)))
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={processes}", "--standalone", script]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    one = evaluate(loaded, Subset(digits, np.load(tmp_path / "indices.npy")), Scoring(protocol="1-crop+flip"))
    for rank in range(processes):
        [shared] = [json.loads((tmp_path / f"{rank}.json").read_text())]
        logits = np.load(tmp_path / f"{rank}.npy")
        assert shared["images"] == 143 and shared["top1"] == one.top1
        assert shared["loss"] == pytest.approx(one.loss, abs=1e-6)
        np.testing.assert_allclose(logits, one.logits, atol=1e-4)
        np.testing.assert_array_equal(logits, np.load(tmp_path / "0.npy"))


WORK = """
import json, numpy as np
from reslearn.bundle.file import load
from reslearn.data.memory import Subset
from reslearn.data.sources import open_data
from reslearn.jobs.training import train
from reslearn.measure.evaluate import evaluate
from reslearn.measure.scoring import Scoring
from reslearn.runtime.process_group import process_group

with process_group("cpu") as world:
    pictures = Subset(open_data("digits"), np.load("{folder}/indices.npy"))
    report = evaluate(load("{run}"), pictures, Scoring(protocol="1-crop+flip"))
    with open(f"{folder}/{{world.rank}}.json", "w") as file:
        json.dump(report.to_json(), file)
    np.save(f"{folder}/{{world.rank}}.npy", report.logits)
"""
