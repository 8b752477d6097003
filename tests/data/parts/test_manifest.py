"""Manifests: written by split and check, obeyed by open_data, kept when the data grows."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from reslearn.data.care import splitting
from reslearn.data.care.check import check_data
from reslearn.data.care.splitting import split_data
from reslearn.data.parts.keys import identities
from reslearn.data.parts.manifest import carried, read_manifest, write_manifest
from reslearn.data.parts.splits import choose_splits
from reslearn.data.sources import open_data
from reslearn.spec.errors import UserError
from reslearn.train.records.run import describe

from ..conftest import encode, picture


def by_id(data):
    return {data.ids[int(i)]: name for name, indices in data.splits.items() for i in indices}


@pytest.mark.parametrize("ratio", ["6:2:2", "7:1.5:1.5", "60:20:20"])
def test_a_ratio_is_written_obeyed_and_reported(folder, ratio):
    root = folder({"a": 40, "b": 20})
    result = split_data(str(root), ratio=ratio)
    data = open_data(root)
    assert list(data.splits) == ["train", "val", "test"]
    wanted = np.array([float(x) for x in ratio.split(":")])
    wanted /= wanted.sum()
    for (_, part), share in zip(result.splits.items(), wanted, strict=True):
        assert abs(part.classes["a"] - 40 * share) < 1 and abs(part.classes["b"] - 20 * share) < 1
        assert part.fraction == pytest.approx(part.pictures / 60, abs=1e-6)
        assert part.wanted == pytest.approx(share, abs=1e-6)
    chosen = choose_splits(data)
    assert {k: len(v) for k, v in chosen.items()} == {k: v.pictures for k, v in result.splits.items()}
    assert data.fingerprint() == open_data(root, manifest=False).fingerprint()  # a split is not other data
    assert identities(data)[0] == "content" == result.identity


@pytest.mark.parametrize("hashing", [True, False])
def test_known_samples_keep_their_split_when_files_are_added(folder, hashing):
    root = folder({"a": 20, "b": 20})
    split_data(str(root), ratio="6:2:2", hashing=hashing)
    before = by_id(open_data(root))
    for i in range(30):
        (root / "a" / f"0{i:03d}new.jpg").write_bytes(encode(picture(1000 + i)))  # sorts between the others
    stale = open_data(root)
    assert any("30 new pictures in no split" in note for note in stale.notes)
    assert by_id(stale) == before
    result = split_data(str(root), ratio="6:2:2", hashing=hashing)
    after = by_id(open_data(root))
    assert result.known == 40 and len(after) == 70
    assert all(after[name] == split for name, split in before.items())
    assert result.splits["train"].classes == {"a": 30, "b": 12}


def test_renamed_files_keep_their_split_by_content(folder):
    root = folder({"a": 20, "b": 20})
    split_data(str(root), ratio="6:2:2")
    before = by_id(open_data(root))
    (root / "a" / "000.jpg").rename(root / "a" / "zzz.jpg")
    with pytest.raises(UserError, match=r"a/000\.jpg gone, but is in this manifest; run `reslearn data split` again"):
        open_data(root)
    split_data(str(root), ratio="6:2:2")
    after = by_id(open_data(root))
    assert after["a/zzz.jpg"] == before["a/000.jpg"]
    assert {n: s for n, s in after.items() if n != "a/zzz.jpg"} == {n: s for n, s in before.items() if n != "a/000.jpg"}


def test_a_changed_file_is_noticed(folder):
    root = folder({"a": 10, "b": 10})
    split_data(str(root), ratio="8:2")
    with open(root / "a" / "003.jpg", "ab") as file:
        file.write(b"\0")
    with pytest.raises(UserError, match=r"a/003\.jpg changed since this manifest"):
        open_data(root)


def test_exact_duplicates_stay_together(folder):
    root = folder({"a": 12, "b": 12})
    for i in range(6):
        shutil.copy(root / "a" / f"{i:03d}.jpg", root / "a" / f"copy{i}.jpg")
    for seed in range(4):
        (root / "reslearn-manifest.json").unlink(missing_ok=True)
        split_data(str(root), ratio="5:5", seed=seed)
        where = by_id(open_data(root))
        assert all(where[f"a/{i:03d}.jpg"] == where[f"a/copy{i}.jpg"] for i in range(6))


def test_groups_by_regex_and_by_column_stay_together(folder):
    root = folder({"a": 12, "b": 12})
    split_data(str(root), ratio="6:4", group_regex=r"(\d\d)\d\.jpg$")
    where = by_id(open_data(root))
    for stem in ("00", "01"):
        assert len({split for name, split in where.items() if name.split("/")[1].startswith(stem)}) == 1
    for regex, message in (("[", "--group-regex"), ("x", "parentheses"), ("(xyz)", "does not match a/000.jpg")):
        with pytest.raises(UserError, match=message.replace(".", r"\.")):
            split_data(str(root), ratio="6:4", group_regex=regex)


def test_a_declared_test_split_stays_and_the_rest_is_divided(folder):
    root = folder({"train/a": 20, "train/b": 20, "test/a": 5, "test/b": 5})
    result = split_data(str(root), ratio="9:1")
    data = open_data(root)
    assert {k: len(v) for k, v in data.splits.items()} == {"train": 36, "val": 4, "test": 10}
    assert all(name.startswith("test/") for name, split in by_id(data).items() if split == "test")
    assert result.splits["train"].fraction == 0.9 and result.splits["test"].fraction is None
    with pytest.raises(UserError, match="declares its test split"):
        split_data(str(root), ratio="6:2:2", manifest=str(root / "other.json"))


def test_folds_cover_everything_once(folder):
    root = folder({"a": 10, "b": 15})
    result = split_data(str(root), folds=5)
    assert {k: v.classes for k, v in result.splits.items()} == {f"fold{k}": {"a": 2, "b": 3} for k in range(5)}
    with pytest.raises(UserError, match="class 'a' has only 10"):
        split_data(str(root), folds=12, manifest=str(root / "o.json"))
    with pytest.raises(UserError, match="splits fold0"):
        split_data(str(root), ratio="9:1")


def test_a_manifest_elsewhere_is_data_itself(folder, tmp_path):
    root = folder({"a": 10, "b": 10})
    manifest = tmp_path / "elsewhere" / "m.json"
    manifest.parent.mkdir()
    split_data(str(root), ratio="8:2", manifest=str(manifest))
    assert open_data(root).splits == {}
    data = open_data(manifest)
    assert len(data.splits["val"]) == 4 and len(open_data(manifest, "val")) == 4
    split_data(str(manifest), ratio="8:2")  # known again
    assert by_id(open_data(manifest)) == by_id(data)
    shutil.rmtree(root)
    with pytest.raises(UserError, match=r"its data .* is gone"):
        open_data(manifest)


def test_data_under_a_manifest_elsewhere_is_opened_again_by_its_path(folder, tmp_path):
    root = folder({"a": 10, "b": 10})
    (root / "a" / "notes.txt").write_text("no picture")
    manifest = tmp_path / "elsewhere" / "m.json"
    manifest.parent.mkdir()
    check_data(str(root), manifest=str(manifest))
    split_data(str(manifest), ratio="8:2")
    data = open_data(manifest)
    assert (
        data.path == str(manifest) == open_data(manifest, "val").path == describe(open_data(manifest, "train"))["path"]
    )
    assert describe(data)["path"] == str(manifest)
    assert by_id(open_data(data.path)) == by_id(data)  # and the stray stays left out
    report, _ = check_data(str(manifest), write=False)
    assert report.data == str(root)
    check_data(str(root))
    assert open_data(root).path == str(root)


def test_folds_elsewhere_inherit_what_the_check_left_out_and_its_hashes(folder, tmp_path, monkeypatch):
    root, folds = folder({"a": 11, "b": 10}), tmp_path / "folds.json"
    (root / "a" / "005.jpg").write_bytes((root / "a" / "005.jpg").read_bytes()[:200])
    (root / "a" / "notes.txt").write_text("no picture")
    check_data(str(root))
    monkeypatch.setattr(splitting, "content_hash", None)  # nothing is hashed anew
    split_data(str(root), folds=5, manifest=str(folds))
    written = read_manifest(str(folds))
    assert set(written.excluded) == {"a/005.jpg", "a/notes.txt"}
    assert written.sha256 == read_manifest(str(root / "reslearn-manifest.json")).sha256
    data = open_data(folds)
    assert "a/005.jpg" not in by_id(data) and [len(part) for part in data.splits.values()] == [4] * 5
    (root / "a" / "006x.jpg").write_bytes(encode(picture(900)))
    monkeypatch.undo()
    assert split_data(str(root), folds=5, manifest=str(folds)).known == 20  # and again, although some are left out
    assert {name: fold for name, fold in by_id(open_data(folds)).items() if name != "a/006x.jpg"} == by_id(data)


def test_a_replaced_file_loses_its_hash_and_the_others_keep_theirs(folder):
    root = folder({"a": 6, "b": 6})
    check_data(str(root))
    before = identities(open_data(root))
    assert before[0] == "content"
    (root / "a" / "003.jpg").write_bytes(encode(picture(77), quality=20))
    data = open_data(root)
    assert data.table.hashes[3] == "" and all(h for i, h in enumerate(data.table.hashes) if i != 3)
    assert any("1 changed picture unchecked" in note for note in data.notes)
    kind, names = identities(data)
    assert kind == "path" and names[3].startswith("a/003.jpg:")
    assert [n for i, n in enumerate(names) if i != 3] == [n for i, n in enumerate(before[1]) if i != 3]


def test_known_duplicates_stay_together_although_one_picture_is_unchecked(folder):
    root = folder({"a": 12, "b": 12})
    for i in range(6):
        shutil.copy(root / "a" / f"{i:03d}.jpg", root / "a" / f"copy{i}.jpg")
    check_data(str(root))
    (root / "b" / "new.jpg").write_bytes(encode(picture(500)))
    data = open_data(root)
    for seed in range(4):
        held = {data.ids[int(i)] for i in choose_splits(data, val_fraction=0.5, split_seed=seed)["val"]}
        assert all((f"a/{i:03d}.jpg" in held) == (f"a/copy{i}.jpg" in held) for i in range(6))


def test_a_renamed_picture_keeps_its_split_although_a_copy_was_left_out(folder):
    root = folder({"a": 10, "b": 10})
    shutil.copy(root / "a" / "000.jpg", root / "a" / "copy.jpg")  # sorts behind the one that stays
    check_data(str(root), exclude=["duplicates"])
    split_data(str(root), ratio="5:5")
    before = by_id(open_data(root))
    assert "a/copy.jpg" not in before
    (root / "a" / "000.jpg").rename(root / "a" / "zzz.jpg")
    now = tuple("a/zzz.jpg" if n == "a/000.jpg" else n for n in read_manifest(str(root / "reslearn-manifest.json")).ids)
    earlier = read_manifest(str(root / "reslearn-manifest.json"))
    assert dict(zip(now, carried(earlier, replace(earlier, ids=now)), strict=True))["a/zzz.jpg"] == before["a/000.jpg"]


def test_folds_that_groups_leave_empty_are_refused(folder):
    root = folder({"a": 30, "b": 30})
    with pytest.raises(UserError, match=r"fold. of 5 would be empty: there are fewer groups than folds; lower --folds"):
        split_data(str(root), folds=5, group_regex=r"/0(\d)\d\.jpg$")  # three groups, each of both classes
    with pytest.raises(UserError, match=r"class '.' lies in one group, all in fold.; .* regroup"):
        split_data(str(root), folds=2, group_regex=r"^([ab])/")
    assert not (root / "reslearn-manifest.json").exists()
    assert len(split_data(str(root), folds=3, group_regex=r"/0(\d)\d\.jpg$").splits) == 3


def test_check_keeps_the_split_and_split_keeps_the_exclusions(folder):
    root = folder({"a": 20, "b": 20})
    (root / "a" / "005.jpg").write_bytes(b"\xff\xd8 broken")
    shutil.copy(root / "a" / "000.jpg", root / "b" / "leak.jpg")
    report, path = check_data(str(root))
    assert path == str(root / "reslearn-manifest.json") and set(report.excluded) == {"a/005.jpg"}
    split_data(str(root), ratio="5:5", hashing=False)
    before = by_id(open_data(root))
    assert "a/005.jpg" not in before and len(before) == 40
    again, _ = check_data(str(root))
    assert by_id(open_data(root)) == before
    crosses = before["a/000.jpg"] != before["b/leak.jpg"]
    assert bool(again.crossing) == crosses and again.conflicts == [["a/000.jpg", "b/leak.jpg"]]
    assert len(read_manifest(path).sha256) == 41


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--ratio .* or --folds"),
        ({"ratio": "9:1", "folds": 3}, "one of them"),
        ({"ratio": "9"}, "two or three positive numbers"),
        ({"ratio": "9:x"}, "two or three positive numbers"),
        ({"ratio": "9:0"}, "two or three positive numbers"),
        ({"ratio": "9:1", "manifest": "m.txt"}, r"ends in \.json"),
    ],
)
def test_wrong_options(folder, options, message):
    with pytest.raises(UserError, match=message):
        split_data(str(folder({"a": 3, "b": 3})), **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not valid JSON"), ("[]", "not a manifest"), ('{"kind": "reslearn manifest", "format": 9}', "format 9")],
)
def test_a_damaged_manifest_names_itself(folder, text, message):
    root = folder({"a": 3, "b": 3})
    (root / "reslearn-manifest.json").write_text(text)
    with pytest.raises(UserError, match=r"reslearn-manifest\.json.*" + message):
        open_data(root)


def test_a_manifest_of_other_classes_is_refused(folder):
    root = folder({"a": 3, "b": 3})
    split_data(str(root), ratio="5:5")
    (root / "c").mkdir()
    (root / "c" / "x.jpg").write_bytes(encode(picture(7)))
    with pytest.raises(UserError, match=r"made for classes a, b, but .* has a, b, c"):
        open_data(root)


def test_what_was_left_out_is_not_hashed(folder):
    root = folder({"a": 5, "b": 5})
    path = root / "reslearn-manifest.json"
    check_data(str(root))
    write_manifest(str(path), replace(read_manifest(str(path)), sha256=(), excluded={"a/002.jpg": "no permission"}))
    split_data(str(root), ratio="5:5")
    assert [i for i, digest in enumerate(read_manifest(str(path)).sha256) if not digest] == [2]
