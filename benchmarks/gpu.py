"""What a GPU does with this package, in one command of under 25 minutes.

    python benchmarks/gpu.py --data cifar10-jpeg --photos FOLDER_OF_JPEGS

ResNet-50 at 224 in training and inference (bf16, channels_last, compiled), synthetic and fed from JPEG files, beside
timm's or torchvision's own loop (`gpu_peer.py`; a plain one where neither is installed), each in a process of its own,
in turn; `resnet20_cifar` in images/s and in seconds to 83 % of the test pictures; then cells of P1's table 6 at the
full tier, as far as the time allows, into the store: what is cut off there goes on with the same `reslearn paper run`.
Every rate has its share of the largest matrix products that this GPU was seen to do.

Without a GPU the same is done with small numbers, which mean nothing but that the command works.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from train_throughput import print_machine

from reslearn.spec.catalogue import get_spec
from reslearn.spec.cost import cost

HERE = Path(__file__).parent
RESLEARN = [sys.executable, "-m", "reslearn"]
PEER = [sys.executable, str(HERE / "gpu_peer.py")]
GOAL = 83.0  # percent of CIFAR-10's test pictures


@dataclasses.dataclass(frozen=True)
class Size:
    """How large everything is: for a GPU, or for a look whether the command works."""

    batch: int = 256
    side: int = 224
    steps: int = 60
    rounds: int = 2
    files: int = 2000
    workers: int = os.cpu_count() or 1
    compiled: bool = True
    cifar_batch: int = 512
    tier: str = "full"


SMALL = Size(2, 64, 2, 1, 16, 0, False, 16, "smoke")


class Clock:
    """The time that is left, and processes that keep to it."""

    def __init__(self, minutes):
        self._end = time.monotonic() + 60 * minutes
        self.failed = []

    @property
    def left(self):
        """Seconds until the end."""
        return self._end - time.monotonic()

    def json(self, what, command):
        """The JSON on the last line that a process of its own prints; None where it fails or the time is up."""
        if self.left < 5:
            print(f"{what}: no time left")
            return None
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            printed, errors = process.communicate(timeout=self.left)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)  # a run saves itself, and its `resume` goes on
            process.communicate()
            print(f"{what}: cut off when the time was up")
            return None
        if process.returncode:
            self.failed.append(what)
            print(f"{what}: failed: {errors.strip().splitlines()[-1] if errors.strip() else process.returncode}")
            return None
        return json.loads(printed.splitlines()[-1])


def report(what, rates, macs, per_mac, peak):
    """One line: median, spread, and share of the peak. `per_mac` operations for each multiply-add."""
    rates = [rate for rate in rates if rate]
    if not rates:
        return
    rate = statistics.median(rates)
    share = f", {rate * macs * per_mac / 1e12 / peak:.1%} of the peak" if peak else ""
    print(
        f"{what:44s} {rate:9,.0f} images/s, {min(rates):,.0f} to {max(rates):,.0f}, n {len(rates)}{share}", flush=True
    )


def resnet50(size, precision, clock, peak, photos):
    """Training and inference, ours and theirs in turn; then training from JPEG files."""
    macs = cost(get_spec("resnet50"), size.side).macs
    theirs = ["--batch", size.batch, "--size", size.side, "--steps", size.steps, "--precision", precision]
    theirs += [] if size.compiled else ["--eager", "--warmup", 1]
    ours = ["--model", "resnet50", "--batch", size.batch, "--image-size", size.side, "--steps", size.steps, "--json"]
    ours += ["--precision", precision, "--set", f"compile={str(size.compiled).lower()}"]
    fed = ["--recipe", "se-imagenet", "--data", photos, "--set", f"workers={size.workers}"]
    rounds = {
        "training": (["train"], ["train"], size.rounds),
        "inference": (["infer"], ["infer"], size.rounds),
        "training from JPEG files": (["train", *fed], ["train", "--files", photos, "--workers", size.workers], 1),
    }
    for task, (our_words, their_words, count) in rounds.items():
        found, whose = {"reslearn": [], "peer": []}, "peer"
        key = "sustained" if "files" in task else "images_per_second"
        for _ in range(count):
            mine = clock.json(f"reslearn, {task}", strings([*RESLEARN, "bench", *our_words, *ours]))
            other = clock.json(f"peer, {task}", strings([*PEER, *their_words, *theirs]))
            found["reslearn"].append(mine and mine[key])
            found["peer"].append(other and other["images_per_second"])
            whose = other["net"] if other else whose
        per_mac = 2 if task == "inference" else 6
        report(f"ResNet-50 {task}, reslearn", found["reslearn"], macs, per_mac, peak)
        report(f"ResNet-50 {task}, {whose}", found["peer"], macs, per_mac, peak)


def cifar(size, clock, peak, data, folder):
    """`resnet20_cifar`: images/s, and seconds of training to the goal."""
    words = ["--model", "resnet20_cifar", "--batch", size.cifar_batch, "--steps", size.steps, "--json"]
    words += [] if size.compiled else ["--set", "compile=false"]
    found = clock.json("resnet20_cifar", strings([*RESLEARN, "bench", "train", *words]))
    macs = cost(get_spec("resnet20_cifar"), 32).macs
    report("resnet20_cifar training", [found and found["images_per_second"]], macs, 6, peak)
    out = folder / "cifar"
    recipe = ["--recipe", "fast-cifar"] if size.tier == "full" else ["--recipe", "demo", "--epochs", 2]
    run = ["train", data, "--model", "resnet20_cifar", *recipe, "--out", out, "--json"]
    trained = clock.json("seconds to the goal", strings([*RESLEARN, *run]))
    scored = trained and clock.json("score", strings([*RESLEARN, "evaluate", out, data, "--split", "test", "--json"]))
    if scored:
        top1 = 100 * scored["top1"]
        reached = "" if top1 >= GOAL else f" (the goal of {GOAL:.0f} % is not reached)"
        print(f"resnet20_cifar on {data}: {trained['seconds']:.0f} s of training, {top1:.2f} % of its test{reached}")


def table6(size, clock, data, store):
    """Cells of P1's table 6, one after the other, as far as the time allows."""
    for row in ("ResNet-20", "ResNet-32", "ResNet-44", "ResNet-56"):
        words = [
            "paper",
            "run",
            "p1-table6",
            "--tier",
            size.tier,
            "--rows",
            row,
            "--data",
            data,
            "--store",
            store,
            "--json",
        ]
        found = clock.json(f"table 6, {row}", strings([*RESLEARN, *words]))
        if not found:
            return
        for cell in found["cells"]:
            shown = ", ".join(
                f"{name} {cell[name]}" for name in ("seed", "steps", "test_error", "state") if name in cell
            )
            print(f"table 6, {row}, {size.tier} tier: {shown}", flush=True)
        if size.tier == "smoke":
            return


def strings(words):
    """Every word as text, as a command line has it."""
    return [str(word) for word in words]


def made_up_photos(folder, count):
    """JPEG files of 500 x 375 with smooth noise, about as hard to decode as photographs, in two class folders."""
    draws = np.random.default_rng(0)
    for i in range(count):
        rough = Image.fromarray(draws.integers(0, 256, (94, 125, 3), dtype=np.uint8))
        path = folder / f"class{i % 2}" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        rough.resize((500, 375), Image.Resampling.BICUBIC).save(path, quality=90)
    return folder


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", help="CIFAR-10, as files or an archive; without it, digits")
    parser.add_argument("--photos", help="a folder of class folders of JPEG files; without it, some are made up")
    parser.add_argument("--store", default="runs/paper")
    parser.add_argument("--minutes", type=float, default=24.0)
    options = parser.parse_args()
    gpu = torch.cuda.is_available()
    size = Size() if gpu else SMALL
    size = size if options.data else dataclasses.replace(size, tier="smoke")
    bf16 = gpu and torch.cuda.get_device_capability() >= (8, 0)
    precision = "bf16" if bf16 else "fp16" if gpu else "fp32"
    clock = Clock(options.minutes)
    print_machine()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        found = clock.json("peak", [*PEER, "peak", "--precision", precision])
        peak = found["tflops"] if found else None
        if found:
            print(f"{found['device']}, {precision}: {peak:,.2f} TFLOP/s in large matrix products")
        photos = options.photos or made_up_photos(folder / "photos", size.files)
        resnet50(size, precision, clock, peak, photos)
        data = options.data or "digits"
        cifar(size, clock, peak, data, folder)
        table6(size, clock, data, options.store if options.data else folder / "store")
    print(
        f"{options.minutes - clock.left / 60:.1f} minutes; "
        + ("failed: " + ", ".join(clock.failed) if clock.failed else "all passed")
    )
    sys.exit(bool(clock.failed))


if __name__ == "__main__":
    main()
