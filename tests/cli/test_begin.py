"""`reslearn train FOLDER` on what people have: a sensible choice, stated; it ends, and says what it thinks of it."""

from __future__ import annotations

import csv
import json
import re

import cv2
import numpy as np
import pytest

from reslearn.bundle.file import load
from reslearn.cli.app import main

BUDGET = ["--epochs", "1", "--val-fraction", "0.25", "--set", "settings.compile=false", "--set", "spec.stem_channels=4"]
THREE = [*BUDGET, "--set", "spec.stage_blocks=1,1,1", "--set", "spec.stage_channels=4,4,4"]
FOUR = [*BUDGET, "--set", "spec.stage_blocks=1,1,1,1", "--set", "spec.stage_channels=4,4,4,4", "--set", "batch_size=32"]


def texture(kind, side, number):
    """A grey or coloured picture of one of three looks, in 0..1."""
    draws = np.random.default_rng([kind, number])
    y, x = np.mgrid[: side + number % 7, : side + 20]
    base = (np.sin(x / 3), np.sin(y / 4), np.sin(x / 9) * np.sin(y / 9))[kind]
    return np.clip(0.5 + 0.3 * base + draws.normal(0, 0.1, base.shape), 0, 1)


def jpegs(folder, *, side, count, classes=3):
    for kind in range(classes):
        (folder / f"kind {kind}").mkdir(parents=True)
        for number in range(count):
            grey = texture(kind, side, number)
            picture = (255 * np.stack([grey, grey**2, 1 - grey], axis=2)).astype(np.uint8)
            cv2.imwrite(str(folder / f"kind {kind}" / f"{number}.jpg"), picture)
    return folder


def small_jpegs(root):
    for part, count in (("train", 50), ("test", 4)):
        jpegs(root / "set" / part, side=28, count=count)
    return root / "set"


def photographs(root):
    return jpegs(root / "set", side=160, count=50)


def twelve(root):
    return jpegs(root / "set", side=160, count=6, classes=2)


def scans(root):
    """Grey, 16 bits deep, TIFF and PNG, most of the range unused."""
    tifffile = pytest.importorskip("tifffile", reason="needs tifffile, of the extra dev")
    for kind in range(3):
        (root / "set" / f"kind {kind}").mkdir(parents=True)
        for number in range(46):
            grey = (20_000 * texture(kind, 130, number)).astype(np.uint16)
            path = root / "set" / f"kind {kind}" / str(number)
            if number % 2:
                cv2.imwrite(f"{path}.png", grey)
            else:
                tifffile.imwrite(f"{path}.tif", grey, photometric="minisblack")
    return root / "set"


def table(root):
    jpegs(root / "files", side=28, count=50)
    rows = [(path.relative_to(root).as_posix(), path.parent.name) for path in sorted(root.glob("files/*/*.jpg"))]
    with (root / "set.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "label"), *rows])
    return root / "set.csv"


@pytest.mark.parametrize(
    ("make", "choice", "budget", "before"),
    [
        (small_jpegs, ["resnet18_w64_cifar", "recipe fast-cifar", "32 pixels"], THREE, "steps in all"),
        (photographs, ["resnet18", "recipe folder", "224 pixels"], FOUR, "--weights default"),
        (twelve, ["resnet20_cifar", "recipe folder", "64 pixels"], THREE, "pictures to validate on"),
        (scans, ["resnet18", "recipe folder", "224 pixels"], FOUR, "--weights default"),
        (table, ["resnet18_w64_cifar", "recipe fast-cifar", "32 pixels"], THREE, "steps in all"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_folder_is_enough(make, choice, budget, before, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = make(tmp_path)
    assert main(["train", data.name, *budget, "--json"]) == 0
    out, err = capsys.readouterr()
    chosen, other = (line for line in err.splitlines() if line.startswith("chosen "))
    assert all(word in chosen for word in choice) and "GFLOP/s" in chosen and "pixels on their shorter side" in chosen
    assert all(word in other for word in ("--model", "--recipe", "--image-size"))
    told = [line for line in err.splitlines() if line.startswith("advice ")]
    assert any(before in line for line in told) and "UserWarning" not in err
    run = json.loads(out)
    assert run["run"] == "runs/set-1" and run["val"]["images"] >= 2
    assert load(tmp_path / run["model"]).bundle.preprocess.size == int(choice[2].split()[0])
    page = (tmp_path / run["run"] / "report.html").read_text()
    after = told[[before in line for line in told].index(True) + 1 :]
    for line in re.findall(r'class="verdict">([^<]*)<', page):  # what it thinks, on the page, is said here, too
        assert any(line[1:40] in one.replace("'", "&#39;") for one in after), line  # there it begins as a sentence
