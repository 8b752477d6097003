"""The calls of `reslearn` for data: what the `data` commands do, also of what no path names."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import reslearn


@pytest.fixture
def arrays():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 9, 3), np.uint8), ["b", "a", "b", "a", "b", "a"]


def held(data):
    """The class and the pixels of every picture, whatever its name."""
    return sorted((int(data.labels[i]), data.read(i)[0].tobytes()) for i in range(len(data)))


def test_what_is_packed_and_exported_is_what_was_there(folder, tmp_path):
    data = reslearn.open_data(folder)
    packed = reslearn.pack(folder, tmp_path / "p.pack")
    shards = reslearn.pack(folder, tmp_path / "shards", shards=2)
    files = reslearn.export_data(folder, "parquet", tmp_path / "parquet", shards=1)
    assert packed.pictures == shards.pictures == files.pictures == len(data) and len(shards.shards) == 2
    assert "shards" not in packed.to_json() and packed.to_json()["bytes"] == (tmp_path / "p.pack").stat().st_size
    for path in ("p.pack", "shards", "parquet"):
        again = reslearn.open_data(tmp_path / path)
        assert again.classes == data.classes and len(again) == len(data)
        assert held(again) == held(data)


def test_arrays_are_data_as_well(arrays, tmp_path):
    images, _ = arrays
    assert reslearn.stats(arrays).classes == {"a": {"all": 3}, "b": {"all": 3}}
    assert reslearn.stats(arrays).mean == pytest.approx(images.reshape(-1, 3).mean(0) / 255, abs=1e-6)
    assert reslearn.pack(arrays, tmp_path / "p.pack").encoding == "raw"
    again = reslearn.open_data(tmp_path / "p.pack")
    assert all(np.array_equal(again.read(i)[0], images[i]) for i in range(6))
    with pytest.raises(reslearn.UserError, match=r"the data: its pictures are no encoded files; .* encoding raw"):
        reslearn.pack(arrays, tmp_path / "q.pack", encoding="original")
    assert not (tmp_path / "q.pack").exists()


def test_a_sheet_is_written_by_the_recipe_that_is_given(folder, tmp_path):
    done = reslearn.preview(
        folder, tmp_path / "s.png", recipe=reslearn.recipe("folder"), image_size=16, rows=2, columns=3
    )
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.format == "PNG" and sheet.width > 3 * 16
    assert done.sheet.image_size == 16 and len(done.sheet.pictures) == 2 and done.choice.recipe is None
    with pytest.raises(reslearn.UserError, match=r"out is .*s\.jpg: the sheet is a PNG file; name it s\.png"):
        reslearn.preview(folder, tmp_path / "s.jpg")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda data, out: reslearn.export_data(data, "zip", out), "to is 'zip'; valid: 'folder', 'tar', 'parquet'"),
        (lambda data, out: reslearn.export_data(data, "folder", out, shards=2), "shards is for to='tar' and parquet"),
        (lambda data, out: reslearn.pack(data, out, resize=0), "resize is 0; it must be at least 1 pixel"),
        (lambda data, out: reslearn.pack(data, out, encoding="gif"), "encoding is 'gif'; valid"),
        (lambda data, out: reslearn.pack(data, out, shards=0), "shards is 0; it must be at least 1"),
        (lambda data, out: reslearn.stats(data, image_size=0), "image_size is 0; it must be at least 1"),
    ],
)
def test_a_wrong_option_is_one_line_and_nothing_is_written(folder, tmp_path, call, said):
    with pytest.raises(reslearn.UserError) as told:
        call(folder, tmp_path / "out")
    assert said in str(told.value) and "\n" not in str(told.value) and not (tmp_path / "out").exists()
