"""The data commands: one JSON value with --json, one line and status 2 for wrong input, nothing half-written."""

from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest

from reslearn.cli.app import main


@pytest.fixture
def pictures(tmp_path):
    """Two classes in train and test, each picture different."""
    root = tmp_path / "pictures"
    for part, count in (("train", 12), ("test", 3)):
        for k, cls in enumerate(("cat", "dog")):
            (root / part / cls).mkdir(parents=True)
            for i in range(count):
                coarse = np.random.default_rng([count, k, i]).integers(0, 255, (6, 7, 3), dtype=np.uint8)
                cv2.imwrite(str(root / part / cls / f"{i:02d}.jpg"), cv2.resize(coarse, (56, 48)))
    return root


def run(capsys, *arguments):
    status = main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def ok(capsys, *arguments):
    """The JSON value that a command prints with --json; standard output holds nothing else."""
    status, out, err = run(capsys, *arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def refused(capsys, *arguments):
    """The one line of a refused command."""
    status, out, err = run(capsys, *arguments)
    assert status == 2 and out == "" and "Traceback" not in err
    lines = [line for line in err.splitlines() if line.startswith("reslearn: ")]
    assert len(lines) == 1
    return lines[0]


def test_a_run_inside_the_data_is_resumed_and_no_class(capsys, pictures, tmp_path, monkeypatch):
    """`cd DATA; train . --out runs/a`, stopped, and gone on with; then once more, and looked at."""
    monkeypatch.chdir(pictures)
    options = ("--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8")
    assert run(capsys, "train", ".", *options, "--epochs", "1", "--out", "runs/a")[0] == 0
    for name in ("model.safetensors", "report.html"):
        (pictures / "runs/a" / name).unlink()
    assert run(capsys, "resume", "runs/a")[0] == 0
    before = ok(capsys, "data", "stats", ".")
    status, _, err = run(capsys, "crossval", ".", *options, "--epochs", "1", "--folds", "2", "--out", "cv")
    assert status == 0, err
    assert ok(capsys, "data", "stats", ".") == before
    assert "these folders are not read: cv, runs" in run(capsys, "data", "stats", ".")[2]


def test_an_empty_class_ends_training_and_not_the_check(capsys, tmp_path):
    for name in ("cat/0.png", "cat/1.png", "dog/0.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "fish").mkdir()
    assert "'fish' holds no pictures; add some or remove the folder" in refused(capsys, "data", "stats", tmp_path)
    status, out, _ = run(capsys, "data", "check", tmp_path)
    assert status == 0 and "training refuses this" in out and "'fish'" in out and "all has no picture of: fish" in out


def test_check_finds_writes_and_training_obeys(capsys, pictures, tmp_path):
    (pictures / "train" / "cat" / "03.jpg").write_bytes(b"")
    (pictures / "train" / "dog" / "notes.txt").write_text("x")
    page = tmp_path / "page.html"
    value = ok(capsys, "data", "check", pictures, "--html", page)
    assert value["pictures"] == 31 and value["clean"] == 29
    assert {k: [r["id"] for r in v] for k, v in value["faults"].items()} == {
        "empty": ["train/cat/03.jpg"],
        "undecodable": ["train/dog/notes.txt"],
    }
    assert value["manifest"] == str(pictures / "reslearn-manifest.json")
    assert page.read_text().startswith("<!doctype html>")
    stats = ok(capsys, "data", "stats", pictures)
    assert stats["pictures"] == 29 and stats["classes"]["cat"] == {"train": 11, "test": 3}


def test_check_without_writing(capsys, pictures):
    value = ok(capsys, "data", "check", pictures, "--no-write")
    assert value["manifest"] is None and not (pictures / "reslearn-manifest.json").exists()
    assert "valid" in refused(capsys, "data", "check", pictures, "--exclude", "everything")


def test_split_and_use_it(capsys, pictures):
    value = ok(capsys, "data", "split", pictures, "--ratio", "3:1")
    assert {k: v["pictures"] for k, v in value["splits"].items()} == {"train": 18, "val": 6, "test": 6}
    assert value["identity"] == "content"
    again = ok(capsys, "data", "split", pictures, "--ratio", "3:1")
    assert again["known"] == 24
    assert "9:1" in refused(capsys, "data", "split", pictures, "--ratio", "six to two")
    assert "--folds" in refused(capsys, "data", "split", pictures)


def test_preview_writes_a_sheet(capsys, pictures, tmp_path):
    sheet = tmp_path / "sheet.png"
    value = ok(
        capsys, "data", "preview", pictures, "-o", sheet, "--rows", "4", "--columns", "3",
        "--set", "augment.policy=trivial", "--image-size", "32",
    )  # fmt: skip
    assert value["image_size"] == 32 and value["split"] == "train"
    assert cv2.imread(str(sheet)).shape == (4 * 100 + 4, 3 * 100 + 4, 3)
    assert "augment.policyy" in refused(capsys, "data", "preview", pictures, "--set", "augment.policyy=trivial")
    assert "policy" in refused(capsys, "data", "preview", pictures, "--set", "augment.policy=random")


def test_a_sheet_in_the_data_is_no_class_and_none_is_written_among_pictures(capsys, pictures):
    for place in ("train/cat/p.png", "test/p.png"):
        line = refused(capsys, "data", "preview", pictures, "-o", pictures / place)
        assert "--out: what is written to" in line and "would be taken for a picture" in line
        assert not (pictures / place).exists()
    tree = pictures / "train"  # class folders alone
    (tree / "sheets").mkdir()
    ok(capsys, "data", "check", tree, "--html", tree / "sheets/check.html", "-o", tree / "sheets/m.json")
    small = ("--rows", "2", "--columns", "2", "--image-size", "8")
    for _ in range(2):
        ok(capsys, "data", "preview", tree, "-o", tree / "sheets/p.png", *small)
    ok(capsys, "data", "pack", tree, "-o", tree / "sheets/d.pack")
    assert list(ok(capsys, "data", "stats", tree)["classes"]) == ["cat", "dog"]
    assert list(ok(capsys, "data", "stats", pictures)["classes"]) == ["cat", "dog"]


def test_pack_and_read_it(capsys, pictures, tmp_path):
    target = tmp_path / "a.pack"
    value = ok(capsys, "data", "pack", pictures, "-o", target, "--resize", "32")
    assert value["pictures"] == 30 and value["encoding"] == "raw" and value["bytes"] == target.stat().st_size
    stats = ok(capsys, "data", "stats", target)
    assert stats["height"] == [32, 32, 32] and stats["measured"] == 24
    assert "'original', 'raw', 'jpeg'" in refused(capsys, "data", "pack", pictures, "-o", target, "--encoding", "png")
    assert "at least 1 pixel" in refused(capsys, "data", "pack", pictures, "-o", target, "--resize", "0")


@pytest.mark.parametrize("command", ["check", "stats", "split --ratio 9:1", "preview", "pack -o x.pack"])
def test_a_missing_path_names_itself(capsys, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    name, *options = command.split()
    assert "nowhere" in refused(capsys, "data", name, "nowhere", *options)
    assert list(tmp_path.iterdir()) == []


def test_digits_need_a_place_for_their_manifest(capsys, tmp_path):
    assert "-o FILE.json" in refused(capsys, "data", "check", "digits")
    value = ok(capsys, "data", "check", "digits", "-o", tmp_path / "digits.json")
    assert value["pictures"] == 1797 and not value["faults"] and not value["near"]
    stats = ok(capsys, "data", "stats", tmp_path / "digits.json")
    assert stats["pictures"] == 1797 and stats["measured"] == 1437


def test_an_unknown_download_lists_what_there_is(capsys, tmp_path):
    assert "'cifar10', 'cifar100'" in refused(capsys, "data", "download", "cifar", "--to", tmp_path)


def test_people_get_tables(capsys, pictures):
    for arguments, words in (
        (("check", pictures), ["30 pictures, 30 without a fault", "cat", "0 pictures left out"]),
        (("stats", pictures), ["median 56", "mean", "std", "imbalance 1.00"]),
        (("split", pictures, "--ratio", "3:1"), ["75.00 %", "25.00 %", "known by content"]),
    ):
        status, out, _ = run(capsys, "data", *arguments)
        assert status == 0 and all(word in out for word in words), out


def test_training_with_skip_goes_on_and_lists_what_it_left_out(capsys, pictures, tmp_path):
    for name in ("train/cat/03.jpg", "train/dog/04.jpg", "train/dog/09.jpg"):
        (pictures / name).write_bytes((pictures / name).read_bytes()[:200])
    (pictures / "train" / "cat" / "notes.txt").write_text("x")
    command = ["train", pictures, "--model", "resnet20_cifar", "--recipe", "demo", "--epochs", "1", "--image-size", "8"]
    command += ["--set", "batch_size=8", "--set", "spec.stage_blocks=[1,1,1]", "--out", tmp_path / "run"]
    assert "notes.txt" in refused(capsys, *command)
    status, _, err = run(capsys, *command, "--on-bad-file", "skip")
    assert status == 0, err
    for name in ("03.jpg", "04.jpg", "09.jpg", "notes.txt"):
        assert name in err


def test_names_that_are_not_utf8_are_checked_printed_and_known_again(capsys, pictures):
    odd = pictures / "train" / "cat" / os.fsdecode(b"caf\xe9.jpg")
    try:
        odd.write_bytes((pictures / "train" / "cat" / "00.jpg").read_bytes())
        (pictures / "train" / "cat").rename(pictures / "train" / os.fsdecode(b"cat\xe9"))
        (pictures / "test" / "cat").rename(pictures / "test" / os.fsdecode(b"cat\xe9"))
    except OSError:
        pytest.skip("needs a file system whose names may be any bytes")
    value = ok(capsys, "data", "check", pictures)
    assert value["exact"] == [["train/cat\udce9/00.jpg", "train/cat\udce9/caf\udce9.jpg"]]
    status, out, err = run(capsys, "data", "check", pictures, "--html", pictures / "page.html")
    assert status == 0 and "caf\\udce9.jpg" in out, err
    first, second = (ok(capsys, "data", "split", pictures, "--ratio", "3:1") for _ in range(2))
    assert first["splits"] == second["splits"] and second["known"] > 0
