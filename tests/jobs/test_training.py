"""`train` as one call: what `run.json` says of how the split was chosen."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import safetensors.torch

from reslearn.data.care.check import check_data
from reslearn.jobs.training import resume, train
from reslearn.runtime import choice
from reslearn.runtime.machine import Rates
from reslearn.spec.errors import UserError
from reslearn.train.records.run import read_record
from reslearn.train.reopening import reopen


@pytest.mark.parametrize(
    ("change", "options", "expected"),
    [
        ("nothing", {}, ("path", "stratified")),
        ("nothing", {"val_fraction": 0.0}, ("path", "none")),
        ("declared", {}, ("path", "declared")),
        ("checked", {}, ("content", "stratified")),
        ("twins", {}, ("content", "grouped")),
    ],
)
def test_the_record_says_how_the_split_was_chosen(small_plan, folder, tmp_path, change, options, expected):
    """The identity is the content's hash once `data check` has computed it; the stored names stay the data's own."""
    if change == "declared":
        (folder / "train").mkdir()
        for name in ("cat", "dog"):
            shutil.move(folder / name, folder / "train" / name)
        shutil.copytree(folder / "train", folder / "val")
    if change == "twins":
        shutil.copy(folder / "cat" / "0.png", folder / "cat" / "0-again.png")
    if change in ("checked", "twins"):
        check_data(str(folder), workers=0)
    plan = small_plan(folder, **options)
    run = train(plan, out=tmp_path / "run")
    split = json.loads((run.path / "run.json").read_text())["split"]
    assert (split["identity"], split["method"]) == expected
    again = reopen(run.path, read_record(run.path))
    parts = again.train, again.val
    assert [tuple(part.ids) for part in parts] == [tuple(split["train"]), tuple(split["val"])]
    assert np.array_equal(parts[0].labels, plan.train_data.labels)


def test_resume_says_that_the_manifest_leaves_a_picture_out(small_plan, folder, tmp_path):
    """A run that a bad file stopped, and a check after it: the file is there, the manifest is why it is not found."""
    run = train(small_plan(folder), out=tmp_path / "run")
    run.model.unlink()
    first = read_record(run.path).split.train[0]
    (folder / first).write_bytes(b"")
    check_data(str(folder), workers=0)
    with pytest.raises(UserError, match=f"manifest.json: .* excludes {first} of the run .*--overwrite.*data check"):
        resume(run.path)
    (folder / "reslearn-manifest.json").unlink()
    (folder / first).unlink()
    with pytest.raises(UserError, match=f"{first} .* is gone"):
        resume(run.path)


def test_settings_stand_in_the_record_with_their_source_and_a_resume_keeps_them(
    small_plan, folder, tmp_path, monkeypatch
):
    """By other rates the run would train otherwise; begun under the first ones, it ends with their weights."""

    def rates(fp32, bf16):
        known = Rates(1, {"fp32": fp32, "bf16": bf16}, source="measured here on 2026-01-02")
        monkeypatch.setattr(choice, "known_rates", lambda processor, threads, cores: known.scaled(threads))

    rates(100.0, 200.0)
    run = train(small_plan(folder), out=tmp_path / "run")
    written = (run.path / "run.json").read_text()
    begun = json.loads(written)
    assert begun["settings"]["precision"] == "bf16"
    assert "bf16 does 2.00 times the work of fp32 (measured here on 2026-01-02)" in begun["settings"]["source"]
    assert begun["environment"]["rates"]["source"] == "measured here on 2026-01-02"

    rates(100.0, 50.0)
    other = train(small_plan(folder), out=tmp_path / "other")
    assert read_record(other.path).settings.precision == "fp32"
    sealed = run.model.read_bytes()
    run.model.unlink()
    shutil.rmtree(run.path / "checkpoints")  # from the first step on
    resume(run.path)
    assert (run.path / "run.json").read_text() == written
    assert weights_of(run.path / "model.safetensors") == weights_of_bytes(sealed) != weights_of(other.model)


def test_a_change_by_hand_is_told_in_the_source(small_plan, folder):
    plan = small_plan(folder)
    assert plan.start.settings.source.endswith("; asked for: loader=resident")


def test_a_record_from_before_settings_had_a_source(short_run):
    path = short_run / "run.json"
    old = json.loads(path.read_text())
    del old["settings"]["source"]
    path.write_text(json.dumps(old))
    assert read_record(short_run).settings.source == ""


def weights_of(path):
    return weights_of_bytes(path.read_bytes())


def weights_of_bytes(content):
    return {name: tensor.numpy().tobytes() for name, tensor in safetensors.torch.load(content).items()}
