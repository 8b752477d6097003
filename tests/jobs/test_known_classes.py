"""Data with a class more than a model knows: the others are scored, and what was left out is counted."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from reslearn.bundle.file import load
from reslearn.data.sources import open_data
from reslearn.jobs.known_classes import only_known
from reslearn.jobs.subject import Subject
from reslearn.spec.errors import UserError


def test_pictures_of_strangers_are_left_out_and_counted(run, flat, tmp_path):
    bundle = load(run).bundle
    shutil.copytree(flat, tmp_path / "more")
    shutil.copytree(flat / "a", tmp_path / "more" / "A stranger")
    data = open_data(tmp_path / "more")
    assert data.classes == ("A stranger", "a", "b")
    fewer, left_out = only_known(Subject(data, "all", own=False), bundle)
    assert left_out == 10 and fewer.pictures.classes == ("a", "b") and fewer.split == "all"
    assert [name[0] for name in fewer.pictures.ids] == ["a"] * 10 + ["b"] * 10
    assert np.array_equal(fewer.pictures.labels, [0] * 10 + [1] * 10)
    whole = Subject(open_data(flat), "all", own=False)
    assert only_known(whole, bundle) == (whole, 0)
    with pytest.raises(UserError, match="no class names"):
        only_known(whole, replace(bundle, classes=None))
    with pytest.raises(UserError, match="knows none"):
        only_known(whole, replace(bundle, classes=("x", "y")))
