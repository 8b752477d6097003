"""`features` writes a Parquet file that pandas and others read, and replaces nothing but its own."""

from __future__ import annotations

import numpy as np
import pytest

from reslearn.bundle.file import load
from reslearn.data.sources import open_data
from reslearn.jobs.features import features_target, write_features
from reslearn.measure.features import pooled_features
from reslearn.spec.errors import UserError

parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install pyarrow")


def test_every_picture_s_features_and_what_it_is(short_run, tmp_path):
    value = write_features(short_run, "digits", tmp_path / "f.parquet")
    table, digits = parquet.read_table(tmp_path / "f.parquet"), open_data("digits")
    assert table.column_names == ["path", "label", "split", "features"]
    assert value.pictures == len(table) == len(digits)
    assert table["path"].to_pylist() == list(digits.ids)
    assert table["label"].to_pylist() == [digits.classes[i] for i in digits.labels]
    loaded = load(short_run)
    found = np.array(table["features"].to_pylist(), np.float32)
    assert found.shape == (len(digits), value.channels)
    np.testing.assert_allclose(found, pooled_features(loaded.net, loaded.normalise, digits), rtol=1e-5, atol=1e-6)
    test = write_features(short_run, "digits", features_target(tmp_path / "f.parquet"), split="test")
    assert test.pictures == table["split"].to_pylist().count("test") > 0


def test_another_file_is_not_replaced(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"mine")
    with pytest.raises(UserError, match="no file of features"):
        features_target(tmp_path / "x.parquet")
