"""Tar shards read in place, against tarfile; compressed ones and Parquet through their pack."""

import io
import json
import os
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from reslearn.data.care.check import check_data
from reslearn.data.formats import files, tar_index
from reslearn.data.formats import packed as packed_source
from reslearn.data.sources import open_data
from reslearn.spec.errors import UserError

from ..conftest import encode, picture


def write_tar(path, members, mode="w", format=tarfile.PAX_FORMAT):
    with tarfile.open(path, mode, format=format) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def shard(first, count, label=lambda i: str(i % 3)):
    members = {}
    for i in range(first, first + count):
        members[f"{i:06d}.jpg"] = encode(picture(i))
        members[f"{i:06d}.cls"] = label(i).encode()
    return members


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_the_index_is_tarfiles(tmp_path, format):
    names = ["a.jpg", "dir/" + "x" * 80 + "/b.jpg", "ünï.jpg"]
    if format != tarfile.USTAR_FORMAT:
        names.append("/".join(["long" * 20] * 4) + "/c.jpg")
    members = {name: bytes([i]) * (i * 700) for i, name in enumerate(names)}
    path = write_tar(tmp_path / "a.tar", members, format=format)
    with tarfile.open(path) as tar:
        expected = [(m.name, m.offset_data, m.size) for m in tar]
    found = [(entry.name, entry.offset, entry.size) for entry in tar_index.entries(str(path)) if entry.kind == b"0"]
    assert found == expected


def test_webdataset_shards_with_splits_in_their_names(tmp_path):
    write_tar(tmp_path / "train-000.tar", shard(0, 6))
    write_tar(tmp_path / "train-001.tar", shard(6, 6, lambda i: json.dumps({"label": i % 3})) | {"x/.hidden": b""})
    write_tar(tmp_path / "test-000.tar", shard(12, 3))
    data = open_data(tmp_path)
    assert data.classes == ("0", "1", "2") and {k: len(v) for k, v in data.splits.items()} == {"test": 3, "train": 12}
    by_id = {name: i for i, name in enumerate(data.ids)}
    image, label = data.read(by_id["train-001.tar/000007.jpg"])
    assert label == 1 and np.array_equal(image, open_data(tmp_path, "train").read(7)[0])
    assert np.abs(image.astype(int) - picture(7)).mean() < 8


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("label", [str, ("café", "dog").__getitem__])
def test_class_lists_and_labels_in_any_characters(tmp_path, charset, label):
    members = {
        n: m.decode().encode(charset) if ".cls" in n else m for n, m in shard(0, 4, lambda i: label(i % 2)).items()
    }
    data = open_data(write_tar(tmp_path / "a.tar", members | {"classes.txt": "café\r\ndog\r\n".encode(charset)}))
    assert data.classes == ("café", "dog") and data.labels.tolist() == [0, 1, 0, 1]


def test_class_lists_that_are_numbers_are_names(tmp_path):
    members = shard(0, 4, lambda i: str(1 + i % 2)) | {"classes.txt": b"2\n1\n"}
    assert open_data(write_tar(tmp_path / "a.tar", members)).labels.tolist() == [1, 0, 1, 0]
    write_tar(tmp_path / "b.tar", {"classes.txt": b"1\n2\n"})
    with pytest.raises(UserError, match="list different classes"):
        open_data(tmp_path)


def test_labels_do_not_depend_on_the_order_of_members(tmp_path):
    members = shard(0, 6) | {f"{i:06d}.json": json.dumps({"width": 32, "class": "x"}).encode() for i in range(3)}
    members |= {f"{i:06d}.json": b'{"caption": "no label"}' for i in range(3, 6)}
    members |= {f"{i:06d}.mask.png": encode(picture(9), "PNG") for i in range(6)}
    first = open_data(write_tar(tmp_path / "a.tar", members))
    other = open_data(write_tar(tmp_path / "b.tar", dict(reversed(list(members.items())))))
    assert first.classes == other.classes == ("0", "1", "2") and len(first) == len(other) == 6
    for data in (first, other):
        assert {name: data.classes[y] for name, y in zip(data.ids, data.labels, strict=True)} == {
            f"{i:06d}.jpg": str(i % 3) for i in range(6)
        }


def test_json_without_a_label_is_none(tmp_path):
    members = {f"{c}/{i}.jpg": encode(picture(i)) for c in "ab" for i in (0, 1)}
    members |= {name.replace(".jpg", ".json"): b'{"w": 3}' for name in members}
    data = open_data(write_tar(tmp_path / "a.tar", members))
    assert data.classes == ("a", "b") and len(data) == 4 and "4 files of another kind than images" in data.notes[0]


def test_labels_without_a_picture_are_counted(tmp_path):
    data = open_data(write_tar(tmp_path / "a.tar", shard(0, 4) | {"9.cls": b"1", "9.txt": b"a caption"}))
    assert len(data) == 4 and "1 label without a picture that is read" in data.notes[0]


def test_class_names_from_a_list_in_the_shard(tmp_path):
    members = shard(0, 4, lambda i: str(i % 2)) | {"classes.txt": b"zebra\nant\n"}
    assert open_data(write_tar(tmp_path / "a.tar", members)).classes == ("zebra", "ant")


@pytest.mark.parametrize("top", ["", "pets/", "./"])
def test_a_tar_of_class_folders(tmp_path, top):
    members = {f"{top}{s}/{c}/{i}.jpg": encode(picture(i)) for s in ("train", "val") for c in "ab" for i in range(2)}
    data = open_data(write_tar(tmp_path / "a.tar", members))
    assert data.classes == ("a", "b") and {k: len(v) for k, v in data.splits.items()} == {"train": 4, "val": 4}
    plain = {f"{top}{c}/{i}.jpg": encode(picture(i)) for c in "ab" for i in range(2)}
    data = open_data(write_tar(tmp_path / "b.tar", plain))
    assert data.splits == {} and data.labels.tolist() == [0, 0, 1, 1]


def test_dots_in_the_names_of_a_tar_of_class_folders(tmp_path):
    members = {f"{c}/IMG.2020.{i:02d}.png": encode(picture(i), "PNG") for c in "ab" for i in range(2)}
    data = open_data(write_tar(tmp_path / "a.tar", members))
    assert list(data.ids) == list(members) and data.labels.tolist() == [0, 0, 1, 1]
    assert np.array_equal(data.read(3)[0], picture(1))


def test_a_picture_that_a_tar_holds_twice(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"a/0.jpg": b"x", "b/0.jpg": b"x"})
    write_tar(path, {"b/0.jpg": b"y"}, "a")
    with pytest.raises(UserError, match=r"a\.tar: b/0\.jpg: it is in the shard twice"):
        open_data(path)


def test_compressed_shards_are_packed_once_after_saying_size_and_time(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", shard(0, 5), "w:gz")
    plain = open_data(write_tar(tmp_path / "a.tar", shard(0, 5)))
    said = []
    first = open_data(path, say=said.append)
    assert len(said) == 1 and "MB" in said[0] and "about" in said[0] and "a.tar.gz" in said[0]
    again = open_data(path, say=said.append)
    assert len(said) == 1 and first.fingerprint() == again.fingerprint() and first.path == str(path)
    assert all(np.array_equal(first.read(i)[0], plain.read(i)[0]) for i in range(5))
    assert first.labels.tolist() == plain.labels.tolist() and list(first.ids) == list(plain.ids)


def test_a_compressed_shard_is_known_by_its_bytes(tmp_path):
    path = write_tar(tmp_path / "a.tar", shard(0, 5), "w:gz")
    assert len(open_data(path, say=lambda _: None)) == 5
    (tmp_path / "b.zip").write_bytes(b"PK\5\6" + bytes(18))
    with pytest.raises(UserError, match=r"b\.zip: a zip archive, which is not read in place; unpack it"):
        open_data(tmp_path / "b.zip")


def test_a_compressed_shard_needs_disk_for_its_contents_twice(tmp_path, monkeypatch):
    """Unpacked and packed at once; flat bitmaps shrink a hundredfold, so the archive's own size says little."""
    members = {f"{c}/{i}.bmp": encode(np.full((64, 64, 3), i, np.uint8), "BMP") for c in "ab" for i in range(8)}
    path = write_tar(tmp_path / "a.tar.gz", members, "w:gz")
    whole, usage = sum(map(len, members.values())), packed_source.shutil.disk_usage(tmp_path)
    assert path.stat().st_size < whole / 50

    def free(count):
        monkeypatch.setattr(packed_source.shutil, "disk_usage", lambda _: usage._replace(free=int(count)))

    said = []
    for count, told in ((1.9 * path.stat().st_size, 0), (1.9 * whole, 1)):
        free(count)
        with pytest.raises(UserError, match=r"packing .*a\.tar\.gz needs at least .* of disk, .* free"):
            open_data(path, say=said.append)
        assert len(said) == told and [p.name for p in tmp_path.iterdir()] == ["a.tar.gz"]
    free(2.5 * whole)
    assert len(open_data(path, say=said.append)) == 16


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"a.cls": b"1"}, ["no pictures"]),
        ({"a.jpg": b"x", "b.jpg": b"x", "b.cls": b"1"}, ["a.jpg has no label"]),
        ({"a.jpg": b"x", "b.jpg": b"x"}, ["without labels"]),
        ({"a.jpg": b"x", "a.json": b"{"}, ["not valid JSON"]),
        ({"a.jpg": b"x", "a.json": b"[" * 200_000}, ["not valid JSON (nested too deep)"]),
        ({"a.jpg": b"x", "a.json": b'{"label": ' + b"9" * 5000 + b"}"}, ["not valid JSON", "5000 digits"]),
        ({"a.jpg": b"x", "a.json": b'{"label": "\\ud800"}'}, ["half of a character", "UTF-8"]),
        ({"a.jpg": b"x", "a.json": b"{}"}, ["no field 'label'"]),
        ({"a.jpg": b"x", "a.cls": b"1"}, ["only one class"]),
        ({"a.jpg": b"x", "a.png": b"x", "a.cls": b"1"}, ["second picture"]),
        ({"a.jpg": b"x", "a.json": b'{"label": [0]}'}, ["label of a.jpg", "[0]", "multi-label"]),
        ({"a.jpg": b"x", "a.json": b"[0, 1]"}, ["[0, 1]", "multi-label"]),
        ({"a.jpg": b"x", "a.json": b'{"labels": {"a": 1}}'}, ["multi-label"]),
        ({"a.jpg": b"x", "a.json": b'{"label": null}'}, ["no label"]),
        ({"a.jpg": b"x", "a.cls": b" "}, ["no label"]),
        ({"a.jpg": b"x", "a.cls": "кошка".encode("cp1251")}, ["neither UTF-8"]),
    ],
)
def test_what_is_wrong_with_a_shard(tmp_path, members, words):
    with pytest.raises(UserError) as error:
        open_data(write_tar(tmp_path / "a.tar", members))
    assert all(word in str(error.value) for word in words) and "a.tar" in str(error.value)


def test_a_truncated_or_damaged_shard_names_itself(tmp_path):
    path = write_tar(tmp_path / "a.tar", shard(0, 5))
    whole = path.read_bytes()
    path.write_bytes(whole[:3000])
    with pytest.raises(UserError, match=r"a\.tar: .*(truncated|damaged)"):
        open_data(path)
    path.write_bytes(whole[:1024] + b"rubbish" * 200 + whole[2424:])
    with pytest.raises(UserError, match=r"a\.tar"):
        open_data(path)


def parquet(path, pictures, labels, names=None, column="image", label="label"):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({column: [{"bytes": p, "path": None} for p in pictures], label: labels})
    if names:
        feature = {label: {"names": names, "_type": "ClassLabel"}, column: {"_type": "Image"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": feature}})})
    pq.write_table(table, path, row_group_size=3)
    return path


def test_parquet_in_the_layout_of_hugging_face(tmp_path):
    pictures = [encode(picture(i), "PNG") for i in range(8)]
    parquet(tmp_path / "train-00000-of-00001.parquet", pictures[:5], [0, 1, 1, 0, 1], ["yes", "no"])
    parquet(tmp_path / "test-00000-of-00001.parquet", pictures[5:], [1, 0, 0], ["yes", "no"])
    said = []
    data = open_data(tmp_path, say=said.append)
    assert len(said) == 1 and data.classes == ("yes", "no")
    assert {k: len(v) for k, v in data.splits.items()} == {"train": 5, "test": 3}
    train, test = open_data(tmp_path, "train"), open_data(tmp_path, "test")
    assert all(np.array_equal(train.read(i)[0], picture(i)) for i in range(5))
    assert np.array_equal(test.read(2)[0], picture(7)) and test.labels.tolist() == [1, 0, 0]


def columns(path, **named):
    """A Parquet file with these columns; bytes become image structs, a tuple keeps bare bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def column(values):
        plain = not isinstance(values, list) or not isinstance(values[0], bytes)
        return list(values) if plain else [{"bytes": value, "path": None} for value in values]

    pq.write_table(pa.table({name: column(values) for name, values in named.items()}), path)
    return path


def test_several_image_columns(tmp_path):
    quiet = {"say": lambda _: None}
    mask, image = [encode(np.zeros((8, 8, 3), np.uint8), "PNG")] * 4, [encode(picture(i), "PNG") for i in range(4)]
    path = columns(tmp_path / "a.parquet", mask=mask, image=image, label=[0, 1] * 2)
    assert np.array_equal(open_data(path, **quiet).read(0)[0], picture(0))
    asked = open_data(f"{path}#image=mask", **quiet)
    assert not asked.read(0)[0].any() and open_data(asked.path).fingerprint() == asked.fingerprint()
    assert np.array_equal(open_data(path, **quiet).read(0)[0], picture(0))  # each has a pack of its own
    bare = columns(tmp_path / "b.parquet", phash=(b"123",) * 4, scan=image, label=[0, 1] * 2)
    assert np.array_equal(open_data(bare, **quiet).read(3)[0], picture(3))
    two = columns(tmp_path / "c.parquet", left=image, right=image, label=[0, 1] * 2)
    with pytest.raises(UserError, match=r"several image columns \(left, right\); choose one: .*c\.parquet#image=left"):
        open_data(two)
    with pytest.raises(UserError, match=r"no image column 'up'; it has left, right"):
        open_data(f"{two}#image=up")
    with pytest.raises(UserError, match="after the # stand columns to read"):
        open_data(f"{two}#left")
    with pytest.raises(UserError, match="it has no columns to choose from"):
        open_data(f"{write_tar(tmp_path / 'a.tar', shard(0, 4))}#label=x")


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"image": [b"x"] * 2, "label": [[0], [0, 1]]}, ["list", "multi-label"]),
        (
            {"image": ["https://x.org/1.png"] * 2, "label": [0, 1]},
            ["needs an image column", "holds text, such as paths or addresses"],
        ),
        ({"image": [b"x"] * 2, "label": [None, 1]}, ["row 0 has no label"]),
        ({"image": [b"x"] * 2, "label": [1, 1]}, ["a classifier needs at least two"]),
    ],
)
def test_what_is_wrong_with_parquet(tmp_path, named, words):
    with pytest.raises(UserError) as error:
        open_data(columns(tmp_path / "a.parquet", **named), say=lambda _: None)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_files_that_disagree_are_not_one_set(tmp_path):
    pictures = [encode(picture(i), "PNG") for i in range(2)]
    parquet(tmp_path / "train-0.parquet", pictures, [0, 1], ["yes", "no"])
    parquet(tmp_path / "test-0.parquet", pictures, [0, 1])  # lists none, and so agrees
    assert open_data(tmp_path, say=lambda _: None).classes == ("yes", "no")
    parquet(tmp_path / "test-0.parquet", pictures, [0, 1], ["no", "yes"])
    with pytest.raises(UserError, match=r"its classes are .*yes, no.* they are not one set"):
        open_data(tmp_path)
    parquet(tmp_path / "test-0.parquet", pictures, [0, 1], column="img")
    with pytest.raises(UserError, match=r"it has image, label where .* has img, label"):
        open_data(tmp_path)


def test_rows_without_a_picture_are_findings(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = [{"bytes": encode(picture(i), "PNG"), "path": None} for i in range(4)]
    images += [{"bytes": None, "path": "https://x.org/1.png"}, None]
    pq.write_table(pa.table({"image": images, "label": [0, 1] * 3}), tmp_path / "a.parquet")
    report, _ = check_data(str(tmp_path / "a.parquet"), write=False)
    assert report.pictures == 6 and [row["id"] for row in report.faults["empty"]] == ["a.parquet:4", "a.parquet:5"]
    assert any("2 rows without a picture: row 4 has the address https://x.org/1.png" in note for note in report.notes)
    pq.write_table(pa.table({"image": images, "label": [0, 1] * 3}).slice(0, 0), tmp_path / "b.parquet")
    with pytest.raises(UserError, match="no rows with a picture"):
        open_data(tmp_path / "b.parquet")


def test_the_root_of_a_cloned_set(tmp_path):
    pictures = [encode(picture(i), "PNG") for i in range(4)]
    (tmp_path / "d/data").mkdir(parents=True)
    for split in ("train", "test"):
        columns(tmp_path / f"d/data/{split}-00000-of-00001.parquet", image=pictures, label=[0, 1] * 2)
    (tmp_path / "d/README.md").write_text("x")
    (tmp_path / "d/.git").mkdir()
    root, inner = open_data(tmp_path / "d", say=lambda _: None), open_data(tmp_path / "d/data", say=pytest.fail)
    assert root.fingerprint() == inner.fingerprint() and root.path == str(tmp_path / "d")
    assert {name: len(members) for name, members in root.splits.items()} == {"test": 4, "train": 4}
    for split in ("train", "test"):  # as the hub converts sets: CONFIG/SPLIT/0000.parquet
        (tmp_path / f"e/plain/{split}").mkdir(parents=True)
        columns(tmp_path / f"e/plain/{split}/0000.parquet", image=pictures, label=[0, 1] * 2)
    assert list(open_data(tmp_path / "e", say=lambda _: None).splits) == ["test", "train"]
    (tmp_path / "e/other").mkdir()
    columns(tmp_path / "e/other/0000.parquet", image=pictures, label=[0, 1] * 2)
    with pytest.raises(UserError, match=r"several sets in it \(other, plain\); give the folder of one"):
        open_data(tmp_path / "e")
    (tmp_path / "d/assets").mkdir()
    (tmp_path / "d/assets/cover.png").write_bytes(pictures[0])
    with pytest.raises(UserError, match="the class folder 'data' holds no pictures"):
        open_data(tmp_path / "d")
    (tmp_path / "d/.gitattributes").write_text("*.parquet filter=lfs")  # as every repository of a hub has
    assert "not read: " in open_data(tmp_path / "d", say=pytest.fail).notes[0]
    (tmp_path / "f").mkdir()
    (tmp_path / "f/a.parquet").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(UserError, match=r"a Git LFS pointer, not the file itself; run `git lfs pull`"):
        open_data(tmp_path / "f")


def test_a_split_without_labels_is_left_out_aloud(tmp_path):
    pictures = [encode(picture(i), "PNG") for i in range(4)]
    columns(tmp_path / "train-0.parquet", image=pictures, label=[0, 1] * 2)
    columns(tmp_path / "test-0.parquet", image=pictures, label=[-1] * 4)
    data = open_data(tmp_path, say=lambda _: None)
    assert list(data.splits) == ["train"] and len(data) == 4 and data.classes == ("0", "1")
    assert data.notes == (f"{tmp_path}: test has no labels, so it is not read",)
    assert open_data(tmp_path, say=pytest.fail).notes == data.notes  # a pack that is there says so too
    pair = columns(tmp_path / "pair.parquet", image=pictures, label=[-1, 1] * 2)
    assert open_data(pair, say=lambda _: None).classes == ("-1", "1")


def test_parquet_has_the_splits_and_groups_that_a_table_would_have(tmp_path):
    image, who = [{"bytes": encode(picture(i)), "path": None} for i in range(4)], ["a", "a", "b", None]

    def opened(name, **more):
        return open_data(columns(tmp_path / name, image=image, label=["x", "y"] * 2, **more), say=lambda _: None)

    data = opened("a.parquet", split=["Train", "train", "validation", "test"], patient=who)
    assert {k: v.tolist() for k, v in data.splits.items()} == {"test": [3], "train": [0, 1], "val": [2]}
    assert list(data.table.groups) == ["a", "a", "b", ""] and not data.notes
    odd = opened("b.parquet", split=["train", "train", "fold-2", None], patient=[7, 7, 8, 9])
    assert not odd.splits and list(odd.table.groups) == ["7", "7", "8", "9"]
    assert "the column 'split' holds 'fold-2', which is no split, so it is not read" in odd.notes[0]
    named = opened("train-0.parquet", split=["train", "train", "train", "test"])
    assert list(named.splits) == ["train"] and "in 1 row the column 'split' differs" in named.notes[0]
    assert not opened("c.parquet", split=[1, 2, 3, 4]).splits  # numbers are folds, if anything


def test_parquet_without_an_image_column_says_what_it_has(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["a"], "label": [0]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"needs an image column .* it has text, label"):
        open_data(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(UserError, match=r"b\.parquet: not a readable Parquet file"):
        open_data(tmp_path / "b.parquet")


def test_threads_that_open_a_file_at_once_close_none_under_another(tmp_path, monkeypatch):
    both, opens, pread = threading.Barrier(2, timeout=10), files.open_regular, os.pread

    def opened(path):
        both.wait()  # neither has put its own in the place yet
        return opens(path)

    def slow(handle, size, offset):
        time.sleep(0.05)
        return pread(handle, size, offset)

    data = open_data(write_tar(tmp_path / "a.tar", shard(0, 2)))
    wanted = [data.raw(i) for i in range(2)]
    data.reader._handles.clear()
    monkeypatch.setattr(files, "open_regular", opened)
    monkeypatch.setattr(files.os, "pread", slow)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(data.raw, range(2))) == wanted
