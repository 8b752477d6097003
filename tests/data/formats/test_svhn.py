"""SVHN's `.mat` files, written here by scipy as the authors' are laid out, and broken ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.io import savemat

from reslearn.data.sources import open_data
from reslearn.spec.errors import UserError


@pytest.fixture
def folder(tmp_path):
    draw = np.random.default_rng(0)
    made = {}
    for name, count in (("train", 12), ("test", 5), ("extra", 7)):
        x = draw.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        y = (np.arange(count) % 10 + 1).astype(np.uint8)[:, None]
        savemat(tmp_path / f"{name}_32x32.mat", {"X": x, "y": y}, do_compression=True)
        made[name] = (x, y)
    return tmp_path, made


def test_pictures_labels_and_splits(folder):
    path, made = folder
    data = open_data(path)
    assert data.classes == tuple("0123456789") and {k: len(v) for k, v in data.splits.items()} == {
        "train": 19,
        "test": 5,
    }
    picture, label = data.read(3)
    assert np.array_equal(picture, made["train"][0][:, :, :, 3]) and label == 4
    assert data.read(9)[1] == 0  # written as 10
    assert np.array_equal(data.read(12)[0], made["extra"][0][:, :, :, 0])
    assert data.ids[19] == "test_32x32.mat:0" and np.array_equal(data.read(19)[0], made["test"][0][:, :, :, 0])


def test_without_the_extra_pictures(folder):
    (folder[0] / "extra_32x32.mat").unlink()
    assert len(open_data(folder[0]).splits["train"]) == 12


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no MATLAB file", "no MATLAB file of SVHN"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8)}, "no MATLAB file of SVHN"),
        ({"X": np.zeros((28, 28, 2), np.uint8), "y": np.ones((2, 1))}, "expected uint8"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.full((2, 1), 11)}, "1..10"),
    ],
)
def test_a_broken_file_is_one_line_with_its_name(folder, content, message):
    path = folder[0] / "test_32x32.mat"
    path.write_bytes(content) if isinstance(content, bytes) else savemat(path, content)
    with pytest.raises(UserError, match=message) as error:
        open_data(folder[0])
    assert "test_32x32.mat" in str(error.value) and "\n" not in str(error.value)
