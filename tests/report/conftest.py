"""Synthetic values for reports, and a headless Chromium that tells what a page complains of."""

import io
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from reslearn.report.values import Bins, ClassRow, Confused, Curves, Details, Fact, Picture, Report, Score, Table

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def encode(pixels, kind="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def make_details(names, *, count=2000, accuracy=0.9, shots=6, seed=0, side=8):
    draw = np.random.default_rng(seed)
    size = len(names)
    truth = draw.integers(0, size, count)
    said = np.where(draw.random(count) < accuracy, truth, draw.integers(0, size, count))
    confusion = np.zeros((size, size), np.int64)
    np.add.at(confusion, (truth, said), 1)
    with np.errstate(all="ignore"):
        precision = confusion.diagonal() / confusion.sum(0)
        recall = confusion.diagonal() / confusion.sum(1)
        f1 = 2 * precision * recall / (precision + recall)
    edges = np.linspace(0, 1, 16)
    middle = (edges[:-1] + edges[1:]) / 2
    pictures = tuple(
        Picture(
            data=encode(draw.integers(0, 255, (side, side, 3), dtype=np.uint8), "PNG" if side < 97 else "JPEG"),
            width=side,
            height=side,
            truth=names[i % size],
            predicted=names[(i + 1) % size],
            probability=0.93,
            truth_probability=0.02,
            name=f"test/{i}.png",
        )
        for i in range(shots)
    )
    return Details(
        split="test",
        confusion=confusion,
        classes=tuple(names),
        per_class=tuple(
            ClassRow(name=n, support=int(s), precision=float(p), recall=float(r), f1=float(f))
            for n, s, p, r, f in zip(names, confusion.sum(1), precision, recall, f1, strict=True)
        ),
        macro_f1=float(np.nanmean(f1)),
        weighted_f1=0.9,
        confused=(Confused(truth=names[0], answer=names[1], count=7, share=0.1),),
        bins=Bins(
            confidence=middle,
            accuracy=middle**1.1,
            count=draw.integers(0, 90, 15),
        ),
        ece=0.021,
        mistakes=pictures,
        hardest=pictures,
    )


def make_report(names=("ant", "bee", "cow"), *, steps=900, epochs=9, **options):
    at = (np.arange(steps) + 1) * epochs / steps
    ends = np.arange(1.0, epochs + 1)
    return Report(
        name="insects",
        summary="resnet20_cifar on insects",
        curves=Curves(
            step_epoch=at,
            step_loss=2.3 * np.exp(-at) + 0.01,
            step_lr=np.interp(at, [0, 2, epochs], [0, 0.4, 0]),
            epoch=ends,
            train_error=60 / ends,
            val_error=65 / ends,
            train_loss=2 / ends,
            val_loss=np.where(ends % 2 == 0, 2.1 / ends, np.nan),
        ),
        command="reslearn train insects --model resnet20_cifar --recipe fast-cifar --out runs/insects",
        facts=(Fact(label="test accuracy", value="90.1 %", note="1,802 of 2,000"),),
        scores=(Score(split="test", images=2000, top1=0.901, interval=(0.887, 0.913), loss=0.31, ece=0.021),),
        details=(make_details(list(names), **options),),
        tables=(Table(title="Network", rows=(("name", "resnet20_cifar"),)),),
    )


@pytest.fixture
def report():
    """report(class names, ...) -> Report of synthetic values."""
    return make_report


@pytest.fixture(scope="session")
def browser():
    """A Chromium that starts; distributions have commands of that name that only say how to install it."""
    for name in filter(shutil.which, BROWSERS):
        done = subprocess.run([name, "--version"], capture_output=True, text=True)
        if done.returncode == 0 and re.search(r"(Chrom\w+) \d", done.stdout):
            return name
    pytest.skip(f"needs a Chromium: one of {', '.join(BROWSERS)} on the PATH")


@pytest.fixture(scope="module")
def chromium(browser):
    """A browser that playwright drives. Not for longer: while it is there, its event loop runs, and no other may."""
    sync = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    arguments = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # fmt: skip
    with sync.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=shutil.which(browser), args=arguments)
        yield found
        found.close()


@pytest.fixture
def browse(browser, tmp_path):
    """browse(html file, width) -> what the page complained of on the console, and a screenshot's path."""
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += ["--enable-logging=stderr", "--hide-scrollbars", f"--user-data-dir={tmp_path / 'profile'}"]

    def visit(page, width=1280, height=2000):
        picture = tmp_path / f"{page.stem}-{width}.png"
        what = [f"--window-size={width},{height}", f"--screenshot={picture}", page.resolve().as_uri()]
        done = subprocess.run([*command, *what], capture_output=True, text=True, timeout=600)
        assert picture.exists(), done.stderr[-2000:]
        return [line for line in done.stderr.splitlines() if re.search(r":CONSOLE[:(]", line)], picture

    return visit
