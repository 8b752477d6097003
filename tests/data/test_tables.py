"""CSV, TSV and list files."""

import numpy as np
import pytest

from reslearn.data.identity import groups_of
from reslearn.data.sources import open_data
from reslearn.spec.errors import UserError


@pytest.fixture
def table(folder):
    root = folder({"img": 6})

    def write(text, name="list.csv"):
        (root / name).write_text(text)
        return root / name

    return write


FILES = [f"img/{i:03d}.jpg" for i in range(6)]


def test_csv_with_header_in_any_order_and_extra_columns(table):
    rows = [
        f"{i},{'dog' if i % 2 else 'cat'},g{i // 2},{f},{'test' if i > 3 else 'train'}" for i, f in enumerate(FILES)
    ]
    data = open_data(table("id,Class,patient,filename,Split\n" + "\n".join(rows)))
    assert data.classes == ("cat", "dog") and data.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert {k: v.tolist() for k, v in data.splits.items()} == {"train": [0, 1, 2, 3], "test": [4, 5]}
    assert groups_of(data) == ["g0", "g0", "g1", "g1", "g2", "g2"]
    assert groups_of(open_data(data.path, "test")) == ["g2", "g2"]
    assert data.read(3)[1] == 1


@pytest.mark.parametrize(
    ("name", "separator"), [("a.csv", ","), ("a.tsv", "\t"), ("a.txt", " "), ("a.txt", "\t"), ("a.list", ",")]
)
def test_no_header(table, name, separator):
    data = open_data(table("\n".join(f"{f}{separator}{i % 2}" for i, f in enumerate(FILES)) + "\n\n", name))
    assert data.classes == ("0", "1") and data.labels.tolist() == [0, 1] * 3


def test_integer_labels_keep_their_numeric_order(table):
    data = open_data(table("\n".join(f"{f},{label}" for f, label in zip(FILES, [10, 2, 1, 0, 2, 10], strict=True))))
    assert data.classes == ("0", "1", "2", "10") and data.labels.tolist() == [3, 2, 1, 0, 2, 3]


def test_names_with_spaces_and_quotes(folder):
    root = folder({"my pictures": 2})
    (root / "a.csv").write_text('"my pictures/000.jpg","big cat"\n"my pictures/001.jpg",dog\n')
    (root / "a.txt").write_text("my pictures/000.jpg cat\nmy pictures/001.jpg dog\n")
    assert open_data(root / "a.csv").classes == ("big cat", "dog")
    assert np.array_equal(open_data(root / "a.txt").read(1)[0], open_data(root / "a.csv").read(1)[0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no rows"]),
        ("path,label\n", ["no rows"]),
        ("img/000.jpg\nimg/001.jpg", ["needs a path and a label"]),
        ("img/000.jpg,cat\nimg/999.jpg,dog", ["line 2", "no file", "999.jpg"]),
        ("path,label\nimg/000.jpg,cat\nimg/000.jpg,dog", ["line 3", "already in line 2"]),
        ("img/000.jpg,cat\nimg/001.jpg,cat", ["only one class"]),
        ("img/000.jpg,cat,train\nimg/001.jpg,dog,tset", ["line 2", "unknown split 'tset'", "test"]),
        ("img/000.jpg,cat,train\nimg/001.jpg,dog", ["line 2", "2 column(s)"]),
        ("path,label\nimg/000.jpg,cat\nimg/001.jpg,dog\nimg/002.jpg, ", ["line 4", "no label"]),
        ("path,label\n\nimg/000.jpg,cat\n,\n\nimg/001.jpg,", ["line 6", "no label"]),
        ("path,label,split\n\nimg/000.jpg,cat,train\n\nimg/001.jpg,dog,tset", ["line 5", "unknown split"]),
        ('path,label,note\nimg/000.jpg,cat,"two\nlines"\nimg/999.jpg,dog,', ["line 4", "no file"]),
        ("img/000.jpg,a,train\nimg/001.jpg,b,train\nimg/002.jpg,c,test", ["class 'c' is in test but not in train"]),
    ],
)
def test_what_is_wrong_names_the_line(table, text, words):
    with pytest.raises(UserError) as error:
        open_data(table(text))
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# pictures\n\nimg/000.jpg cat\n# more\nimg/999.jpg dog", ["line 5", "no file"]),
        ("# pictures\nimg/000.jpg,cat\n\nimg/001.jpg,\n", ["line 4", "no label"]),
        ("img/000.jpg cat\nimg/001.jpg\nimg/002.jpg dog", ["line 2", "1 column(s)"]),
    ],
)
def test_lines_of_a_list_are_counted_with_its_blanks_and_comments(table, text, words):
    with pytest.raises(UserError) as error:
        open_data(table(text, "a.txt"))
    assert all(word in str(error.value) for word in words), str(error.value)
