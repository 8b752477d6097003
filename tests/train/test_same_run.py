"""A resume is the same run: whatever became of the data between, it ends with the same bits or says what changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from reslearn.bundle.file import load
from reslearn.cli.app import main
from reslearn.data.care.check import check_data
from reslearn.data.care.splitting import split_data
from reslearn.data.formats.files import Files
from reslearn.data.formats.pack_index import PackOptions
from reslearn.data.formats.packing import write_pack
from reslearn.data.memory import ArrayDataset, Subset
from reslearn.data.parts.manifest import read_manifest
from reslearn.data.parts.splits import choose_splits
from reslearn.data.sources import open_data
from reslearn.runtime.settings import Settings
from reslearn.spec.errors import UserError
from reslearn.spec.net import NetSpec
from reslearn.spec.recipe import Recipe
from reslearn.train.fit import fit, resume
from reslearn.train.records.run import labels_text, read_labels, read_record
from reslearn.train.together import digest

TINY = NetSpec(
    name="tiny", stem="cifar", stem_channels=4, block="basic", stage_blocks=(1,), stage_channels=(4,), num_classes=2
)
RECIPE = Recipe("tiny", "tests", iterations=6, batch_size=4, image_size=8, checkpoint_every=1e-6)
PNG = [
    np.random.default_rng(7).integers(0, 256, (24, 8, 8, 3), dtype=np.uint8),
    np.random.default_rng(8).integers(0, 256, (24, 8, 8, 3), dtype=np.uint8),
]


@pytest.fixture
def folder(tmp_path):
    for k, cls in enumerate("ab"):
        (tmp_path / "data" / cls).mkdir(parents=True)
        for i in range(6):
            write(tmp_path / "data" / cls / f"{i}.png", PNG[0][10 * k + i])
    return tmp_path / "data"


def write(path, image, level=6):
    Pillow.fromarray(image).save(path, "PNG", compress_level=level)


def begin(data, out, *, loader="resident", iterations=6, stop=3, **options):
    """Train on `data`, stopped after `stop` steps; None: to the end."""
    whole = open_data(data)
    parts = choose_splits(whole, val_fraction=0.34)

    def watch(event):
        if getattr(event, "step", 0) == stop:
            raise KeyboardInterrupt

    try:
        fit(TINY, Subset(whole, parts["train"]), Subset(whole, parts["val"]), replace(RECIPE, iterations=iterations),
            out=out, settings=Settings(compile=False, threads=1, loader=loader), watch=watch, **options)  # fmt: skip
    except KeyboardInterrupt:
        assert stop is not None


def contents(run):
    return {path.name: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


def refused(run, message, **options):
    """The resume says this, in one line, and writes nothing."""
    before = contents(run)
    with pytest.raises(UserError, match=message) as raised:
        resume(run, **options)
    assert "\n" not in str(raised.value) and contents(run) == before


def bits(run):
    return digest(load(run).net)


@pytest.fixture
def expected(folder, tmp_path):
    begin(folder, tmp_path / "whole", stop=None)
    return bits(tmp_path / "whole")


# -- what changed is said ----------------------------------------------------------------------------------------------


def replace_all(folder):
    for k, cls in enumerate("ab"):
        for i in range(6):
            write(folder / cls / f"{i}.png", PNG[1][10 * k + i])


def swap_classes(folder):
    for i in range(2):
        one, two = (folder / cls / f"{i}.png" for cls in "ab")
        content = one.read_bytes()
        one.write_bytes(two.read_bytes())
        two.write_bytes(content)


def add_class(folder):
    (folder / "aa").mkdir()
    write(folder / "aa" / "0.png", PNG[1][0])


def to_test(folder):
    """All of it under `train`, and a training picture moved over to `test`."""
    for cls in "ab":
        shutil.move(folder / cls, folder / "train" / cls)
        (folder / "test" / cls).mkdir(parents=True)
        os.rename(folder / "train" / cls / "0.png", folder / "test" / cls / "0.png")


CHANGES = {
    "all replaced": (replace_all, r"12 pictures replaced \(a/\d.png\)"),
    "classes swapped": (swap_classes, r"4 labels changed \(a/\d.png was a, is b\)"),
    "class added": (add_class, r"other classes .*\(aa is new\)"),
    "class renamed": (lambda folder: os.rename(folder / "b", folder / "c"), r"\(c is new; b is gone\)"),
    "one gone": (lambda folder: (folder / "a" / "3.png").unlink(), r"a/3.png \(1 picture\) is gone"),
    "one of another class": (lambda folder: os.rename(folder / "a/3.png", folder / "b/x.png"), "1 label changed"),
    "moved into test": (to_test, r"\(one of 2 pictures\) is gone"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("loader", ["resident", "streaming"])
def test_a_change_is_refused_and_named(change, loader, folder, tmp_path):
    begin(folder, tmp_path / "run", loader=loader)
    edit, message = CHANGES[change]
    edit(folder)
    refused(tmp_path / "run", message)


def test_labels_of_a_table_that_were_swapped_are_refused_whatever_was_forgotten(folder, tmp_path):
    table = tmp_path / "table.csv"
    rows = [(f"data/{cls}/{i}.png", cls) for cls in "ab" for i in range(6)]
    table.write_text("path,label\n" + "".join(f"{path},{cls}\n" for path, cls in rows))
    for forgets in (False, True):
        begin(table, tmp_path / f"run{forgets}", forget_pictures=forgets)
    (tmp_path / "runTrue" / "pictures.safetensors").unlink()
    table.write_text("path,label\n" + "".join(f"{path},{'ab'[cls == 'a']}\n" for path, cls in rows))
    for forgets in (False, True):
        refused(tmp_path / f"run{forgets}", r"12 labels changed \(data/a/\d.png was a, is b\)")


def test_a_command_says_it_in_one_line(folder, tmp_path, capsys):
    begin(folder, tmp_path / "run")
    replace_all(folder)
    assert main(["resume", str(tmp_path / "run"), "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(re.findall("^reslearn: .*12 pictures replaced", said.err, re.M)) == 1


def test_before_its_keys_are_known_a_picture_is_told_by_its_size(folder, tmp_path, capsys):
    """Killed before the first checkpoint of a set that is streamed; of training and of validation."""
    run = tmp_path / "run"
    begin(folder, run, loader="streaming", stop=1)
    for path in sorted(folder.rglob("*.png")):
        kept = path.read_bytes()
        write(path, np.concatenate([PNG[1][0], PNG[1][1]]))
        assert path.stat().st_size != len(kept)
        refused(run, rf"1 picture replaced \({path.parent.name}/{path.name}\)")
        path.write_bytes(kept)
    capsys.readouterr()
    resume(run)
    assert "8 of its 12 pictures, so these were compared by name alone" in capsys.readouterr().err


# -- what is the same goes on ------------------------------------------------------------------------------------------


def recode(folder):
    for k, cls in enumerate("ab"):
        for i in range(6):
            write(folder / cls / f"{i}.png", PNG[0][10 * k + i], level=0)


def rename(folder):
    for cls in "ab":
        for i in range(6):
            os.rename(folder / cls / f"{i}.png", folder / cls / f"x{i}.png")


SAME = {
    "nothing": (lambda folder: None, None),
    "touched": (lambda folder: [os.utime(path, (1, 1)) for path in folder.rglob("*.png")], None),
    "recoded": (recode, None),
    "renamed": (rename, "other names"),
    "two of a class swapped": (lambda folder: rename_pair(folder / "a"), "2 of its pictures have other names"),
    "one added": (lambda folder: write(folder / "a" / "new.png", PNG[1][0]), "1 picture.* came to the data"),
}


def rename_pair(folder):
    os.rename(folder / "0.png", folder / "x")
    os.rename(folder / "1.png", folder / "0.png")
    os.rename(folder / "x", folder / "1.png")


@pytest.mark.parametrize("change", SAME)
@pytest.mark.parametrize("loader", ["resident", "streaming"])
def test_the_same_pictures_give_the_same_bits(change, loader, folder, tmp_path, expected, capsys):
    begin(folder, tmp_path / "run", loader=loader)
    edit, remark = SAME[change]
    edit(folder)
    capsys.readouterr()
    resume(tmp_path / "run")
    assert bits(tmp_path / "run") == expected
    said = capsys.readouterr().err.splitlines()
    assert len(said) == (remark is not None) and all(re.search(str(remark), line) for line in said)


def as_tar(folder, out):
    with tarfile.open(out.with_suffix(".tar"), "w") as tar:
        for path in sorted(folder.rglob("*.png")):
            tar.add(path, str(path.relative_to(folder)))
    return out.with_suffix(".tar")


def as_pack(folder, out, **options):
    write_pack(open_data(folder), out.with_suffix(".pack"), PackOptions(**options))
    return out.with_suffix(".pack")


def as_table(folder, out):
    shutil.move(folder, out)
    lines = [f"{path.relative_to(out)},{path.parent.name}" for path in sorted(out.rglob("*.png"))]
    (out / "table.csv").write_text("path,label\n" + "\n".join(lines))
    return out / "table.csv"


ELSEWHERE = {
    "moved": lambda folder, out: Path(shutil.move(folder, out)),
    "tar": as_tar,
    "pack": as_pack,
    "raw pack": lambda folder, out: as_pack(folder, out, encoding="raw"),
    "table": as_table,
}


@pytest.mark.parametrize("how", ELSEWHERE)
def test_data_that_has_moved_is_named_and_noted(how, folder, tmp_path, expected):
    run = tmp_path / "run"
    begin(folder, run)
    new = ELSEWHERE[how](folder, tmp_path / "elsewhere")
    shutil.rmtree(folder, ignore_errors=True)
    refused(run, f"no longer there; .* reslearn resume {run} --data NEWPATH")
    resume(run, data=new)
    assert bits(run) == expected
    record = read_record(run)
    assert record.data["path"] == str(new) and record.moved[0]["from"] == str(folder)
    data = open_data(new)
    assert record.data["fingerprint"] == data.fingerprint() and set(record.split.train) < set(data.ids)


def test_a_run_stays_itself_where_its_pictures_move_and_get_other_names(folder, tmp_path, expected):
    run, new = tmp_path / "run", tmp_path / "elsewhere"
    begin(folder, run)
    for cls in "ab":
        (new / cls).mkdir(parents=True)
        for i in range(6):
            shutil.move(folder / cls / f"{i}.png", new / cls / f"was-{i}.png")

    def stop(event):
        if getattr(event, "step", 0) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resume(run, data=new, watch=stop)
    assert all(name.startswith(("a/was-", "b/was-")) for name in read_record(run).split.train)
    resume(run)
    assert bits(run) == expected


def test_other_pictures_elsewhere_are_refused(folder, tmp_path):
    begin(folder, tmp_path / "run")
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    replace_all(other)
    refused(tmp_path / "run", "12 pictures replaced", data=other)
    lossy = as_pack(folder, tmp_path / "lossy", encoding="jpeg")  # of the very files, but it shows other pixels
    refused(tmp_path / "run", "12 pictures replaced", data=lossy)


def test_what_an_index_or_a_manifest_says_of_pictures_is_not_believed(folder, tmp_path):
    """The bytes of a pack altered in place; other pictures of the same size, older than the manifest beside them."""
    recode(folder)  # all of one size
    pack = as_pack(folder, tmp_path / "packed", encoding="raw")
    begin(pack, tmp_path / "run")
    content = pack.read_bytes()
    for i in (0, 10):
        content = content.replace(PNG[0][i].tobytes(), PNG[1][i].tobytes())
    pack.write_bytes(content)
    refused(tmp_path / "run", "2 pictures replaced")
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    for path in other.rglob("*.png"):
        write(path, PNG[1][int(path.stem) + 10 * (path.parent.name == "b")], level=0)
    check_data(str(folder), workers=0)
    begin(folder, tmp_path / "folder")
    shutil.move(folder / "reslearn-manifest.json", other)
    shutil.rmtree(folder)
    shutil.move(other, folder)
    refused(tmp_path / "folder", "12 pictures replaced")


def test_a_label_that_moved_is_told_under_a_manifest_too(folder, tmp_path):
    """A manifest with splits refuses what is gone; a run knows better what became of it, and where it is no matter."""
    split_data(str(folder), ratio="8:2:2")
    begin(folder, tmp_path / "run")
    record = read_record(tmp_path / "run")
    beside = next(n for n in read_manifest(str(folder / "reslearn-manifest.json")).ids
                  if n not in (*record.split.train, *record.split.val))  # fmt: skip
    mine = record.split.train[0]
    (folder / beside).rename(folder / "moved.png")
    assert resume(tmp_path / "run").model.exists()  # a test picture: none of the run's
    (folder / "moved.png").rename(folder / beside)
    begin(folder, tmp_path / "other")
    other = folder / ("b" if mine[0] == "a" else "a") / "moved.png"
    (folder / mine).rename(other)
    refused(tmp_path / "other", rf"1 label changed \({mine} was {mine[0]}, is {other.parent.name}\); put it back")


def test_a_finished_run_learns_where_its_data_is(folder, tmp_path):
    begin(folder, tmp_path / "run", stop=None)
    sealed = (tmp_path / "run" / "model.safetensors").read_bytes()
    shutil.move(folder, tmp_path / "new")
    resume(tmp_path / "run", data=tmp_path / "new")
    assert read_record(tmp_path / "run").data["path"] == str(tmp_path / "new")
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == sealed


# -- how it is known ---------------------------------------------------------------------------------------------------


def test_untouched_files_are_not_read_to_compare_them(folder, tmp_path, monkeypatch):
    for path in folder.rglob("*.png"):
        os.utime(path, (1, 1))
    monkeypatch.setattr("reslearn.data.parts.key_table._FRESH", -(10**18))  # else they are too young to be believed
    begin(folder, tmp_path / "run", loader="streaming")
    read, real = [], Files.raw
    monkeypatch.setattr(Files, "raw", lambda self, i: read.append(i) or real(self, i))
    with pytest.raises(KeyboardInterrupt):
        resume(tmp_path / "run", watch=lambda event: (_ for _ in ()).throw(KeyboardInterrupt))
    assert len(read) <= 4 + 4 + 1  # a step, the validation part, and one whose size is asked


def test_pictures_that_nobody_had_read_are_said_to_be_known_by_name(folder, tmp_path, capsys):
    begin(folder, tmp_path / "run", loader="streaming", stop=1)
    capsys.readouterr()
    resume(tmp_path / "run")  # the one step was not kept
    assert "no keys of 8 of its 12 pictures" in capsys.readouterr().err


def test_a_run_without_its_record_of_pictures_says_so(folder, tmp_path, capsys):
    begin(folder, tmp_path / "run")
    (tmp_path / "run" / "pictures.safetensors").unlink()
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    for name in ("train_labels", "val_labels", "pictures"):  # as an earlier release wrote it
        del record["split"][name]
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    write(folder / "b" / "new.png", PNG[1][0])
    resume(tmp_path / "run")
    said = capsys.readouterr().err
    assert "no keys of 12 of its 12" in said and "recorded no labels" in said and "1 picture came" in said


def test_data_given_from_python_is_compared_as_well(tmp_path):
    labels, ids = np.arange(12) % 2, [f"p{i}" for i in range(12)]
    data = ArrayDataset(PNG[0][:12], labels, classes=["a", "b"], ids=ids)

    def stop(event):
        if getattr(event, "step", 0) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(TINY, data, None, RECIPE, out=tmp_path / "run", settings=Settings(compile=False, threads=1), watch=stop)
    other = ArrayDataset(PNG[1][:12], labels, classes=["a", "b"], ids=ids)
    refused(tmp_path / "run", "12 pictures replaced", train_data=other)
    turned = ArrayDataset(PNG[0][:12], 1 - labels, classes=["a", "b"], ids=ids)
    refused(tmp_path / "run", r"12 labels changed \(p0 was a, is b\)", train_data=turned)
    order = np.arange(12)[::-1].copy()
    backwards = ArrayDataset(PNG[0][order], labels[order], classes=["a", "b"], ids=[ids[i] for i in order])
    fit(TINY, data, None, RECIPE, out=tmp_path / "whole", settings=Settings(compile=False, threads=1))
    resume(tmp_path / "run", train_data=backwards)
    assert bits(tmp_path / "run") == bits(tmp_path / "whole")


def test_checkpoints_of_a_run_on_other_pictures_are_refused(folder, tmp_path):
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    (other / "a" / "0.png").unlink()
    begin(folder, tmp_path / "run")
    begin(other, tmp_path / "second")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    shutil.copytree(tmp_path / "second" / "checkpoints", tmp_path / "run" / "checkpoints")
    refused(tmp_path / "run", "a checkpoint of another run")


def test_labels_are_written_short():
    labels = [0, 0, 0, 1, 0, 12, 12]
    assert labels_text(labels) == "3x0 1 0 2x12"
    assert read_labels("3x0 1 0 2x12", 7, "").tolist() == labels and read_labels("", 7, "") is None
    for damaged in ("3x0", "x", "3x", "0 " * 8, "99999999999999999999x1", "a b", "-1x3"):
        with pytest.raises(UserError, match=r"run.json: no labels of 7 pictures"):
            read_labels(damaged, 7, "run.json")
