"""Cross-validation on digits: folds, a kill and a resume, folds trained elsewhere, the ensemble of all."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from reslearn.bundle.file import load
from reslearn.data.memory import ArrayDataset, Subset
from reslearn.data.sources import open_data
from reslearn.jobs.pages.crossval import crossval_report
from reslearn.measure.evaluate import evaluate
from reslearn.measure.metrics import accuracy, loss
from reslearn.measure.predictions import read_predictions, write_predictions
from reslearn.measure.scoring import Scoring
from reslearn.runtime.settings import Settings
from reslearn.spec.catalogue import get_spec
from reslearn.spec.errors import Fault, UserError
from reslearn.spec.preprocess import default_preprocess
from reslearn.spec.seen import Seen
from reslearn.train import execute
from reslearn.train.crossval import proceed
from reslearn.train.fit import resume
from reslearn.train.fold_models import PREDICTIONS
from reslearn.train.folds import choose_folds
from reslearn.train.records.crossval import CrossvalRecord, check_recipe, read_record, start
from reslearn.train.records.run import describe, labels_text
from reslearn.train.records.run import read_record as read_run
from reslearn.train.stopping import Interrupted
from reslearn.train.together import digest


def few(count=220):
    """A part of digits with a test split, small enough for five trainings."""
    digits = open_data("digits")
    return ArrayDataset(
        digits.images[:count],
        digits.labels[:count],
        classes=digits.classes,
        ids=list(digits.ids[:count]),
        splits={"train": np.arange(count - 60), "test": np.arange(count - 60, count)},
    )


def record_of(data, spec, recipe, folds=5, **changes):
    where, method = choose_folds(data, folds)
    spec = get_spec(spec, num_classes=len(data.classes))
    recipe = replace(recipe, iterations=6, checkpoint_every=1e-6)
    labels = labels_text(label for name, label in zip(data.ids, data.labels, strict=True) if name in where)
    values = {"split_seed": 0, "seed": 0, "environment": {}, "command": "", "created": "", "labels": labels}
    values |= {"data": describe(data), "pictures": len(data)}
    values |= {"spec": spec, "recipe": recipe, "preprocess": default_preprocess(8), "settings": Settings()} | changes
    return CrossvalRecord(count=folds, folds=where, method=method, **values)


@pytest.fixture(scope="session")
def _once(tmp_path_factory):
    return tmp_path_factory.mktemp("crossval") / "cv"


@pytest.fixture
def whole(_once, tmp_path, tiny_spec, tiny_recipe):
    """A finished cross-validation (trained once, copied), its data and its record."""
    data = few()
    record = record_of(data, tiny_spec, tiny_recipe)
    if not _once.exists():
        assert start(_once, record) is False
        proceed(_once, data)
    shutil.copytree(_once, tmp_path / "cv")
    return proceed(tmp_path / "cv", data), data, read_record(tmp_path / "cv")


# -- folds -----------------------------------------------------------------------------------------------------------


def test_folds_are_stratified_and_leave_test_alone():
    data = few()
    folds, method = choose_folds(data, 5)
    assert method == "stratified" and set(folds) == set(data.ids[:160])
    where = np.array([folds[identity] for identity in data.ids[:160]])
    for label in range(10):
        counts = np.bincount(where[data.labels[:160] == label], minlength=6)[1:]
        assert counts.max() - counts.min() <= 1
    assert max(np.bincount(where)[1:]) - min(np.bincount(where)[1:]) <= 1
    assert choose_folds(data, 5, split_seed=1)[0] != folds


def test_folds_follow_identity_not_order():
    data = few()
    turned = Subset(data, np.arange(len(data))[::-1].copy())
    assert choose_folds(Subset(data, np.arange(160)), 4)[0] == choose_folds(Subset(turned, np.arange(60, 220)), 4)[0]


def test_groups_stay_together():
    data = few()
    groups = [f"g{i // 4}" for i in range(len(data))]
    folds, method = choose_folds(data, 4, groups=groups)
    assert method == "grouped"
    for g in range(40):
        assert len({folds[data.ids[i]] for i in range(4 * g, 4 * g + 4)}) == 1


def test_declared_folds_are_taken():
    digits = open_data("digits")
    splits = {f"fold{k}": np.arange(k, 300, 3) for k in range(3)}
    data = ArrayDataset(digits.images, digits.labels, classes=digits.classes, ids=digits.ids, splits=splits)
    folds, method = choose_folds(data, 3)
    assert method == "declared" and len(folds) == 300 and folds[data.ids[4]] == 2
    with pytest.raises(UserError, match="declares 3 folds"):
        choose_folds(data, 5)


def test_folds_that_cannot_be():
    data = few()
    with pytest.raises(UserError, match=r"class '\d' has only 1\d pictures"):
        choose_folds(data, 30)
    with pytest.raises(UserError, match="--folds is 1"):
        choose_folds(data, 1)
    with pytest.raises(UserError, match="lies in one group"):
        choose_folds(data, 2, groups=[f"class {label}" for label in data.labels])
    with pytest.raises(UserError, match="fewer groups than folds"):
        choose_folds(data, 5, groups=[f"g{i % 3}" for i in range(len(data))])


def test_a_mean_image_cannot_be_shared(tiny_spec, tiny_recipe):
    with pytest.raises(UserError, match="input_mean=channel"):
        check_recipe(replace(tiny_recipe, input_mean="pixel"))


@pytest.mark.parametrize(
    ("change", "instead"),
    [
        ({"select": "best"}, "select=last"),
        ({"early_stop": 2.0}, "early_stop=null"),
        ({"schedule": "plateau"}, "schedule="),
    ],
)
def test_nothing_is_decided_on_the_pictures_that_a_fold_is_scored_on(change, instead, tiny_spec, tiny_recipe):
    recipe = replace(tiny_recipe, **change)
    with pytest.raises(UserError, match=f"decides on validation.*--set {instead}"):
        check_recipe(recipe)
    fields = {name: json.loads(text) if text == "null" else text for name, text in recipe.decides_on_validation.items()}
    check_recipe(replace(recipe, **fields))  # the advice helps


# -- training --------------------------------------------------------------------------------------------------------


def test_every_picture_is_predicted_once_by_a_stranger(whole):
    done, data, _ = whole
    together = read_predictions(done.predictions)
    assert sorted(together.ids) == sorted(data.ids[:160]) and together.fold is not None
    place = {identity: i for i, identity in enumerate(data.ids)}
    for k in (1, 4):
        at = np.flatnonzero(together.fold == k)
        held = Subset(data, np.array([place[together.ids[i]] for i in at]))
        again = evaluate(load(done.path / f"fold-{k}"), held)
        np.testing.assert_allclose(again.logits, together.logits[at], atol=1e-5)
        assert np.array_equal(again.labels, together.labels[at])
    assert done.out_of_fold.images == 160
    assert done.out_of_fold.seen == Seen(0, 0, "content"), "counted in every fold, by what its network has seen"
    value = done.to_json()
    tops = [fold["val"]["top1"] for fold in value["folds"]]
    assert value["mean"]["top1"] == pytest.approx(np.mean(tops))
    assert value["std"]["top1"] == pytest.approx(np.std(tops, ddof=1))
    assert value["out_of_fold"]["top1"] == accuracy(together.logits, together.labels)


def test_the_folds_together_are_one_sealed_file(whole):
    """It answers with the members' mean; on held-out pictures its loss is at most their mean loss (Jensen)."""
    done, data, _ = whole
    both = load(done.path)
    assert len(both.bundle.members) == 5 and both.bundle.combine == "softmax"
    assert both.bundle.scores["out_of_fold"]["images"] == 160
    ensemble = evaluate(both, data, Scoring(split="test"))
    members = [evaluate(load(done.path / f"fold-{k}"), data, Scoring(split="test")) for k in range(1, 6)]
    assert ensemble.loss <= np.mean([member.loss for member in members])
    shares = [np.exp(m.logits - np.log(np.exp(m.logits).sum(1, keepdims=True))) for m in members]
    assert ensemble.loss == pytest.approx(loss(np.log(np.mean(shares, axis=0)), ensemble.labels), abs=1e-5)
    assert ensemble.top1_interval[0] <= ensemble.top1 <= ensemble.top1_interval[1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_folds_of_a_gpu_s_are_trained_without_one(tmp_path, tiny_spec, tiny_recipe):
    data, folder = few(100), tmp_path / "cv"
    begun(data, folder, record_of(data, tiny_spec, tiny_recipe, folds=2, settings=Settings(device="cuda")))
    assert read_run(folder / "fold-1").settings.device == "cpu"
    other = json.loads((folder / "fold-1" / "run.json").read_text())
    other["environment"]["numerics"]["processor"] = "z80"
    (folder / "fold-1" / "run.json").write_text(json.dumps(other))
    (folder / "fold-1" / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"processor was z80.*resume \S+/cv --allow-different-numerics"):
        proceed(folder, data)
    done = proceed(folder, data, allow_different_numerics=True)
    told = crossval_report(done).notes[0]
    assert told.startswith("Fold 1 is of more than one arithmetic: after step 6 processor was z80")


def test_again_it_only_reads(whole):
    done, data, record = whole
    before = {path: path.stat().st_mtime_ns for path in done.path.glob("fold-*/*")}
    assert start(done.path, record) is True
    assert proceed(done.path, data).to_json() == done.to_json()
    assert {p: t for p, t in before.items() if p.name != "lock"} == {
        path: path.stat().st_mtime_ns for path in done.path.glob("fold-*/*") if path.name != "lock"
    }


def test_folds_from_elsewhere_are_merged(whole, tmp_path):
    """Two machines train some folds each; whoever has all folders merges them, with the same result."""
    done, data, record = whole
    for machine, folds in {"one": (1, 3), "two": (2, 4, 5)}.items():
        start(tmp_path / machine, replace(record, command=machine))
        for k in folds:
            assert proceed(tmp_path / machine, data, only=k) is None
    for k in (2, 4, 5):
        shutil.copytree(tmp_path / "two" / f"fold-{k}", tmp_path / "one" / f"fold-{k}")
    merged = proceed(tmp_path / "one", data)
    assert (tmp_path / "one" / PREDICTIONS).read_bytes() == done.predictions.read_bytes()
    assert merged.out_of_fold.to_json() == done.out_of_fold.to_json()


def test_folds_of_another_cross_validation_are_refused(whole, tmp_path):
    done, data, record = whole
    other = replace(record, folds={name: 1 + k % 5 for name, k in record.folds.items()})
    with pytest.raises(UserError, match="holds another cross-validation \\(folds differ\\)"):
        start(done.path, other)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(UserError, match="not empty"):
        start(tmp_path / "full", record)
    with pytest.raises(UserError, match="--fold is 6"):
        proceed(done.path, data, only=6)
    assert proceed(done.path, few(230)).to_json() == done.to_json()  # more pictures, which stand in none of its folds
    with pytest.raises(UserError, match=r"10 pictures\) is gone"):
        proceed(done.path, few(150))
    (done.path / "fold-2" / PREDICTIONS).unlink()
    shutil.copy(done.path / "fold-1" / PREDICTIONS, done.path / "fold-2" / PREDICTIONS)
    assert proceed(done.path, data).to_json() == done.to_json()  # another network's predictions are made anew


WORK = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import test_crossval as t
from reslearn.train import execute
from reslearn.train.crossval import proceed
proceed(Path({out!r}), t.few())
"""


def test_killed_in_a_fold_and_resumed(whole, tmp_path):
    """kill -9 in fold 3; going on gives the out-of-fold file of one that was never killed, bit by bit."""
    done, data, record = whole
    out = tmp_path / "killed"
    start(out, record)
    script = WORK.format(here=str(Path(__file__).parent), out=str(out))
    process = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 240
    while not list((out / "fold-3").glob("checkpoints/*.safetensors")) and time.monotonic() < deadline:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / PREDICTIONS).exists() and read_record(out) == record
    proceed(out, data)
    assert (out / PREDICTIONS).read_bytes() == done.predictions.read_bytes()


@pytest.mark.parametrize("when", ["in the last step", "while it is sealed"])
def test_a_signal_after_a_fold_s_last_step_ends_all_of_it(when, whole, tmp_path, monkeypatch, tiny_spec, tiny_recipe):
    """Stopped it is: nothing of the next fold is begun, and the same command goes on from there."""
    done, data, record = whole
    folder = tmp_path / "stopped"
    start(folder, record)

    def ask(*_):
        os.kill(os.getpid(), signal.SIGTERM)

    def last_step(tick):
        if tick.step == tick.total:
            ask()

    if when == "while it is sealed":
        sealed = execute.seal
        monkeypatch.setattr(execute, "seal", lambda *given, **more: (ask(), sealed(*given, **more))[1])
    with pytest.raises(Interrupted, match=f"resume {folder}$") as stopped:
        proceed(folder, data, watch=lambda fold: last_step if when == "in the last step" else lambda tick: None)
    assert stopped.value.signum == signal.SIGTERM
    assert (folder / "fold-1" / "model.safetensors").exists()
    assert not (folder / "fold-2").exists()
    monkeypatch.undo()
    assert np.array_equal(proceed(folder, data).out_of_fold.logits, done.out_of_fold.logits)


# -- the same pictures, the right network ------------------------------------------------------------------------------


def without_model(fold):
    (fold / "model.safetensors").unlink()


def with_another(fold):
    shutil.copy(fold.parent / "fold-1" / "model.safetensors", fold / "model.safetensors")


def with_another_not_predicted(fold):
    with_another(fold)
    (fold / PREDICTIONS).unlink()


def with_a_damaged(fold):
    content = bytearray((fold / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (fold / "model.safetensors").write_bytes(content)


def with_another_s_predictions_unstated(fold):
    """As an earlier release wrote them: of no stated network."""
    kept = read_predictions(fold / PREDICTIONS)
    write_predictions(fold / PREDICTIONS, replace(kept, logits=-kept.logits, model=None))


def with_damaged_predictions(fold):
    content = bytearray((fold / PREDICTIONS).read_bytes())
    content[-1] ^= 1
    (fold / PREDICTIONS).write_bytes(content)


def with_another_ensemble(fold):
    shutil.copy(fold / "model.safetensors", fold.parent / "model.safetensors")


def with_a_damaged_ensemble(fold):
    with_a_damaged(fold.parent)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without_model, None),
        (with_another, "fold-2/model.safetensors: not the network that this fold trained; it is sealed anew"),
        (with_another_not_predicted, "not the network that this fold trained; it is sealed anew"),
        (with_a_damaged, "fold-2/model.safetensors: .*; it is sealed anew"),
        (with_damaged_predictions, "fold-2/out-of-fold.safetensors: .*; done now"),
        (with_another_s_predictions_unstated, None),
        (with_another_ensemble, None),
        (with_a_damaged_ensemble, "/model.safetensors: .*; it is sealed anew"),
    ],
)
def test_predictions_and_ensemble_belong_to_the_folds_networks(change, told, whole, capsys):
    done, data, _ = whole
    before = [digest(load(folder).net) for folder in (done.path / "fold-2", done.path)]
    predicted = done.predictions.read_bytes()
    change(done.path / "fold-2")
    capsys.readouterr()
    again = proceed(done.path, data)
    warned = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(warned) == (told is not None) and all(re.search(told, line) for line in warned), warned
    assert [digest(load(folder).net) for folder in (done.path / "fold-2", done.path)] == before
    assert again.predictions.read_bytes() == predicted
    assert again.out_of_fold.to_json() == done.out_of_fold.to_json()


def test_another_fold_s_run_is_refused(whole):
    done, data, _ = whole
    shutil.rmtree(done.path / "fold-2")
    shutil.copytree(done.path / "fold-1", done.path / "fold-2")
    with pytest.raises(UserError, match="fold-2: it holds out other pictures"):
        proceed(done.path, data)


def begun(data, out, record):
    """The cross-validation with its first fold trained, begun on a folder's pictures."""
    start(out, record)
    assert proceed(out, data, only=1) is None


@pytest.fixture
def pictures(tmp_path):
    digits = open_data("digits")
    for i in range(60):
        (tmp_path / "pics" / str(digits.labels[i] % 2)).mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(digits.images[i]).save(tmp_path / "pics" / str(digits.labels[i] % 2) / f"{i}.png")
    return tmp_path / "pics"


@pytest.mark.parametrize("forget", [False, True])
def test_other_pictures_or_labels_are_refused(forget, pictures, tmp_path, tiny_spec, tiny_recipe):
    data = open_data(pictures)
    out = tmp_path / "cv"
    begun(data, out, record_of(data, tiny_spec, tiny_recipe, folds=2, forget_pictures=forget))
    first = data.ids[0]
    os.rename(pictures / first, pictures / first.replace("0/", "1/"))
    changed = "is gone" if forget else rf"1 label changed \({first} was 0, is 1\)"  # the keys are forgotten
    with pytest.raises(UserError, match=changed):
        proceed(out)
    os.rename(pictures / first.replace("0/", "1/"), pictures / first)
    kept = (pictures / first).read_bytes()
    Pillow.new("RGB", (8, 8)).save(pictures / first)
    if not forget:
        with pytest.raises(UserError, match=rf"1 picture replaced \({first}\)"):
            proceed(out)
    (pictures / first).write_bytes(kept)
    shutil.move(pictures, tmp_path / "moved")
    with pytest.raises(UserError, match="--data NEWPATH"):
        proceed(out)
    done = proceed(out, data=str(tmp_path / "moved"))
    assert done is not None and done.out_of_fold.images == 60
    assert read_record(out).data["path"] == str(tmp_path / "moved") and len(read_record(out).moved) == 1
    assert proceed(out).to_json() == done.to_json()
    for k in (1, 2):  # one of them was begun before the data moved
        fold = json.loads((out / f"fold-{k}" / "run.json").read_text())
        assert fold["data"]["path"] == str(tmp_path / "moved") and len(fold["moved"]) == (k == 1)
        resume(out / f"fold-{k}")
    assert load(out).bundle.data["path"] == str(tmp_path / "moved")


def test_folds_that_were_begun_follow_where_the_data_moves(pictures, tmp_path, tiny_spec, tiny_recipe):
    """From place to place, under other names too; each goes on alone, and ends as it would have where it began."""
    data = open_data(pictures)
    whole, out = tmp_path / "whole", tmp_path / "cv"
    for folder in (whole, out):
        begun(data, folder, record_of(data, tiny_spec, tiny_recipe, folds=2))
    expected = proceed(whole, data)
    for path in sorted(pictures.rglob("*.png")):
        path.rename(path.with_name(f"x{path.name}"))
    places = [pictures, tmp_path / "here", tmp_path / "there"]
    for old, new in pairwise(places):
        shutil.move(old, new)
        (out / "fold-1" / "model.safetensors").unlink()  # it goes on from its last checkpoint
        assert proceed(out, data=str(new), only=1) is None
        assert read_run(out / "fold-1").data["path"] == str(new)
        (out / "fold-1" / "model.safetensors").unlink()
        resume(out / "fold-1")
    assert [entry["from"] for entry in read_run(out / "fold-1").moved] == [str(place) for place in places[:2]]
    done = proceed(out)
    assert np.array_equal(done.out_of_fold.logits, expected.out_of_fold.logits)


def test_a_record_s_folds_and_seeds_are_possible(tmp_path, tiny_spec, tiny_recipe):
    data = few()
    record = record_of(data, tiny_spec, tiny_recipe, seed=2**64 - 6)
    with pytest.raises(UserError, match=f"seed is {2**64}"):
        replace(record, seed=2**64 - 5)  # of the last fold
    start(tmp_path / "cv", record)
    assert read_record(tmp_path / "cv") == record
    text = (tmp_path / "cv" / "crossval.json").read_text()
    for wrong in (0, 6, -1):
        value = json.loads(text)
        value["folds"][data.ids[0]] = wrong
        (tmp_path / "cv" / "crossval.json").write_text(json.dumps(value))
        with pytest.raises(UserError, match=r"a fold outside 1\.\.5"):
            read_record(tmp_path / "cv")


def test_pictures_that_cannot_be_read_stand_in_no_fold():
    data = few()
    out = set(data.ids[3:6])
    folds, _ = choose_folds(data, 5, left_out=out)
    assert set(folds) == set(data.ids[:160]) - out


def test_a_folder_that_is_removed_meanwhile_is_our_line(tmp_path, tiny_spec, tiny_recipe):
    data = few()
    start(tmp_path / "cv", record_of(data, tiny_spec, tiny_recipe))

    def remove(tick):
        if tick.step == 2:
            shutil.rmtree(tmp_path / "cv")

    with pytest.raises(Fault, match=r"cv.*: removed while the run was being trained"):
        proceed(tmp_path / "cv", data, watch=lambda fold: remove)
