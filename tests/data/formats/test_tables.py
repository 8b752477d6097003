"""CSV, TSV and list files."""

import numpy as np
import pytest

from reslearn.data.care.check import check_data
from reslearn.data.sources import open_data
from reslearn.spec.errors import UserError


@pytest.fixture
def table(folder):
    root = folder({"img": 6})

    def write(text, name="list.csv", charset="utf-8"):
        (root / name).write_bytes(text.encode(charset))
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
    assert list(data.table.groups) == ["g0", "g0", "g1", "g1", "g2", "g2"]
    assert list(open_data(data.path, "test").table.groups) == ["g2", "g2"]
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
        ("img/000.jpg,cat,train\nimg/001.jpg,dog", ["line 2", "2 columns"]),
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
        ("img/000.jpg cat\nimg/001.jpg\nimg/002.jpg dog", ["line 2", "1 column where"]),
    ],
)
def test_lines_of_a_list_are_counted_with_its_blanks_and_comments(table, text, words):
    with pytest.raises(UserError) as error:
        open_data(table(text, "a.txt"))
    assert all(word in str(error.value) for word in words), str(error.value)


HEADERS = ["file_name,label", "image,label", "image_id,label", "image_name,label", "img,label", "path,y", "path,labels"]
HEADERS += ["path,class", "id,species", ",filename,breed", "Unnamed: 0,image_path,disease"]


@pytest.mark.parametrize("header", HEADERS)
def test_headers_that_other_programs_write(table, header):
    front = "7," * (header.count(",") - 1)
    rows = "".join(f"{front}{f},{'dog' if i % 2 else 'cat'}\n" for i, f in enumerate(FILES))
    data = open_data(table(f"{header}\n{rows}"))
    assert data.classes == ("cat", "dog") and data.labels.tolist() == [0, 1] * 3


@pytest.mark.parametrize(
    ("header", "note"),
    [
        ("path,label", []),
        ("path,y", []),
        ("path,species", ["the label is the column 'species', the only one left"]),
        ("path,label,class", ["the label is the column 'label', and not class"]),
    ],
)
def test_a_choice_of_the_label_is_said(table, header, note):
    rows = "".join(f"{f},{i % 2}" + ",x" * (header.count(",") - 1) + "\n" for i, f in enumerate(FILES))
    data = open_data(table(f"{header}\n{rows}"))
    assert data.classes == ("0", "1") and [n.split(": ", 1)[1] for n in data.notes] == note


def test_names_that_look_alike_are_remarked_on(table):
    data = open_data(
        table("".join(f"{f},{c}\n" for f, c in zip(FILES, ["Cat", "cat", "cat\u200b", "dog"], strict=False)))
    )
    assert len(data.classes) == 4 and "look alike: 'Cat' and 'cat' and 'cat\\u200b'" in data.notes[0]


@pytest.mark.parametrize("text", ["path,label\r{}", "sep=;\npath;label\n{}", "sep=\t\npath\tlabel\n{}"])
def test_line_ends_and_separators_of_other_programs(table, text):
    separator, end = (text[4] if "sep=" in text else ","), "\r" if "\r" in text else "\n"
    rows = end.join(f"{f}{separator}{'ab'[i % 2]}" for i, f in enumerate(FILES))
    assert open_data(table(text.format(rows))).labels.tolist() == [0, 1] * 3


def test_a_workbook_is_no_table(table):
    path = table("")
    path.write_bytes(b"PK\3\4\x14\0\0\0")
    with pytest.raises(UserError, match=r"not a text file \(zip, Excel or gzip\)"):
        open_data(path)


def test_one_hot_columns_are_labels(table):
    rows = "".join(f"{f},{float(i % 2)},{float(1 - i % 2)},0.0,41\n" for i, f in enumerate(FILES))
    data = open_data(table("image,MEL,NV,BCC,age\n" + rows))
    assert data.classes == ("MEL", "NV") and data.labels.tolist() == [1, 0] * 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,cat,dog\nimg/000.jpg,1,1\nimg/001.jpg,0,1", ["line 2", "2 labels (cat, dog)", "multi-label"]),
        ("image,cat,dog\nimg/000.jpg,1,0\nimg/001.jpg,0,0", ["line 3", "no label"]),
        ("image,age,sex\nimg/000.jpg,41,f\nimg/001.jpg,3,m", ["line 1", "age, sex", "list.csv#label=NAME"]),
        ("photos;species\nimg/000.jpg;cat\nimg/001.jpg;dog", ["photos, species", "#path=NAME&label=NAME"]),
        ("path,label\nimg/000.jpg,[0]\nimg/001.jpg,[1]", ["line 2", "[0]", "multi-label"]),
        ("path,label\nimg/000.jpg,\"['a', 'b']\"\nimg/001.jpg,c", ["line 2", "multi-label"]),
        ("path,label\nimg/000.jpg,a\nhttps://x.org/1.jpg,b", ["line 3", "https://x.org/1.jpg is an address"]),
        ("path,label\nimg/000.jpg,a\nimg,b", ["line 3", "img is a folder"]),
        ("path,label,label\nimg/000.jpg,a,b", ["line 1", "two columns are called 'label'"]),
        ('path,label\nimg/000.jpg,"a\nimg/001.jpg,b\n', ["line 3", "line break", "quote"]),
        ("id,photo_file,label\n7,img/000.jpg,a\n8,img/001.jpg,b", ["line 2", "no file", "the column is 'id'"]),
        ("path,label\nimg/000.jpg,a\n./img/000.jpg,b", ["line 3", "already in line 2"]),
        ("path,label\nimg/000.jpg,a\nimg//000.jpg,a", ["line 3", "already in line 2"]),
    ],
)
def test_what_cannot_be_meant_is_named_with_what_was_found(table, text, words):
    with pytest.raises(UserError) as error:
        open_data(table(text))
    assert all(word in str(error.value) for word in words) and "\n" not in str(error.value), str(error.value)


def test_one_file_under_two_names_in_two_splits(table):
    path = table("path,label,split\nimg/000.jpg,cat,train\nimg/001.jpg,dog,train\nimg/link.jpg,cat,test\n")
    (path.parent / "img/link.jpg").symlink_to("000.jpg")
    with pytest.raises(UserError, match=r"line 4: img/link\.jpg is the file of line 2, img/000\.jpg, .* another split"):
        open_data(path)
    again = table("path,label,split\nimg/000.jpg,cat,train\nimg/001.jpg,dog,train\nimg/link.jpg,cat,train\n")
    assert len(open_data(again)) == 3  # as any other duplicate: `data check` finds it


def test_columns_may_be_asked_for_by_name(table):
    rows = "".join(f"{f},x{i % 2},{i},{'ab'[i % 2]}\n" for i, f in enumerate(FILES))
    path = table("photos,label,age,species\n" + rows)
    data = open_data(f"{path}#path=photos&label=species")
    assert data.classes == ("a", "b") and open_data(data.path).fingerprint() == data.fingerprint()
    for asked, words in (("label=sex", "no column 'sex'; line 1 has photos, label, age"), ("x=y", "and not 'x'$")):
        with pytest.raises(UserError, match=words):
            open_data(f"{path}#{asked}")


CHARSETS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"]


@pytest.mark.parametrize("charset", CHARSETS)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_tables_in_the_characters_of_other_systems(table, charset, separator):
    rows = [f"{f}{separator}{'café' if i % 2 else 'größe'}" for i, f in enumerate(FILES)]
    data = open_data(table("\r\n".join([f"path{separator}label", *rows]), charset=charset))
    assert data.classes == ("café", "größe") and data.labels.tolist() == [1, 0] * 3
    assert bool(data.notes) == (charset in ("latin-1", "cp1252"))


def test_korean_names_and_what_no_one_can_know(table):
    rows = "\n".join(f"{f},{'고양이' if i % 2 else '강아지'}" for i, f in enumerate(FILES))
    data = open_data(table(rows, charset="cp949"))
    assert data.classes == ("강아지", "고양이") and "Korean CP949" in data.notes[0]
    with pytest.raises(UserError, match="neither UTF-8, UTF-16 nor surely Latin-1"):
        open_data(table(rows.replace("고양이", "кошка").replace("강아지", "собака"), charset="cp1251"))


def test_files_that_another_system_named(folder):
    root = folder({"img": 3})
    (root / "img/001.jpg").rename(root / "img/Photo.JPG")
    (root / "t.csv").write_text("image_id,label\nimg\\000,a\nimg\\photo.jpg,b\nimg/002,a\n")
    data = open_data(root / "t.csv")
    assert list(data.ids) == ["img/000.jpg", "img/Photo.JPG", "img/002.jpg"] and data.read(1)[1] == 1
    (root / "img/000.png").write_bytes(b"x")
    with pytest.raises(UserError, match=r"line 2: .*000 may be 000\.jpg or 000\.png; name the file whole"):
        open_data(root / "t.csv")


def test_a_list_of_mxnet_has_the_label_first(table):
    rows = "".join(f"{i}\t{float(i % 2):.6f}\t{f}\n" for i, f in enumerate(FILES))
    assert open_data(table(rows, "a.lst")).labels.tolist() == [0, 1] * 3
    with pytest.raises(UserError, match=r"2 labels in each line; .*multi-label"):
        open_data(table("0\t1.0\t2.0\timg/000.jpg\n", "b.lst"))


def test_missing_files_are_findings_of_the_check_and_then_left_out(table):
    path = table("path,label\nimg/000.jpg,a\nimg/404.jpg,a\nimg/001.jpg,b\n")
    with pytest.raises(UserError, match=r"line 3: no file .*404\.jpg"):
        open_data(path)
    report, _ = check_data(str(path))
    assert report.pictures == 3 and report.classes == {"a": {"all": 2}, "b": {"all": 1}}
    assert [row["id"] for row in report.faults["undecodable"]] == ["img/404.jpg"]
    assert len(open_data(path)) == 2


def test_an_address_as_data_is_named_as_one():
    with pytest.raises(UserError, match=r"memory://x/d\.csv: nothing is there"):
        open_data("memory://x/d.csv")


def test_numbers_written_in_two_ways_have_one_order_and_are_remarked_on(table):
    def labelled(*labels):
        return open_data(table("".join(f"{f},{label}\n" for f, label in zip(FILES, labels, strict=False))))

    data = labelled("1", "2", "01", "001")
    assert data.classes == ("001", "01", "1", "2") and "look alike: '001' and '01' and '1'" in data.notes[0]
    assert "look alike: '1' and '1.0'" in labelled("1.0", "1", "10.0").notes[0]


def test_labels_that_are_pictures_and_cells_that_are_missing_are_refused(table):
    for text, words in (
        ("0,img/000.jpg\n1,img/001.jpg\n", "the label img/000.jpg is the name of a picture; the path comes first"),
        ("path,label\nimg/000.jpg,a\n,b\n", "line 3: no path; name the picture"),
        ("path,label,split\nimg/000.jpg,a,train\nimg/001.jpg,b,\n", "line 3: no split, and others have one"),
    ):
        with pytest.raises(UserError, match=words):
            open_data(table(text))


def test_names_that_may_be_no_classes_are_remarked_on(table):
    def notes(*labels, head="path,label", more=""):
        rows = "".join(f"{f},{label}{more}\n" for f, label in zip(FILES, labels, strict=False))
        return " ".join(open_data(table(f"{head}\n{rows}")).notes)

    assert "nan may be a missing label" in notes("cat", "nan", "dog")
    assert "cat|dog may be several labels" in notes("cat", "cat|dog", "dog") and not notes("cat|x", "dog")
    assert "decimal numbers, each a class of its own, in lexical order (0.0, 10.0, 2.0)" in notes("0.0", "2.0", "10.0")
    assert "is_test not read" in notes("a", "b", head="path,label,is_test", more=",1")


def test_percent_signs_are_decoded_where_the_file_is_not_called_so(folder):
    root = folder({"my pictures": 2})
    (root / "a.csv").write_text("my%20pictures/000.jpg,a\nmy%20pictures/001.jpg,b\n")
    assert open_data(root / "a.csv").ids[0] == "my pictures/000.jpg"
