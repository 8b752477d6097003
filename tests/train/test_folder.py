"""Where a run may begin."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reslearn.spec.errors import UserError
from reslearn.train.folder import clear, refuse_existing


def test_a_place_in_which_nothing_can_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    refuse_existing(tmp_path / "new" / "run", overwrite=False)
    with pytest.raises(UserError, match=r"file/run: .*file is a file; name another place with --out"):
        refuse_existing(tmp_path / "file" / "run", overwrite=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="needs a user who is not root")
def test_a_place_that_belongs_to_another():
    with pytest.raises(UserError, match="nothing may be written in /; name another place with --out"):
        refuse_existing(Path("/reslearn-runs/a"), overwrite=False)


@pytest.mark.parametrize(
    ("names", "may"),
    [
        ([], True),
        (["lock"], True),
        (["lock", "pictures.safetensors", "mean_image.safetensors"], True),
        (["lock", ".run.json.0123.reslearn.tmp"], True),
        ([".run.json.0123.reslearn.tmp"], True),
        (["pictures.safetensors"], False),
        (["lock", "notes.txt"], False),
        (["notes.txt"], False),
    ],
)
def test_what_a_killed_beginning_leaves_is_in_nobody_s_way(names, may, tmp_path):
    for name in names:
        (tmp_path / name).write_text("")
    if may:
        refuse_existing(tmp_path, overwrite=False)
    else:
        with pytest.raises(UserError, match="not empty and no run; name a new folder"):
            refuse_existing(tmp_path, overwrite=False)


def test_a_run_that_is_there_is_replaced_only_when_that_is_said(tmp_path):
    (tmp_path / "run.json").write_text('{"spec": 1, "recipe": 2, "split": 3}')
    with pytest.raises(UserError, match=r"holds a run already; go on with `reslearn resume .*--overwrite"):
        refuse_existing(tmp_path, overwrite=False)
    refuse_existing(tmp_path, overwrite=True)
    with pytest.raises(UserError, match=r"run\.json: a file; name a new folder"):
        refuse_existing(tmp_path / "run.json", overwrite=True)


def test_of_a_run_that_is_replaced_nothing_old_can_pass_for_new(tmp_path, monkeypatch):
    """The sealed file goes first, then what could go on; what somebody else has put there stays."""
    ours = ["metrics.jsonl", "report.html", "ledger.jsonl", "mean_image.safetensors", "pictures.safetensors"]
    steps = ["checkpoints/step-1.safetensors", "checkpoints/best-1.safetensors"]
    theirs = ["notes.txt", "checkpoints/notes.txt", "run.json", "lock"]
    (tmp_path / "checkpoints").mkdir()
    for name in ["model.safetensors", *ours, *steps, *theirs]:
        (tmp_path / name).write_text("")
    gone, unlink = [], Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda self, **how: (gone.append(self), unlink(self, **how)))
    clear(tmp_path)
    gone = [str(path.relative_to(tmp_path)) for path in gone]
    assert gone[0] == "model.safetensors" and set(gone[1:3]) == set(steps) and set(gone[3:]) == set(ours)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(theirs)
    clear(tmp_path)  # nothing is there to be removed
