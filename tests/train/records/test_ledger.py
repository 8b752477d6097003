"""The ledger keeps every whole line, whatever happened to another one."""

from __future__ import annotations

import json
import os

import pytest

from reslearn.train.records import ledger
from reslearn.train.records.ledger import FILE_NAME, read_ledger

SCORES = {
    "fingerprint": "f", "protocol": "1-crop", "precision": "fp32", "images": 3, "top1": 1.0,
    "top1_interval": [0.4, 1.0], "top5": None, "loss": 0.1,
}  # fmt: skip


def enter(folder, split="test", data=None):
    ledger.enter(folder, split=split, data=data, **SCORES)


@pytest.mark.parametrize("cut", [1, 3, 25])
def test_a_line_cut_short_costs_no_other(tmp_path, capsys, cut):
    enter(tmp_path, split="test", data="première")
    enter(tmp_path, split="val", data="é")
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:-cut])
    whole = ["test", "val"] if cut == 1 else ["test"]  # without its newline an entry is still all there
    assert [e["split"] for e in read_ledger(tmp_path)] == whole
    enter(tmp_path, split="after")
    capsys.readouterr()
    assert [e["split"] for e in read_ledger(tmp_path)] == [*whole, "after"]
    warned = capsys.readouterr().err
    assert (f"{path}, line 2: cut short" in warned) == (cut > 1) and warned.count("\n") == (cut > 1)


def test_a_line_cut_inside_a_character(tmp_path, capsys):
    enter(tmp_path, split="test")
    with open(tmp_path / FILE_NAME, "ab") as file:
        file.write(b'{"data": "\xc3')
    assert [e["split"] for e in read_ledger(tmp_path)] == ["test"]
    assert "line 2: cut short" in capsys.readouterr().err


def test_odd_paths_come_back(tmp_path):
    names = [os.fsdecode(b"caf\xe9"), "a\u2028b", "a\nb"]
    for name in names:
        enter(tmp_path, data=name)
    assert [e["data"] for e in read_ledger(tmp_path)] == names
    assert read_ledger(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    "line", [b"5", b"[]", b"{}", b"null", b"[" * 9999, b"1" * 5000, b"\xff", b'{"split": "test"}', b"\x00\x00"]
)
def test_a_damaged_line_costs_no_other(tmp_path, capsys, line):
    enter(tmp_path)
    with open(tmp_path / FILE_NAME, "ab") as file:
        file.write(line + b"\n")
    enter(tmp_path, split="val")
    assert [e["split"] for e in read_ledger(tmp_path)] == ["test", "val"]
    assert "line 2" in capsys.readouterr().err


@pytest.mark.parametrize("digest", [{}, {"model_digest": "d"}, {"model_digest": 3}])
def test_a_line_says_which_model_was_scored_and_one_of_before_does_not(tmp_path, digest, capsys):
    ledger.enter(tmp_path, split="test", data=None, **SCORES, **digest)
    lines = read_ledger(tmp_path)
    assert [line.get("model_digest") for line in lines] == (
        [] if 3 in digest.values() else [digest.get("model_digest")]
    )
    assert bool(capsys.readouterr().err) != bool(lines)


@pytest.mark.parametrize("name", [*SCORES, "split", "data", "time"])
@pytest.mark.parametrize("value", [[], {}, "x", True, -1, 1e999])
def test_a_value_that_nobody_could_read_is_damage(tmp_path, capsys, name, value):
    right = {"data": "x", "split": "x", "fingerprint": "x", "protocol": "x", "precision": "x", "time": "x"}
    enter(tmp_path)
    entry = json.loads((tmp_path / FILE_NAME).read_text()) | {name: value}
    (tmp_path / FILE_NAME).write_text(json.dumps(entry) + "\n")
    fine = value == right.get(name, -1 if name in ("images", "loss", "top5") else None)
    assert bool(read_ledger(tmp_path)) == fine
    assert bool(capsys.readouterr().err) != fine
