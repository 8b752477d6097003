"""What sealed files and checkpoints keep of their run: files of today must be known tomorrow."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from reslearn.train.records.belonging import run_id, split_digest
from reslearn.train.records.run import Split

from .test_columns import record_of


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_digest_of_a_split_is_spelled_like_this():
    expected = sha256("a\0b\0\0c\0\0")
    assert split_digest(("a", "b"), ("c",)) == expected[:32]
    assert len({split_digest(*parts) for parts in ((("a", "b"), ("c",)), (("a",), ("b", "c")), (("ab",), ("c",)))}) == 3


def test_the_number_of_a_run_is_spelled_like_this(tiny_spec, tiny_recipe):
    record = replace(record_of(tiny_spec, tiny_recipe, ["a", "b", "c"], [0, 1, 0]), created="today", seed=7)
    expected = sha256(f"today 7 {split_digest(('b', 'c'), ('a',))}")[:16]
    assert run_id(record) == expected
    moved = replace(record, split=Split(("x", "y"), ("z",), 0), moved=({"from": "there", "run": expected},))
    assert run_id(moved) == expected, "its pictures have other names where the data is now"
    assert run_id(replace(moved, moved=({"from": "there"},))) != expected
