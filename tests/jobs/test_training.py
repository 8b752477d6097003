"""`train` as one call: what `run.json` says of how the split was chosen."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from reslearn.data.checking import check_data
from reslearn.jobs.training import resume, train
from reslearn.spec.errors import UserError
from reslearn.train.record import read_record
from reslearn.train.setup import reopen


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
    parts = reopen(run.path, read_record(run.path))
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
