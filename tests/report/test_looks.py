"""Every page that a command writes, in a Chromium at two widths, light and dark: nothing is cut off, lies over another,
is too small or too faint to read, is asked for elsewhere or complained of.

LOOKS_SHOTS=DIR keeps what was seen
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from reslearn.cli.app import main

from .looks import look

NAMES = ("고양이 🐱", "قطة سوداء", "<b>a class with a very long name that nobody would type")
SMALL = ["--model", "resnet20_cifar", "--set", "spec.stage_blocks=1,1,1", "--set", "settings.compile=false",
         "--set", "batch_size=8", "--set", "lr=0.05", "--precision", "fp32"]  # fmt: skip
STORE = Path(__file__).parents[2] / "docs" / "paper-results"
COMMANDS = {
    "run": ["train", "set", *SMALL, "--epochs", "3", "--set", "validate_every=1", "--set", "select=best", "-o", "run"],
    "other": ["train", "set", *SMALL, "--epochs", "1", "--seed", "1", "-o", "other"],
    "evaluation": ["evaluate", "run", "set", "--protocol", "1-crop", "--protocol", "1-crop+flip", "-o", "e.html"],
    "many": ["evaluate", "run", "set", "--split", "train", "--allow-seen", "-o", "seen.html"],
    "after": ["report", "run"],
    "comparison": ["compare", "run", "other", "-o", "c.html"],
    "folds": ["crossval", "set", *SMALL, "--epochs", "1", "--folds", "3", "-o", "folds"],
    "rate": ["plan", "set", *SMALL, "--find-lr", "--html", "rate.html"],
    "check": ["data", "check", "set", "--no-write", "--html", "check.html"],
    "explained": ["explain", "run", "set", "--pictures", "6", "-o", "x.html"],
    "layers": ["explain", "run", "--layers", "-o", "layers.html"],
    "sweep": ["sweep", "set", *SMALL, "--epochs", "1", "--set", "weight_decay=log:1e-5..1e-2",
              "--set", "nesterov=true,false", "--trials", "4", "-o", "sweep"],
    "papers": ["paper", "report", "--store", str(STORE), "--out", "papers"],
}  # fmt: skip
PAGES = {
    "run": "run/report.html", "other": "other/report.html", "evaluation": "e.html", "many": "seen.html",
    "comparison": "c.html", "folds": "folds/report.html", "rate": "rate.html", "check": "check.html",
    "explained": "x.html", "layers": "layers.html", "sweep": "sweep/report.html", "papers": "papers/report.html",
}  # fmt: skip
pytestmark = [pytest.mark.slow, pytest.mark.browser]


def draw(folder):
    """Pictures of three classes that differ in colour, with names in many scripts; one of them is cut short."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 16), ("test", 6)):
        for label, name in enumerate(NAMES):
            place = folder / split / name
            place.mkdir(parents=True)
            for i in range(count):
                picture = rng.integers(0, 200, (32, 32, 3))
                picture[..., label] += 30
                content = cv2.imencode(".png", picture.astype(np.uint8))[1].tobytes()
                (place / f"사진 {i} صورة a rather long name of a file.png").write_bytes(content)
    first = next((folder / "train" / NAMES[0]).iterdir())
    (folder / "train" / NAMES[1] / "again 再び.png").write_bytes(first.read_bytes())


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The folder in which every command has written its page."""
    pytest.importorskip("optuna", reason="needs optuna: pip install optuna")
    folder = tmp_path_factory.mktemp("pages")
    draw(folder / "set")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        for name, command in COMMANDS.items():
            assert main(command) == 0, name
    return folder


@pytest.mark.parametrize("name", PAGES)
def test_a_page_looks_as_it_should_at_both_widths_by_day_and_by_night(pages, chromium, name):
    assert look(chromium, pages / PAGES[name], shots=os.environ.get("LOOKS_SHOTS"), name=name) == []


BAD = {
    "contrast": '<p style="color:#bbb;background:#fff">faint</p>',
    "too small": '<p style="font-size:6px">small</p>',
    "too wide": '<p style="width:3000px">wide</p>',
    "cut off by its box": '<p style="width:40px;overflow:hidden;white-space:nowrap">a long line of words</p>',
    "spills out": '<p style="width:40px;white-space:nowrap">a long line of words</p>',
    "overlaps": '<p style="position:absolute;top:9px">one</p><p style="position:absolute;top:9px">two</p>',
    "a formula": r"<svg width=300 height=40><text y=20 fill='black'>$\mathdefault{10^{-1}}$</text></svg>",
    "cut off by its drawing": "<svg width=30 height=40><text y=20 fill='black'>a long line of words</text></svg>",
    "asks for": '<img src="file:///nothing.png">',
    "console": "<script>console.log('said')</script>",
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_is_found(chromium, tmp_path, what):
    page = tmp_path / "bad.html"
    page.write_text(f"<!doctype html><meta name=viewport content='width=device-width'><body>{BAD[what]}")
    found = look(chromium, page)
    assert [line for line in found if what in line], found
    page.write_text("<!doctype html><body><p>nothing is wrong here</p>")
    assert look(chromium, page) == []
