"""The journal: durable when it says so, cut where a checkpoint says, and damaged where no run could have written it."""

from __future__ import annotations

import json
import os

import pytest

from reslearn.spec.errors import UserError
from reslearn.train.records import ledger
from reslearn.train.records.journal import Journal, last_line, read_journal

LINES = {
    "step": {"kind": "step", "step": 3, "loss": 1.5, "lr": 0.1},
    "epoch": {
        "kind": "epoch", "epoch": 1.0, "step": 3, "train_loss": 1.0, "train_error": 50.0, "val_loss": 1.0,
        "val_error": 50.0, "images_per_second": 9.0, "seconds": 2.0,
    },
    "gradients": {"kind": "gradients", "step": 3, "norms": {"conv1": 0.5}},
    "end": {"kind": "end", "best_epoch": 1.0, "seconds": 2.0, "images_per_second": 9.0},
}  # fmt: skip
FIELDS = [(kind, name) for kind, line in LINES.items() for name in line if name != "kind"]
ANY = {"loss", "train_loss", "train_error", "val_loss", "val_error"}  # what a diverged run may have written


def write(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def reads(path):
    try:
        return len(read_journal(path)) == 1
    except UserError as error:
        assert "line 1: damaged" in str(error) and "\n" not in str(error)
        return False


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_a_value_that_no_run_writes_is_damage(kind, name, tmp_path):
    path, line = tmp_path / "metrics.jsonl", LINES[kind]
    assert reads(write(path, line))
    assert not reads(write(path, {key: value for key, value in line.items() if key != name}))
    number = name != "norms"
    may = {"[]": False, "{}": not number, '"x"': False, "true": False, "0": number, "7": number, "0.5": number}
    may |= {"-1": name in ANY, "1e999": name in ANY, "null": name in {"val_loss", "val_error", "best_epoch"}}
    for text, fine in may.items():
        path.write_text(json.dumps(line | {name: "@"}).replace('"@"', text) + "\n")
        assert reads(path) == fine, text


@pytest.mark.parametrize("norms", [{"a": "x"}, {"a": None}, {"a": [1]}])
def test_a_gradient_s_norm_is_a_number(norms, tmp_path):
    assert not reads(write(tmp_path / "m", LINES["gradients"] | {"norms": norms}))


@pytest.mark.parametrize("text", ["5", "[]", "null", '{"kind": "other"}', '{"step": 1}', "{", "[" * 5000])
def test_a_line_that_is_none(text, tmp_path):
    (tmp_path / "m").write_text(text + "\n")
    with pytest.raises(UserError, match="line 1: "):
        read_journal(tmp_path / "m")


def test_what_was_not_finished_is_left_out(tmp_path):
    path = write(tmp_path / "m", LINES["step"], LINES["end"])
    path.write_bytes(path.read_bytes() + b'{"kind": "st')
    assert read_journal(path) == [LINES["step"], LINES["end"]] and last_line(path) == LINES["end"]
    assert last_line(write(path, LINES["step"])) is None
    assert read_journal(tmp_path / "nowhere") == []


def test_it_is_cut_where_a_checkpoint_says(tmp_path):
    path = tmp_path / "m"
    with Journal(path, 0) as journal:
        journal.write(**LINES["step"])
        kept = journal.flush()
        journal.write(**LINES["end"])
    assert kept == len(json.dumps(LINES["step"])) + 1
    with Journal(path, kept) as journal:
        assert journal.flush() == kept
        journal.write(**LINES["epoch"])
    assert read_journal(path) == [LINES["step"], LINES["epoch"]]
    with Journal(path, 10**6) as journal:  # shorter than the checkpoint knows it: nothing is made up
        assert journal.flush() == path.stat().st_size < 10**6


def test_another_process_writes_nothing(tmp_path):
    with Journal(tmp_path / "m", 0, writes=False) as journal:
        journal.write(**LINES["step"])
        assert journal.flush() == 0
    assert not (tmp_path / "m").exists()


def entered(path):
    ledger.enter(path.parent, split="test")


def flushed(path):
    with Journal(path, 0) as journal:
        journal.write(**LINES["step"])
        journal.flush()


@pytest.mark.parametrize(("name", "write_line"), [("metrics.jsonl", flushed), ("ledger.jsonl", entered)])
def test_a_line_is_on_the_disk_when_it_is_said_to_be(name, write_line, tmp_path, monkeypatch):
    """A machine that loses its power keeps what was synced, and no more."""
    synced, sync = [], os.fsync
    path = tmp_path / name

    def note(handle):
        synced.append(path.read_bytes())
        sync(handle)

    monkeypatch.setattr(os, "fsync", note)
    write_line(path)
    assert synced == [path.read_bytes()] and synced[0].endswith(b"}\n")
