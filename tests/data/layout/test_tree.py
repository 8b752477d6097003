"""One tree with every trap, as folder, tar, table and Parquet: the same set, or a difference that a line names."""

import io
import tarfile
import unicodedata

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL.PngImagePlugin import PngInfo

from reslearn.data.care.check import check, check_data
from reslearn.data.layout.listing import split_of
from reslearn.data.parts.splits import choose_splits
from reslearn.data.sources import open_data
from reslearn.spec.errors import UserError

from ..conftest import encode, picture

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
PICTURES = [encode(picture(i, (12, 16)), "PNG") for i in range(8)]
OURS = PngInfo()
OURS.add_text("Software", "reslearn")
RUN = b'{\n "spec": {\n  "name": "resnet20_cifar"\n }\n}\n'


def write_tree(root, files):
    """Files (bytes), folders (None) and links (text) below `root`."""
    for name, data in files.items():
        place = root / name
        (place if data is None else place.parent).mkdir(parents=True, exist_ok=True)
        if isinstance(data, str):
            place.symlink_to(data)
        elif data is not None:
            place.write_bytes(data)
    return root


def write_tar(path, files, top="", mode="w"):
    """The same as a tar, in the order of `files`, parent folders left out."""
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(top + name)
            if data is None or isinstance(data, str):
                info.type, info.linkname = (tarfile.DIRTYPE, "") if data is None else (tarfile.SYMTYPE, data)
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


def contents(data):
    """(split, class, content) of every picture, sorted: what a set is, whatever its source."""
    where = {int(i): name for name, members in data.splits.items() for i in members}
    return sorted(
        (where.get(i, ""), data.classes[int(data.labels[i])], data.read(i)[0].tobytes()) for i in range(len(data))
    )


def pets(*more, n=2):
    """A small sound tree, and more files."""
    files = {f"{c}/{i}.png": PICTURES[k * n + i] for k, c in enumerate(("cat", "dog")) for i in range(n)}
    for extra in more:
        files |= extra
    return files


CLUTTER = {"cat/Thumbs.db": b"x", "dog/.DS_Store": b"x", "dog/desktop.ini": b"x"} | dict.fromkeys(
    (
        *(".ipynb_checkpoints/0-checkpoint.png", ".Trash-1000/files/0.png", "__MACOSX/cat/0.png"),
        *("cat/.ipynb_checkpoints/0-checkpoint.png", "cat/@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg", "cat/._0.png"),
        *("cat/.0.png", "$RECYCLE.BIN/0.png"),
    ),
    PICTURES[7],
)


def every_source(tmp_path, files):
    """The tree as a folder, a tar, a tar with a folder on top in another order, and a compressed tar."""
    backwards = dict(reversed(list(files.items())))
    yield write_tree(tmp_path / "d", files)
    yield write_tar(tmp_path / "d.tar", files)
    yield write_tar(tmp_path / "top.tar", backwards, "./pets/")
    yield write_tar(tmp_path / "d.tar.gz", files, mode="w:gz")


def test_clutter_is_nobodys_picture_in_any_source(tmp_path):
    want = contents(open_data(write_tree(tmp_path / "plain", pets())))
    for source in every_source(tmp_path, pets(CLUTTER)):
        data = open_data(source, say=lambda _: None)
        assert contents(data) == want, source
        assert [note for note in data.notes if "the set is the folder pets in it" not in note] == [], source


def rows(files, label=lambda name: name.split("/")[0]):
    return [(name, label(name)) for name, data in files.items() if isinstance(data, bytes)]


def write_parquet(folder, rows):
    """(bytes, path, class, split) in one file per split, named as Hugging Face does; the classes as text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir()
    for split in {row[3] for row in rows}:
        images, labels = zip(*[({"bytes": r[0], "path": r[1]}, r[2]) for r in rows if r[3] == split], strict=True)
        table = pa.table({"image": images, "label": labels})
        pq.write_table(table, folder / f"{split or 'data'}-00000-of-00001.parquet", row_group_size=2)
    return folder


def test_a_table_and_parquet_leave_the_same_rows_out_aloud(tmp_path):
    files = {name: data for name, data in pets(CLUTTER).items() if not name.startswith(("__", ".", "$"))}
    root = write_tree(tmp_path / "d", files)
    want = contents(open_data(write_tree(tmp_path / "plain", pets())))
    (tmp_path / "d.csv").write_text("path,label\n" + "".join(f"d/{name},{c}\n" for name, c in rows(files)))
    parquet = write_parquet(tmp_path / "parquet", [(files[name], name, c, "") for name, c in rows(files)])
    for source in (tmp_path / "d.csv", parquet):
        data = open_data(source, say=lambda _: None)
        assert contents(data) == want and len(data.notes) == 1
        assert f"{len(files) - len(pets())} rows" in data.notes[0] and "hidden or system files" in data.notes[0]
    assert contents(open_data(root)) == want


def test_a_set_may_lie_in_a_hidden_folder_that_its_table_names(tmp_path):
    write_tree(tmp_path, {f".data/{name}": data for name, data in pets().items()})
    (tmp_path / "t.csv").write_text("".join(f".data/{name},{c}\n" for name, c in rows(pets())))
    data = open_data(tmp_path / "t.csv")
    assert len(data) == 4 and not data.notes


WRITTEN = {
    "runs/a/run.json": RUN,
    "runs/a/report.html": b"<html>",
    "runs/a/checkpoints/step-1.safetensors": b"x",
    "runs/a/pictures/0.png": PICTURES[6],
    "cv/crossval.json": RUN,
    "cv/fold-1/run.json": RUN,
    "packs/d.pack": b"RSLNPACK" + bytes(60),
    "pages/check.html": b"<!doctype html>\n<html><head><title>Data check: d</title></head></html>",
    "splits/m.json": b'{\n "data": "..",\n "classes": [',
    "sealed/model.safetensors": b"x",
    "begun/lock": b"",
    "sheets/preview.png": encode(picture(6, (12, 16)), "PNG", pnginfo=OURS),
    "figures/loss.png": encode(picture(6, (12, 16)), "PNG", pnginfo=OURS),
    "figures/loss.svg": b"<?xml version='1.0'?>" + 630 * b" " + b"<dc:title>reslearn</dc:title>",
    "cat/d.pack": b"RSLNPACK" + bytes(60),
}


def test_what_this_package_writes_into_the_data_is_no_class(tmp_path):
    want = contents(open_data(write_tree(tmp_path / "plain", pets())))
    for source in every_source(tmp_path, pets(WRITTEN, {"cat/old/run.json": RUN, "cat/old/0.png": PICTURES[6]})):
        data = open_data(source, say=lambda _: None)
        assert contents(data) == want, source
    data = open_data(tmp_path / "d")
    assert len(data.notes) == 1 and all(name.split("/")[0] in data.notes[0] for name in ("begun", "cv", "figures"))
    parted = {f"{part}/{n}": d for part in ("train", "val") for n, d in pets(WRITTEN).items()}
    for source in every_source(tmp_path / "parted", parted):
        split = open_data(source, say=lambda _: None)
        assert split.classes == ("cat", "dog") and len(split) == 8, source
    with pytest.raises(UserError, match="the folder of a run, not pictures"):
        open_data(tmp_path / "d/runs/a")
    (tmp_path / "d/figures/todo.txt").write_text("figures are no pictures of a class, whatever is beside them")
    with pytest.raises(UserError, match=r"the class folder 'figures' holds no pictures"):
        open_data(tmp_path / "d")
    (tmp_path / "d/figures/todo.txt").unlink()
    (tmp_path / "d/notes").mkdir()
    (tmp_path / "d/notes/todo.txt").write_text("any other folder without a picture may be a class")
    with pytest.raises(UserError, match=r"the class folder 'notes' holds no pictures"):
        open_data(tmp_path / "d")


SPLIT_TREES = [("Training", "Testing"), ("train", "test"), ("TRAIN", "Test"), ("training_set", "test_set")]


@pytest.mark.parametrize(("train", "test"), SPLIT_TREES)
def test_splits_are_known_by_their_words_in_every_source(tmp_path, train, test):
    files = {f"{train}/{n}": d for n, d in pets().items()} | {f"{test}/{n}": d for n, d in pets(n=1).items()}
    for source in every_source(tmp_path, files | {"extra/x/0.png": PICTURES[5], "cover.png": PICTURES[4]}):
        data = open_data(source, say=lambda _: None)
        assert {name: len(members) for name, members in data.splits.items()} == {"train": 4, "test": 2}, source
        assert data.classes == ("cat", "dog")
        assert any("not read: extra" in note for note in data.notes) and any("cover.png" in n for n in data.notes)


@pytest.mark.parametrize("word", ["fish", "trains", "testament", "data", "images", "set", ""])
def test_other_words_are_no_splits(word):
    assert split_of(word) is None


def test_a_split_in_a_folder_of_its_own_name(tmp_path):
    files = {f"seg/train/train/{n}": d for n, d in pets().items()} | {
        f"seg/test/test/{n}": d for n, d in pets().items()
    }
    data = open_data(write_tree(tmp_path, files) / "seg")
    assert data.classes == ("cat", "dog") and {k: len(v) for k, v in data.splits.items()} == {"train": 4, "test": 4}


def test_what_one_class_may_have_been_meant_to_be(tmp_path):
    inner = write_tree(tmp_path / "a", {f"pets/{n}": d for n, d in pets().items()})
    with pytest.raises(UserError, match=r"only one class \('pets'\); .* if cat, dog are the classes, give .*a/pets"):
        open_data(inner)
    with pytest.raises(UserError, match=r"if cat, dog are the classes, pack what is in pets"):
        open_data(write_tar(tmp_path / "a.tar", pets({"x.png": PICTURES[5]}), "pets/"))
    loose = write_tree(tmp_path / "l", {"0.png": PICTURES[0], "labels.csv": b"0.png,a\n"})
    with pytest.raises(UserError, match=r"only 1 outside class folders; .*, or give .*l/labels\.csv"):
        open_data(loose)
    table = write_tree(
        tmp_path / "b", {"train/0.png": PICTURES[0], "train/metadata.csv": b"file_name,label\n0.png,a\n"}
    )
    with pytest.raises(UserError, match=r"only one class \('train'\); .*, or give .*b/train/metadata\.csv"):
        open_data(table)
    beside = write_tree(
        tmp_path / "c", {"val/a/0.png": PICTURES[0], "cat/0.png": PICTURES[1], "dog/0.png": PICTURES[2]}
    )
    with pytest.raises(UserError, match=r"only one class \('a'\); .*, and only val are read, as splits"):
        open_data(beside)


def test_folders_called_as_splits_without_classes_or_inside_them(tmp_path):
    flat = {f"{part}/{i}.png": PICTURES[i] for part in ("train", "test") for i in range(2)}
    for source in every_source(tmp_path / "flat", flat):
        with pytest.raises(UserError, match=r"test, train, which are called as splits; .*: train/CLASS"):
            open_data(source, say=lambda _: None)
    inside = {f"{c}/{part}/0.png": PICTURES[0] for c in ("cat", "dog") for part in ("train", "test")}
    for source in every_source(tmp_path / "inside", inside):
        notes = open_data(source, say=lambda _: None).notes
        assert any("hold folders test, train, which are no splits there" in n and "test/cat" in n for n in notes)
    years = {f"{part}2017/{i}.png": PICTURES[i] for part in ("train", "val") for i in range(2)}
    with pytest.raises(UserError, match=r"train2017, val2017, which are called as splits; .*: val2017/CLASS"):
        open_data(write_tree(tmp_path / "years", years))
    numbered = {f"{part}_1/{n}": d for part in ("train", "test") for n, d in pets().items()}
    with pytest.raises(UserError, match=r"test_1, train_1, which are called as splits; call them train, val and test"):
        open_data(write_tree(tmp_path / "numbered", numbered))
    deeper = {f"train/{part}/{n}": d for part in ("train", "val") for n, d in pets().items()}
    with pytest.raises(UserError, match=r"train, val, which are called as splits; give .*deeper/train"):
        open_data(write_tree(tmp_path / "deeper", deeper))
    parted = {f"train/{n}": d for n, d in inside.items()}
    assert "hold folders test, train, which are no splits" in open_data(write_tree(tmp_path / "p", parted)).notes[0]
    vehicles = open_data(write_tree(tmp_path / "v", {f"{c}/0.png": PICTURES[0] for c in ("train", "bus")}))
    assert vehicles.classes == ("bus", "train") and not vehicles.notes


def test_splits_with_names_of_their_own_are_remarked_on(tmp_path):
    """Two classes, 학습 and 검증, are what the tree says; that they hold the same folders says something else."""
    files = {f"{part}/{n}": d for part in ("학습", "검증") for n, d in pets().items()}
    for source in every_source(tmp_path, files):
        data = open_data(source, say=lambda _: None)
        assert data.classes == ("검증", "학습")
        assert any("hold the same folders, cat, dog; if these are the classes" in note for note in data.notes), source
    ages = {"cat/young/0.png": PICTURES[0], "cat/old/0.png": PICTURES[1], "dog/0.png": PICTURES[2]}
    fine = open_data(write_tree(tmp_path / "fine", ages))
    assert not fine.notes


@pytest.mark.parametrize("how", ["folders", "no folders"])
def test_an_empty_validation_folder_is_said(tmp_path, how):
    hollow = {"val/cat": None, "val/dog": None} if how == "folders" else {"val": None}
    for source in every_source(tmp_path, {f"train/{n}": d for n, d in pets(n=3).items()} | hollow):
        data = open_data(source, say=lambda _: None)
        said = "holds no pictures and a part of train is held out" if how == "folders" else "holds no class folders"
        assert any("val" in note and said in note for note in data.notes), (source, data.notes)
        assert len(choose_splits(data, val_fraction=0.4)["val"]) == 2


def test_two_spellings_are_one_class_and_one_alone_keeps_its_own(tmp_path):
    both = {f"train/{NFC}/0.png": PICTURES[0], "train/dog/0.png": PICTURES[1], f"val/{NFD}/0.png": PICTURES[2]}
    for source in every_source(tmp_path, both | {f"train/{NFD}/1.png": PICTURES[3]}):
        data = open_data(source, say=lambda _: None)
        assert data.classes == (NFC, "dog") and np.bincount(data.labels).tolist() == [3, 1], source
    alone = open_data(write_tree(tmp_path / "alone", {f"{NFD}/0.png": PICTURES[0], "dog/0.png": PICTURES[1]}))
    assert alone.classes == (NFD, "dog")  # as its fingerprint has it since ever
    table = tmp_path / "t.csv"
    table.write_text(f"alone/{NFC}/0.png,{NFC}\nalone/dog/0.png,{NFD}\nplain.png,dog\n")  # the path in another spelling
    (tmp_path / "plain.png").write_bytes(PICTURES[4])
    assert open_data(table).classes == (NFC, "dog")


def test_empty_classes_and_strays_are_findings_and_refusals(tmp_path):
    odd = {"cat/notes.txt": b"hello", "dog/0.txt": b"x", "fish": None, "bird/sound.wav": b"RIFF0000WAVE"}
    folder, tar, *_ = every_source(tmp_path, pets(odd))
    with pytest.raises(UserError, match=r"2 class folders hold no pictures: 'bird', 'fish'; add some or remove"):
        open_data(folder)
    report, _ = check_data(str(folder), write=False)
    assert report.pictures == 7 == sum(sum(row.values()) for row in report.classes.values())
    assert {row["id"] for row in report.faults["undecodable"]} == {"cat/notes.txt", "dog/0.txt", "bird/sound.wav"}
    assert report.missing == {"all": ["bird", "fish"]} and "'bird', 'fish'" in report.problems[0]
    data = open_data(tar)  # an archive cannot well be mended: it is read, and what is left out is said
    assert data.classes == ("cat", "dog") and len(data) == 4
    assert any("'bird', 'fish'" in note for note in data.notes)
    assert any("3 files of another kind than images" in note for note in data.notes)
    report, _ = check_data(str(tar), write=False)
    assert report.pictures == 7 == sum(sum(row.values()) for row in report.classes.values())
    for name in ("cat/notes.txt", "dog/0.txt", "bird/sound.wav"):
        (folder / name).unlink()
    for name in ("bird", "fish"):
        (folder / name).rmdir()
    assert contents(open_data(folder)) == contents(data)


def test_classes_that_training_lacks_do_not_end_the_check(tmp_path):
    root = write_tree(tmp_path / "d", {f"train/{n}": d for n, d in pets().items()} | {"val/fish/0.png": PICTURES[5]})
    with pytest.raises(UserError, match=r"val/fish: class 'fish' is not in train/"):
        open_data(root)
    report, _ = check_data(str(root), write=False)
    assert report.pictures == 5 and report.classes["fish"] == {"train": 0, "val": 1}
    assert any("fish" in line for line in report.problems)
    one = write_tree(tmp_path / "one", {"cat/0.png": PICTURES[0]})
    assert "only one class" in check_data(str(one), write=False)[0].problems[0]


def test_counts_add_up_with_faulty_files_and_splits(tmp_path):
    files = {f"{s}/{c}/{i}.png": PICTURES[i] for s in ("train", "test") for c in ("cat", "dog") for i in range(3)}
    files |= {
        "train/cat/bad.png": b"\x89PNG",
        "test/dog/empty.jpg": b"",
        "train/dog/a.txt": b"x",
        "test/cat/b.md": b"x",
    }
    for source in list(every_source(tmp_path, files))[:2]:
        report, _ = check_data(str(source), write=False)
        assert report.pictures == 16 and report.clean == 12
        assert report.classes == {"cat": {"train": 4, "test": 4}, "dog": {"train": 4, "test": 4}}
        assert len(report.excluded) == 4


def test_links_are_followed_on_a_disk_and_in_a_tar(tmp_path):
    files = pets(
        {"raw/9.png": PICTURES[5], "cat/9.png": "../raw/9.png", "bird": "raw", "dog/again.png": "../cat/9.png"}
    )
    want = contents(open_data(write_tree(tmp_path / "d", files)))
    assert ("", "bird", picture(5, (12, 16)).tobytes()) in want and len(want) == 8
    for order in (files, dict(reversed(list(files.items())))):
        assert contents(open_data(write_tar(tmp_path / "d.tar", order, "./"))) == want
    with tarfile.open(tmp_path / "hard.tar", "w") as tar:  # tarfile writes the second name of a file as a hard link
        write_tree(tmp_path / "h", pets())
        (tmp_path / "h/dog/9.png").hardlink_to(tmp_path / "h/cat/0.png")
        tar.add(tmp_path / "h", ".")
    assert contents(open_data(tmp_path / "hard.tar")) == contents(open_data(tmp_path / "h"))


def test_links_into_a_hidden_store_are_followed(tmp_path):
    """As git-annex and DVC keep data: names that are links, contents in a hidden folder."""
    files = {".annex/objects/a": PICTURES[0], ".annex/objects/b": PICTURES[1], ".annex/raw/c.png": PICTURES[2]}
    files |= {"cat/0.png": "../.annex/objects/a", "dog/0.png": "../.annex/objects/b", "dog/more": "../.annex/raw"}
    want = contents(open_data(write_tree(tmp_path / "d", files)))
    assert len(want) == 3 and contents(open_data(write_tar(tmp_path / "d.tar", files))) == want


def test_links_out_of_a_tar_and_rings_are_counted_aloud(tmp_path):
    files = pets({"cat/a.png": "/data/a.png", "cat/b.png": "../../b.png", "dog/c.png": "d.png", "dog/d.png": "c.png"})
    data = open_data(write_tar(tmp_path / "d.tar", files | {"dog/self": "..", "dog/loop": "loop/x"}))
    assert len(data) == 4 and "6 links to nothing in the archive" in data.notes[0]
    assert contents(data) == contents(open_data(write_tree(tmp_path / "d", pets())))


def test_a_sparse_member_is_counted_aloud(tmp_path):
    path = write_tar(tmp_path / "d.tar", pets({"cat/s.png": bytes(512)}))
    raw = bytearray(path.read_bytes())
    at = raw.index(b"cat/s.png")
    raw[at + 156 : at + 157] = b"S"
    raw[at + 148 : at + 156] = b"%06o\0 " % (sum(raw[at : at + 148]) + 8 * 32 + sum(raw[at + 156 : at + 512]))
    path.write_bytes(raw)
    data = open_data(path)
    assert len(data) == 4 and "1 sparse file, not read: cat/s.png" in data.notes[0]


def test_shards_of_class_folders_have_the_splits_of_their_names(tmp_path):
    write_tar(tmp_path / "train-0.tar", pets())
    write_tar(tmp_path / "test-0.tar", pets(n=1))
    data = open_data(tmp_path)
    assert {name: len(members) for name, members in data.splits.items()} == {"test": 2, "train": 4}
    assert len(open_data(tmp_path / "train-0.tar").splits) == 0


def test_folders_beside_archives_are_said(tmp_path):
    write_tree(tmp_path, pets())
    write_tar(tmp_path / "backup.tar", pets(n=1))
    data = open_data(tmp_path)
    assert len(data) == 2 and "backup.tar" in data.notes[0] and "not read: cat, dog" in data.notes[0]


def test_the_fingerprint_of_an_ordinary_tree_is_what_it_was(tmp_path):
    """Old runs and manifests know their data by these; the pictures' sizes are given here, so no encoder matters."""
    files = {f"{s}/{c}/{i}.png": bytes(10 + i) for s in ("train", "val") for c in ("b", "a") for i in range(3)}
    assert open_data(write_tree(tmp_path / "d", files)).fingerprint() == "bfa30e7d71f7161309b4978589cbf17a"
    assert open_data(write_tar(tmp_path / "d.tar", files)).fingerprint() == "c890eea9af44eb2818cf196b6841eae9"


NAMES = st.sampled_from(["cat", "dog", "Ähre", "고양이", "1", "10", "2", "class with spaces", "_x"])
LEAVES = st.sampled_from(["0.png", "1.PNG", "sub/2.png", "IMG.2020.3.png", "noextension"])
TRAPS = st.sampled_from(
    [{name: data} for name, data in CLUTTER.items()]
    + [{n: d for n, d in WRITTEN.items() if n.startswith(f)} for f in ("runs/", "cv/", "packs/", "pages/", "figures/")]
    + [{"README.md": b"x"}, {"cat/notes.txt": b"x"}, {"hollow": None}, {"loose.png": PICTURES[7]}]
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    classes=st.sets(NAMES, min_size=2, max_size=3),
    leaves=st.sets(LEAVES, min_size=1, max_size=3),
    splits=st.sampled_from([(), ("train", "test"), ("Training", "val", "Testing")]),
    traps=st.lists(TRAPS, max_size=5),
    order=st.randoms(use_true_random=False),
)
def test_any_tree_is_the_same_set_in_every_source(tmp_path_factory, classes, leaves, splits, traps, order):
    tmp_path = tmp_path_factory.mktemp("trees")
    names = [f"{s}{c}/{leaf}" for s in [f"{s}/" for s in splits] or [""] for c in classes for leaf in leaves]
    files = {name: PICTURES[i % 6] for i, name in enumerate(names)}
    for trap in traps:
        files |= trap
    shuffled = list(files)
    order.shuffle(shuffled)
    tar = open_data(write_tar(tmp_path / "d.tar", {name: files[name] for name in shuffled}))
    root = write_tree(tmp_path / "d", files)
    cells = [(name, name.split("/")[bool(splits)], split_of(name.split("/")[0]) or "") for name in names]
    (tmp_path / "d.csv").write_text("".join(f"d/{name},{cls},{split}\n" for name, cls, split in cells))
    listed = open_data(tmp_path / "d.csv")
    assert contents(listed) == contents(tar), (sorted(files), tar.notes)
    packed = write_tar(tmp_path / "d.tar.xz", {name: files[name] for name in shuffled}, mode="w:xz")
    for source in (packed, write_parquet(tmp_path / "parts", [(files[cell[0]], *cell) for cell in cells])):
        assert contents(open_data(source, say=lambda _: None)) == contents(tar), source
    try:
        folder = open_data(root)
    except UserError as error:
        assert any(name in str(error) for name in ("hollow", "notes.txt", "'cat'", "'dog'")), error
        folder = None
    report, _ = check(open_data(root, on_bad_file="skip", manifest=False, strict=False), workers=0)
    assert sum(sum(row.values()) for row in report.classes.values()) == report.pictures
    if folder is not None:
        assert contents(folder) == contents(tar)
