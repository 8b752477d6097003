"""`features` writes the file that its name says, which others read, and replaces nothing but its own."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from reslearn.bundle.file import load
from reslearn.data.sources import open_data
from reslearn.jobs.features import features_of, features_target
from reslearn.measure.features import pooled_features
from reslearn.spec.errors import UserError

parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install pyarrow")


def test_every_picture_s_features_and_what_it_is(short_run, tmp_path):
    value = features_of(short_run, "digits", tmp_path / "f.parquet")
    table, digits = parquet.read_table(tmp_path / "f.parquet"), open_data("digits")
    assert table.column_names == ["path", "label", "split", "features"]
    assert value.pictures == len(table) == len(digits)
    assert table["path"].to_pylist() == list(digits.ids)
    assert table["label"].to_pylist() == [digits.classes[i] for i in digits.labels]
    loaded = load(short_run)
    found = np.array(table["features"].to_pylist(), np.float32)
    assert found.shape == (len(digits), value.channels)
    np.testing.assert_allclose(found, pooled_features(loaded.net, loaded.normalise, digits), rtol=1e-5, atol=1e-6)
    test = features_of(short_run, "digits", features_target(tmp_path / "f.parquet"), split="test")
    assert test.pictures == table["split"].to_pylist().count("test") > 0


def test_another_file_is_not_replaced(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"mine")
    with pytest.raises(UserError, match="no file of features"):
        features_target(tmp_path / "x.parquet")


def test_the_suffix_says_what_is_written(short_run, tmp_path):
    files = [tmp_path / f"f.{kind}" for kind in ("parquet", "csv", "NPZ")]
    for path in files:
        for _ in range(2):  # the second time over the first
            assert features_of(short_run, "digits", features_target(path), split="test").features == path
    table, arrays = parquet.read_table(files[0]), np.load(files[2], allow_pickle=False)
    with open(files[1], encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    found = np.array(table["features"].to_pylist(), np.float32)
    assert (arrays["features"] == found).all() and arrays["features"].dtype == np.float32
    assert (np.array([row[3:] for row in rows], np.float32) == found).all()
    assert head == ["path", "label", "split", *(f"feature_{i}" for i in range(found.shape[1]))]
    for place, name in enumerate(("path", "label", "split")):
        assert arrays[name].tolist() == [row[place] for row in rows] == table[name].to_pylist()
    assert arrays["reslearn.features"].item() == load(short_run).identity()


@pytest.mark.parametrize("name", ["f.xlsx", "f", "f.json", "f.npy"])
def test_another_suffix_is_refused_before_anything_is_read(tmp_path, name):
    with pytest.raises(UserError, match=r"written to \.parquet, \.csv or \.npz"):
        features_target(tmp_path / name)
    with pytest.raises(UserError, match=r"written to \.parquet, \.csv or \.npz"):
        features_of("nowhere", "digits", tmp_path / name)
