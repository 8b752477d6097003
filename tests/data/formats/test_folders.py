"""Folders of class folders: what is found, in what order, and every way in which a folder can be wrong."""

import os

import numpy as np
import pytest

from reslearn.data.formats.folders import open_folder
from reslearn.data.sources import open_data
from reslearn.spec.errors import UserError

from ..conftest import encode, picture


def test_classes_are_lexical_and_pictures_sorted(folder):
    data = open_data(folder({"zebra": 2, "ant": 3, "Bee": 1}))
    assert data.classes == ("Bee", "ant", "zebra")
    assert list(data.ids) == [
        "Bee/000.jpg",
        "ant/000.jpg",
        "ant/001.jpg",
        "ant/002.jpg",
        "zebra/000.jpg",
        "zebra/001.jpg",
    ]
    assert data.labels.tolist() == [0, 1, 1, 1, 2, 2] and data.splits == {}
    image, label = data.read(5)
    assert image.shape == (24, 32, 3) and image.dtype == np.uint8 and label == 2


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_splits_by_any_of_their_names(folder, val):
    data = open_data(folder({"train/a": 3, "train/b": 2, f"{val}/a": 1, f"{val}/b": 1, "test/a": 2}))
    assert {name: len(indices) for name, indices in data.splits.items()} == {"train": 5, "val": 2, "test": 2}
    assert sorted(np.concatenate(list(data.splits.values())).tolist()) == list(range(9))
    test = open_data(data.path, "test")
    assert list(test.ids) == ["test/a/000.jpg", "test/a/001.jpg"] and test.classes == ("a", "b")
    assert test.read(0)[1] == 0


def test_a_folder_with_test_alone_is_legal(folder):
    data = open_data(folder({"test/a": 1, "test/b": 1}))
    assert list(data.splits) == ["test"]


def test_a_class_may_start_with_an_underscore(folder):
    """As torchvision's ImageFolder has it; what is hidden or clutter is still left out."""
    root = folder({"_background": 2, "cat": 1, ".cache": 1})
    (root / "__MACOSX" / "cat").mkdir(parents=True)
    (root / "__MACOSX" / "cat" / "._000.jpg").write_bytes(b"x")
    data = open_data(root)
    assert data.classes == ("_background", "cat") and data.labels.tolist() == [0, 0, 1]


def test_a_class_called_train_is_a_class(folder):
    data = open_data(folder({"train": 2, "car": 2}))
    assert data.classes == ("car", "train") and data.splits == {}


def test_nested_folders_hidden_files_and_extensionless_pictures(folder):
    root = folder({"a/deep/er": 2, "b": 1})
    (root / "a" / ".DS_Store").write_bytes(b"x")
    (root / "b" / "Thumbs.db").write_bytes(b"x")
    (root / ".git").mkdir()
    (root / "b" / "IMG_1").write_bytes(encode(picture(9)))
    (root / "README.txt").write_text("files beside the class folders are nobody's picture")
    data = open_data(root)
    assert list(data.ids) == ["a/deep/er/000.jpg", "a/deep/er/001.jpg", "b/000.jpg", "b/IMG_1"]


def test_numeric_folders_are_noted(folder):
    assert any("lexical" in note for note in open_data(folder({str(i): 1 for i in range(11)})).notes)
    assert not open_data(folder({str(i): 1 for i in range(10)}, name="few")).notes


def test_fingerprint_changes_with_names_labels_and_sizes(folder):
    def print_of(layout, name):
        return open_data(folder(layout, name=name)).fingerprint()

    base = print_of({"a": 2, "b": 2}, "one")
    assert base == print_of({"a": 2, "b": 2}, "two")  # where it lies does not matter
    assert base != print_of({"a": 2, "c": 2}, "three")
    root = folder({"a": 2, "b": 2}, name="four")
    with open(root / "a" / "000.jpg", "ab") as file:
        file.write(b"\0")
    assert open_data(root).fingerprint() != base


def wrong(folder, tmp_path):
    """name -> (path, words that the error must hold)."""
    empty = tmp_path / "empty"
    empty.mkdir()
    one = folder({"train/only": 2}, name="one")
    strange = folder({"train/a": 1, "train/b": 1, "test/a": 1, "test/zebra": 1}, name="strange")
    text = folder({"a": 1, "b": 1}, name="text")
    (text / "a" / "notes.txt").write_text("hello")
    hollow = folder({"a": 1, "b": 1}, name="hollow")
    (hollow / "c").mkdir()
    flat = folder({"": 3}, name="flat")
    twice = folder({"train/a": 1, "train/b": 1, "val/a": 1, "valid/a": 1}, name="twice")
    return {
        "missing": (tmp_path / "emty", ["emty", "no such", "did you mean", "empty"]),
        "empty": (empty, ["empty", "no pictures"]),
        "one class": (one, ["only one class", "'only'"]),
        "class only in test": (strange, ["zebra", "not in train"]),
        "no image": (text, ["a/notes.txt", "not an image", "--on-bad-file skip"]),
        "class without pictures": (hollow, ["'c'", "no pictures"]),
        "pictures without class": (flat, ["no pictures found", "one folder of pictures per class"]),
        "val twice": (twice, ["val and valid", "same split"]),
    }


@pytest.mark.parametrize(
    "case",
    [
        "missing",
        "empty",
        "one class",
        "class only in test",
        "no image",
        "class without pictures",
        "pictures without class",
        "val twice",
    ],
)
def test_each_wrong_folder_is_one_line_that_names_thing_and_remedy(folder, tmp_path, case):
    path, words = wrong(folder, tmp_path)[case]
    with pytest.raises(UserError) as error:
        open_data(path)
    message = str(error.value)
    assert all(word in message for word in words), message
    assert "\n" not in message and str(path) in message


def test_skip_notes_what_is_no_image(folder, tmp_path):
    data = open_data(wrong(folder, tmp_path)["no image"][0], on_bad_file="skip")
    assert len(data) == 2 and any("notes.txt" in note for note in data.notes)


def test_an_unknown_split_lists_the_declared_ones(folder):
    with pytest.raises(UserError, match="unknown split 'tset'; did you mean test"):
        open_data(folder({"train/a": 1, "train/b": 1, "test/a": 1}), "tset")
    with pytest.raises(UserError, match="declares no splits"):
        open_data(folder({"a": 1, "b": 1}, name="plain"), "test")


def test_an_unreadable_file_names_itself(folder):
    root = folder({"a": 2, "b": 1})
    file = root / "a" / "001.jpg"
    file.write_bytes(file.read_bytes()[:200])
    data = open_data(root)
    with pytest.raises(UserError, match=r"a/001\.jpg: damaged or truncated"):
        data.read(1)


@pytest.mark.skipif(os.geteuid() == 0, reason="needs a user who is not root, for whom a folder can be closed")
def test_a_folder_that_may_not_be_read(folder):
    root = folder({"a": 1, "b": 1})
    root.chmod(0)
    try:
        with pytest.raises(UserError, match="permission"):
            open_data(root)
    finally:
        root.chmod(0o755)


def test_relative_and_absolute_paths_give_the_same_data(folder, monkeypatch):
    root = folder({"a": 2, "b": 2})
    monkeypatch.chdir(root.parent)
    data = open_folder("data")
    assert data.path == str(root) and data.fingerprint() == open_folder(str(root)).fingerprint()
