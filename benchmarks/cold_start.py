"""From the shell to the answer: seconds of whole commands, each in a process of its own, after one that warms the disk.

    python benchmarks/cold_start.py --runs 7

`predict` of one picture and `evaluate` of two, to their end; `train digits` to the line of its first step. The network
is `resnet20_cifar`, trained for a moment. `--imports` shows what each loads and what that costs, by `-X importtime`.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from train_throughput import print_machine

RESLEARN = ["-m", "reslearn"]
HEAVY = 20_000  # microseconds of an import, its own imports included, from which on it is shown


def prepare(folder):
    """A trained model and two pictures of two classes; the words of each command."""
    draws = np.random.default_rng(0)
    for name in ("3", "4"):
        (folder / "pictures" / name).mkdir(parents=True)
        Image.fromarray(draws.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / "pictures" / name / "0.png")
    train = ["train", "digits", "--model", "resnet20_cifar", "--recipe", "demo", "--out"]
    short = [*train, str(folder / "run"), "--set", "iterations=2"]
    subprocess.run([sys.executable, *RESLEARN, *short], check=True, capture_output=True)
    return {
        "predict": ["predict", str(folder / "run"), str(folder / "pictures" / "3" / "0.png")],
        "evaluate": ["evaluate", str(folder / "run"), str(folder / "pictures"), "--no-cache"],
        "train, first step": [*train, str(folder / "first")],
    }


def seconds_of(words):
    """Seconds to the end of a command; of a training, to the line of its first step."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *RESLEARN, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if words[0] == "train":
        for line in process.stderr:
            if re.match(r"step +1/", line):
                break
        passed = time.perf_counter() - began
        process.kill()
        process.communicate()
        return passed
    _, errors = process.communicate()
    if process.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{errors}")
    return time.perf_counter() - began


def imports(words):
    """What a command imports directly or through others, the dear ones, dearest first."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *RESLEARN, *words], capture_output=True, text=True, check=False
    )
    lines = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines() if "|" in line]
    dear = [(int(total), name.strip()) for _, total, name in lines if total.strip().isdigit() and int(total) > HEAVY]
    return sorted(((total, name) for total, name in dear if name.count(".") < 2), reverse=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--imports", action="store_true")
    options = parser.parse_args()
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        commands = prepare(Path(folder))
        for words in commands.values():
            seconds_of([*words, "--overwrite"] if words[0] == "train" else words)
        times = {name: [] for name in commands}
        for _ in range(options.runs):
            for name, words in commands.items():
                times[name].append(seconds_of([*words, "--overwrite"] if words[0] == "train" else words))
        for name, found in times.items():
            low, high = min(found), max(found)
            print(f"{name:18s} {statistics.median(found):.2f} s ({low:.2f} to {high:.2f}), n {len(found)}")
        if options.imports:
            for name, words in commands.items():
                shown = ", ".join(f"{module} {total / 1e6:.2f} s" for total, module in imports(words)[:20])
                print(f"{name}: {shown}")


if __name__ == "__main__":
    main()
