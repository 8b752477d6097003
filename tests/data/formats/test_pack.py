"""Packs: the same pictures as their source, whole or absent, gone on with after a stop."""

import hashlib
import pickle

import numpy as np
import pytest

from reslearn.data.care.check import check_data
from reslearn.data.care.splitting import split_data
from reslearn.data.formats import packing
from reslearn.data.formats.pack import Packed
from reslearn.data.formats.pack_index import PackOptions
from reslearn.data.formats.packing import write_pack
from reslearn.data.memory import ArrayDataset
from reslearn.data.parts.keys import identities
from reslearn.data.sources import open_data
from reslearn.spec.errors import UserError


@pytest.fixture
def source(folder):
    return open_data(folder({"train/a": 5, "train/b": 4, "test/a": 2}, size=(40, 60)))


@pytest.mark.parametrize(
    "options", [PackOptions(), PackOptions("raw"), PackOptions("raw", 20), PackOptions("jpeg", 20)], ids=str
)
def test_a_pack_is_its_source(source, tmp_path, options):
    target = tmp_path / "all.pack"
    write_pack(source, target, options)
    pack = open_data(target)
    assert pack.classes == source.classes and list(pack.ids) == list(source.ids)
    assert pack.labels.tolist() == source.labels.tolist()
    assert {k: v.tolist() for k, v in pack.splits.items()} == {k: v.tolist() for k, v in source.splits.items()}
    for i in (0, 10, 4):
        image, label = pack.read(i)
        assert label == source.labels[i]
        assert image.shape == ((40, 60, 3) if options.shorter_side is None else (20, 30, 3))
        if options.shorter_side is None:
            assert np.array_equal(image, source.read(i)[0])
    kind, names = identities(pack)
    assert kind == "content" and names[3] == hashlib.sha256(source.raw(3)).hexdigest()
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["all.pack"]


def test_smaller_pictures_are_not_enlarged_and_bare_pixels_can_be_packed(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    data = ArrayDataset(images, np.arange(6) % 2, classes=["a", "b"], ids=[f"i{i}" for i in range(6)])
    pack = write_pack(data, tmp_path / "a.pack", PackOptions("raw", 16))
    assert all(np.array_equal(pack.read(i)[0], images[i]) for i in range(6))
    with pytest.raises(UserError, match="encoding raw"):
        write_pack(data, tmp_path / "b.pack")
    with pytest.raises(UserError, match="cannot be resized"):
        write_pack(data, tmp_path / "c.pack", PackOptions("original", 16))
    assert not (tmp_path / "b.pack").exists() and not (tmp_path / "c.pack").exists()


def test_a_stopped_pack_goes_on_where_it_was(source, tmp_path, monkeypatch):
    target = tmp_path / "a.pack"
    whole = write_pack(source, tmp_path / "reference.pack", PackOptions("raw"))
    monkeypatch.setattr(packing, "_JOURNAL_EVERY", 2)

    def stop(done, total):
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pack(source, target, PackOptions("raw"), progress=stop, threads=1)
    assert not target.exists() and (tmp_path / "a.pack.part").exists()
    with open(tmp_path / "a.pack.part", "ab") as file:
        file.write(b"half a picture")
    told = []
    pack = write_pack(source, target, PackOptions("raw"), progress=lambda d, t: told.append(d), threads=1)
    assert told[0] > 1 and told[-1] == 11
    assert (tmp_path / "reference.pack").read_bytes() == target.read_bytes()
    assert pack.fingerprint() == whole.fingerprint()
    assert not list(tmp_path.glob("a.pack.*"))


def test_a_part_of_another_job_is_not_gone_on_with(source, tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pack(source, tmp_path / "a.pack", PackOptions("raw"), progress=stop)
    pack = write_pack(source, tmp_path / "a.pack", PackOptions("raw", 16))
    assert pack.read(0)[0].shape == (16, 24, 3)


def test_a_part_is_not_gone_on_with_under_another_manifest(folder, tmp_path):
    root = folder({"a": 6, "b": 5}, size=(40, 60))
    target, whole = tmp_path / "a.pack", open_data(root)

    def stop(done, total):
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pack(whole, target, PackOptions("raw"), progress=stop, threads=1)
    size = (root / "a" / "001.jpg").stat().st_size
    (root / "a" / "001.jpg").write_bytes(b"\xff\xd8" + bytes(size - 2))  # broken, and the fingerprint is the same
    check_data(str(root))
    split_data(str(root), ratio="6:4")
    data = open_data(root)
    pack = write_pack(data, target, PackOptions("raw"), threads=1)
    assert list(pack.ids) == list(data.ids) and pack.labels.tolist() == data.labels.tolist()
    assert {k: v.tolist() for k, v in pack.splits.items()} == {k: v.tolist() for k, v in data.splits.items()}
    assert all(np.array_equal(pack.read(i)[0], data.read(i)[0]) for i in range(len(data)))


def test_an_unreadable_picture_stops_a_resizing_pack_with_its_name(folder, tmp_path):
    root = folder({"a": 2, "b": 2})
    (root / "a" / "001.jpg").write_bytes(b"\xff\xd8 broken")
    with pytest.raises(UserError, match=r"a/001\.jpg"):
        write_pack(open_data(root), tmp_path / "a.pack", PackOptions("raw"))
    assert not (tmp_path / "a.pack").exists()
    pack = write_pack(open_data(root), tmp_path / "b.pack")  # original bytes are copied as they are
    with pytest.raises(UserError, match=r"b\.pack: a/001\.jpg: not an image|b\.pack: a/001\.jpg: damaged"):
        pack.read(1)


def test_a_damaged_pack_says_so(source, tmp_path):
    target = tmp_path / "a.pack"
    write_pack(source, target)
    whole = target.read_bytes()
    for cut in (40, len(whole) // 2, len(whole) - 1):
        target.write_bytes(whole[:cut])
        with pytest.raises(UserError, match=r"a\.pack: a damaged pack"):
            open_data(target)
    target.write_bytes(whole[:8] + (99).to_bytes(8, "little") + whole[16:])
    with pytest.raises(UserError, match="format 99"):
        open_data(target)


def test_a_pack_can_be_sent_to_another_process(source, tmp_path):
    pack = write_pack(source, tmp_path / "a.pack", PackOptions("raw"))
    other = pickle.loads(pickle.dumps(pack))
    assert isinstance(other.reader, Packed) and np.array_equal(other.read(3)[0], pack.read(3)[0])
    assert len(pickle.dumps(pack)) < 20_000  # the map itself does not travel


def test_two_processes_cannot_write_one_pack(source, tmp_path):
    from reslearn.runtime.files import exclusive_lock

    with (
        exclusive_lock(tmp_path / "a.pack.lock"),
        pytest.raises(UserError, match="another process is writing this pack"),
    ):
        write_pack(source, tmp_path / "a.pack")
