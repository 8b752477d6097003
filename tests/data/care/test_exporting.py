"""Shards and exports: what other programs read in them is what the set says, and a killed command goes on."""

from __future__ import annotations

import json
import tarfile

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_digits

from reslearn.cli.app import main
from reslearn.data.care import shard_writing
from reslearn.data.care.exporting import export_data
from reslearn.data.care.shard_writing import planned, write_shards
from reslearn.data.formats.pack_index import PackOptions
from reslearn.data.sources import open_data
from reslearn.spec.errors import UserError


@pytest.fixture
def pictures(tmp_path):
    """Ten pictures of two classes, of which one has a number for its name, as JPEG and PNG."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("test", 1)):
        for name in ("10", "9 lives"):
            folder = tmp_path / "pics" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                picture = rng.integers(0, 255, (9, 7, 3), dtype=np.uint8)
                cv2.imwrite(str(folder / f"a.{i}.{'png' if i % 2 else 'jpg'}"), picture)
    return open_data(str(tmp_path / "pics"))


def contents(data):
    """What a set says, whatever its pictures are called."""
    split = {int(i): name for name, rows in data.splits.items() for i in rows}
    return sorted((split[i], data.classes[data.labels[i]], data.raw(i)) for i in range(len(data)))


@pytest.mark.parametrize("to", ["folder", "tar", "parquet"])
def test_an_export_holds_the_same_bytes_under_the_same_classes_and_splits(pictures, tmp_path, to):
    if to == "parquet":
        pytest.importorskip("pyarrow", reason="needs pyarrow: pip install pyarrow")
    done = export_data(pictures, tmp_path / "out", to)
    again = open_data(str(tmp_path / "out"))
    assert contents(again) == contents(pictures) and again.classes == pictures.classes
    assert done.pictures == 10 and not [path for path in tmp_path.iterdir() if "exporting" in path.name]
    with pytest.raises(UserError, match="is there"):
        export_data(pictures, tmp_path / "out", "folder")


def test_tarfile_finds_webdataset_samples_in_an_export(pictures, tmp_path):
    write_shards(pictures, tmp_path / "out", 3)
    found = []
    for path in sorted((tmp_path / "out").glob("*.tar")):
        with tarfile.open(path) as tar:
            members = {member.name: tar.extractfile(member).read() for member in tar}
        assert members.pop("classes.txt").decode().split("\n")[:-1] == list(pictures.classes)
        for name, data in members.items():
            if not name.endswith(".cls"):
                found.append((path.name.split("-")[0], members[f"{name.rsplit('.', 1)[0]}.cls"].decode(), data))
    assert sorted(found) == contents(pictures)


def test_pyarrow_finds_pictures_and_class_names_in_an_export(pictures, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install pyarrow")
    export_data(pictures, tmp_path / "out", "parquet", shards=2)
    tables = [parquet.read_table(path) for path in sorted((tmp_path / "out" / "data").glob("train-*.parquet"))]
    told = json.loads(tables[0].schema.metadata[b"huggingface"])["info"]["features"]["label"]["names"]
    rows = [row for table in tables for row in table.to_pylist()]
    assert told == list(pictures.classes) and len(rows) == 8
    assert {(told[row["label"]], row["image"]["bytes"]) for row in rows} == {
        (name, raw) for split, name, raw in contents(pictures) if split == "train"
    }


def test_bare_pixels_become_png(tmp_path):
    export_data(open_data("digits"), tmp_path / "out", "folder")
    again, images = open_data(str(tmp_path / "out")), load_digits().images
    found = sorted(again.read(i)[0][..., 0].tobytes() for i in range(len(again)))
    digits = open_data("digits")
    assert len(images) == len(again) and found == sorted(
        digits.read(i)[0][..., 0].tobytes() for i in range(len(digits))
    )


def test_every_shard_is_like_the_whole_and_each_picture_is_in_one():
    data = open_data("digits")
    shards = planned(data, 10)
    assert sorted(int(row) for shard in shards for row in shard.rows) == list(range(len(data)))
    assert all(len(np.unique(data.labels[shard.rows])) == 10 for shard in shards)
    with pytest.raises(UserError, match="--shards is 0"):
        planned(data, 0)


def test_shards_that_are_whole_are_kept_when_it_goes_on(pictures, tmp_path, monkeypatch):
    whole = write_shards(pictures, tmp_path / "whole", 3)
    write, count = shard_writing._write, [0]

    def killed(*words):
        count[0] += 1
        if count[0] == 2:
            raise KeyboardInterrupt
        write(*words)

    monkeypatch.setattr(shard_writing, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        write_shards(pictures, tmp_path / "out", 3)
    written = write_shards(pictures, tmp_path / "out", 3)
    assert count[0] == 4  # the first was not written again
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in whole]
    with pytest.raises(UserError, match="encoding"):
        write_shards(pictures, tmp_path / "raw", 3, PackOptions("raw"))


def test_the_commands_say_what_they_wrote_and_what_is_wrong(pictures, tmp_path, capsys):
    path = pictures.path
    assert main(["data", "pack", path, "--shards", "2", "-o", str(tmp_path / "s"), "--json"]) == 0
    told = json.loads(capsys.readouterr()[0])
    assert told["pictures"] == 10 and told["encoding"] == "original" and len(told["shards"]) == 2
    assert main(["data", "export", path, "--to", "tar", "-o", str(tmp_path / "t"), "--json"]) == 0
    assert json.loads(capsys.readouterr()[0])["to"] == "tar"
    for arguments, said in (
        (["data", "export", path, "--to", "zip", "-o", "x"], "zip"),
        (["data", "export", path, "--to", "folder", "--shards", "2", "-o", str(tmp_path / "y")], "--shards is for"),
        (["data", "pack", path, "--shards", "99", "-o", str(tmp_path / "z")], "--shards is 99"),
        (["data", "pack", path, "--shards", "2", "-o", path], "none of these shards"),
    ):
        assert main(arguments) == 2
        assert said in capsys.readouterr()[1].strip().splitlines()[-1]


@pytest.mark.parametrize("label", ["..", ".", ".hidden", "a/b", "../../x", "n" * 300])
def test_a_class_that_no_folder_can_be_called_is_not_exported_beside_the_folder(pictures, tmp_path, label):
    (tmp_path / "t.csv").write_text(f"path,label\npics/train/10/a.0.jpg,{label}\npics/train/10/a.1.png,cat\n")
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match="cannot be the name of a folder; export it --to tar or parquet"):
        export_data(open_data(str(tmp_path / "t.csv")), tmp_path / "in" / "out", "folder")
    assert not list((tmp_path / "in").iterdir())
