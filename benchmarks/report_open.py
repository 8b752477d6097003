"""How large a report of 1,000 classes is, and how long a browser takes to open it.

    python benchmarks/report_open.py [--rounds 7]

Opens the page and an empty one in headless Chromium, alternating, and prints the difference.
"""

from __future__ import annotations

import argparse
import io
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from reslearn.report.pages import render
from reslearn.report.values import Bins, ClassRow, Confused, Curves, Details, Picture, Report

CLASSES, PICTURES, STEPS, SHOTS = 1000, 50_000, 450_000, 12


def picture(draw: np.random.Generator, number: int) -> Picture:
    """Noise: the worst that JPEG can be given."""
    buffer = io.BytesIO()
    Image.fromarray(draw.integers(0, 255, (180, 240, 3), dtype=np.uint8)).save(buffer, "JPEG", quality=82)
    return Picture(
        data=buffer.getvalue(), width=240, height=180, truth=f"class {number}", predicted=f"class {number + 1}",
        probability=0.9, truth_probability=0.01, name=f"val/n{number:08d}/ILSVRC2012_val_{number:08d}.JPEG",
    )  # fmt: skip


def report() -> Report:
    """Everything a run on ImageNet would show: 90 epochs, 450,000 steps."""
    draw = np.random.default_rng(0)
    truth = draw.integers(0, CLASSES, PICTURES)
    said = np.where(draw.random(PICTURES) < 0.76, truth, draw.integers(0, CLASSES, PICTURES))
    confusion = np.zeros((CLASSES, CLASSES), np.int64)
    np.add.at(confusion, (truth, said), 1)
    at, ends = np.linspace(0, 90, STEPS), np.arange(1.0, 91)
    middle = (np.arange(15) + 0.5) / 15
    names = tuple(f"n{i:08d} some long name of a class" for i in range(CLASSES))
    details = Details(
        split="val",
        confusion=confusion,
        classes=names,
        per_class=tuple(ClassRow(name=n, support=50, precision=0.7, recall=0.7, f1=draw.random()) for n in names),
        macro_f1=0.7,
        weighted_f1=0.7,
        confused=(Confused(truth=names[0], answer=names[1], count=9, share=0.2),),
        bins=Bins(confidence=middle, accuracy=middle, count=draw.integers(1, 9000, 15)),
        ece=0.02,
        mistakes=tuple(picture(draw, i) for i in range(SHOTS)),
        hardest=tuple(picture(draw, i) for i in range(SHOTS)),
    )
    curves = Curves(
        step_epoch=at, step_loss=7 * np.exp(-at / 20) + draw.random(STEPS), step_lr=np.exp(-at / 30), epoch=ends,
        train_error=99 / ends, val_error=99 / ends, train_loss=7 / ends, val_loss=7 / ends,
    )  # fmt: skip
    return Report(name="imagenet", summary="resnet50", curves=curves, details=(details,))


def seconds_to_open(browser: str, page: Path) -> float:
    """From starting the browser until it has laid the page out and printed its document."""
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
        command += [f"--user-data-dir={profile}", "--window-size=1280,2000", f"--screenshot={profile}/page.png"]
        start = time.perf_counter()
        subprocess.run([*command, page.as_uri()], check=True, capture_output=True)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    start = time.perf_counter()
    text = render(report())
    print(f"machine   {platform.machine()}, Python {platform.python_version()}, n = {rounds}")
    print(f"rendered  {time.perf_counter() - start:.2f} s, {len(text.encode()) / 1e6:.2f} MB (limit 15 MB)")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        print("opened    not measured: no Chromium here")
        return
    with tempfile.TemporaryDirectory() as folder:
        page, empty = Path(folder) / "report.html", Path(folder) / "empty.html"
        page.write_text(text)
        empty.write_text("<title>empty</title>")
        pairs = [(seconds_to_open(browser, page), seconds_to_open(browser, empty)) for _ in range(rounds)]
    gaps = sorted(full - bare for full, bare in pairs)
    spread = f"{gaps[0]:.2f} to {gaps[-1]:.2f}"
    print(f"opened    {statistics.median(gaps):.2f} s more than an empty page (limit 3 s), spread {spread}")
    print(f"          browser start included: median {statistics.median(full for full, _ in pairs):.2f} s")


if __name__ == "__main__":
    main()
