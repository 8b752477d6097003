"""Keys of pictures: by bytes and by pixels, the same wherever a picture lies, and never of what a file was before."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile

import numpy as np
import pytest
from PIL import Image as Pillow

from reslearn.data.care.splitting import split_data
from reslearn.data.formats.pack_index import PackOptions
from reslearn.data.formats.packing import write_pack
from reslearn.data.parts import key_table
from reslearn.data.parts.key_table import KeyTable
from reslearn.data.parts.keyed import Keyed, file_keys
from reslearn.data.parts.keys import FILE, ORIGINAL, PIXELS, key_of
from reslearn.data.sources import open_data
from reslearn.data.table import Pictures
from reslearn.spec.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A cache of this test's own, and files that count as settled from the first moment."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(key_table, "_FRESH", 0)


@pytest.fixture
def folder(tmp_path):
    draw = np.random.default_rng(0)
    for name in ("a/0.bmp", "a/1.png", "b/0.jpg", "b/1.bmp"):
        path = tmp_path / "d" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(draw.integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(path)
    return tmp_path / "d"


def rows_of(data) -> np.ndarray:
    keyed = Keyed(data)
    for i in range(len(data)):
        keyed.read(i)
    return np.array(keyed.rows)


def test_keys_are_what_hashlib_says(folder):
    data = open_data(folder)
    rows = rows_of(data)
    for i, name in enumerate(data.ids):
        raw, pixels = (folder / name).read_bytes(), np.asarray(Pillow.open(folder / name).convert("RGB"))
        assert rows[i, FILE].tobytes() == hashlib.sha256(raw).digest()[:16]
        assert rows[i, PIXELS].tobytes() == hashlib.sha256(b"(9, 12, 3)" + pixels.tobytes()).digest()[:16]
    assert np.array_equal(file_keys(data), rows[:, FILE])


def test_a_lossless_copy_has_the_pixel_key_and_another_file_key(folder):
    before = rows_of(open_data(folder))
    Pillow.open(folder / "a/0.bmp").save(folder / "a/0.png")
    os.remove(folder / "a/0.bmp")
    after = rows_of(open_data(folder))
    assert np.array_equal(after[0, PIXELS], before[0, PIXELS])
    assert not np.array_equal(after[0, FILE], before[0, FILE])


def test_every_source_of_the_same_files_has_the_same_keys(folder, tmp_path):
    data = open_data(folder)
    rows = rows_of(data)
    with tarfile.open(tmp_path / "d.tar", "w") as tar:
        for name in data.ids:
            tar.add(folder / name, name)
    table = "".join(f"d/{name},{name[0]}\n" for name in data.ids)
    (tmp_path / "d.csv").write_text("path,label\n" + table)
    for other in (tmp_path / "d.tar", tmp_path / "d.csv"):
        assert np.array_equal(rows_of(open_data(other)), rows)
        assert np.array_equal(file_keys(open_data(other)), rows[:, FILE])


@pytest.mark.parametrize("options", [PackOptions("raw", 6), PackOptions("jpeg")])
def test_a_pack_of_another_encoding_knows_the_originals(folder, tmp_path, options):
    rows = rows_of(open_data(folder))
    once = write_pack(open_data(folder), tmp_path / "once.pack", options)
    again = write_pack(once, tmp_path / "again.pack", PackOptions("raw", 3))
    for pack in (once, again):
        packed = rows_of(pack)
        assert np.array_equal(packed[:, FILE], rows[:, FILE])
        assert np.array_equal(packed[:, ORIGINAL], rows[:, PIXELS])
        assert [key.tobytes() for key in packed[:, PIXELS]] == [key_of(pack.read(i)[0]) for i in range(4)]


def test_what_was_read_before_is_not_read_again_until_it_changes(folder, monkeypatch):
    first = file_keys(open_data(folder))
    reads = []
    raw = Pictures.raw
    monkeypatch.setattr(Pictures, "raw", lambda self, i: reads.append(i) or raw(self, i))
    assert np.array_equal(file_keys(open_data(folder)), first) and not reads
    path = folder / "a/0.bmp"
    before = os.stat(path)
    Pillow.fromarray(np.full((9, 12, 3), 7, np.uint8)).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # same size, same time, same inode
    assert os.stat(path).st_size == before.st_size
    again = file_keys(open_data(folder))
    assert reads == [0]
    assert again[0].tobytes() == hashlib.sha256(path.read_bytes()).digest()[:16]


def test_a_damaged_table_is_made_anew(folder, tmp_path_factory):
    first = file_keys(open_data(folder))
    table = KeyTable(str(folder))._file
    content = bytearray(table.read_bytes())
    for at in range(0, len(content), 7):
        changed = bytearray(content)
        changed[at] ^= 1
        table.write_bytes(changed)
        assert np.array_equal(file_keys(open_data(folder)), first)
    table.write_bytes(content[:-5])
    assert np.array_equal(file_keys(open_data(folder)), first)


def test_a_table_of_another_decoder_gives_no_keys(folder, monkeypatch):
    file_keys(open_data(folder))
    monkeypatch.setattr(key_table, "DECODER", 2)
    keyed = Keyed(open_data(folder))
    keyed.recall()
    assert not keyed.rows.any()


def test_a_manifest_is_believed_only_of_files_that_have_not_changed_since(folder, monkeypatch):
    split_data(str(folder), ratio="1:1")
    data = open_data(folder)
    reads = []
    raw = Pictures.raw
    monkeypatch.setattr(Pictures, "raw", lambda self, i: reads.append(i) or raw(self, i))
    told = file_keys(data)
    assert not reads
    Pillow.fromarray(np.full((9, 12, 3), 7, np.uint8)).save(folder / "a/0.bmp")
    changed = file_keys(open_data(folder))
    assert len(reads) == 1 and not np.array_equal(changed[0], told[0]) and np.array_equal(changed[1:], told[1:])
    split_data(str(folder), ratio="1:1")  # nor does a later split carry the old hash on
    assert open_data(folder).table.hashes[0] == hashlib.sha256((folder / "a/0.bmp").read_bytes()).hexdigest()


def test_an_unreadable_file_stops_or_has_no_key(folder):
    data = open_data(folder)
    shutil.move(folder / "b/1.bmp", folder.parent / "gone")
    with pytest.raises(UserError, match=r"b/1\.bmp"):
        file_keys(data)
    found = file_keys(data, on_bad_file="skip")
    assert found[:3].any(axis=1).all() and not found[3].any()
