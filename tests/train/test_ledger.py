"""The ledger keeps every whole line, whatever happened to another one."""

from __future__ import annotations

import os

import pytest

from reslearn.train.ledger import FILE_NAME, enter, read_ledger


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
