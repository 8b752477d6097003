"""Pictures in a store against the same on a disk, and what walking through shards costs in accuracy.

    python benchmarks/stores.py shuffle --data cifar10-jpeg --out runs/shuffle     three seeds of each way to shuffle

Prints the machine, the versions, n, means or medians, and spreads.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
from data import about

from reslearn.data.care.shard_writing import write_shards
from reslearn.data.sources import open_data

SHARDS = 40  # of the training pictures
NETWORK, SMALL = "resnet20_cifar", ["--set", "spec.stage_blocks=1,1,1"]  # ResNet-8
ARMS = {  # the folder of shards, and how they are walked through
    "full shuffle": ("drawn", ["augment.sampler=shuffle"]),
    "drawn shards, window 4": ("drawn", ["augment.sampler=shards", "augment.shard_window=4"]),
    "class by class, window 4": ("ordered", ["augment.sampler=shards", "augment.shard_window=4"]),
    "class by class, window 20": ("ordered", ["augment.sampler=shards", "augment.shard_window=20"]),
}
T_975 = {2: 4.303, 4: 2.776, 8: 2.306}  # Student's, by degrees of freedom


def ordered_shards(data: str, folder: Path) -> None:
    """As many shards as the drawn ones, class after class: the order in which a folder is walked."""
    source = open_data(data)
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in source.splits.items():
        rows = np.asarray(rows)[np.argsort(source.labels[rows], kind="stable")]
        for number, part in enumerate(np.array_split(rows, SHARDS if split == "train" else 1)):
            with tarfile.open(folder / f"{split}-{number:05d}.tar", "w") as tar:
                for row in map(int, part):
                    label = source.classes[int(source.labels[row])].encode()
                    for name, content in ((f"{row:09d}.jpg", source.reader.raw(row)), (f"{row:09d}.cls", label)):
                        member = tarfile.TarInfo(name)
                        member.size = len(content)
                        tar.addfile(member, io.BytesIO(content))


def drawn_shards(data: str, folder: Path) -> None:
    """As `data pack --shards` writes them, SHARDS of them for training."""
    source = open_data(data)
    share = len(source.splits["train"]) / len(source)
    write_shards(source, folder, round(SHARDS / share))


def reslearn(*arguments: str) -> dict:
    """What a command prints with `--json`."""
    command = [sys.executable, "-m", "reslearn", *arguments, "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def shuffle(data: str, out: Path, seeds: int, epochs: str, only: list[str]) -> None:
    """Train every arm with every seed, unless its run is there, and compare test errors. `only` arms, where named."""
    for name, write in (("drawn", drawn_shards), ("ordered", ordered_shards)):
        if not (out / name).exists():
            write(data, out / name)
    errors: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for arm, (name, settings) in ARMS.items():
        for seed in range(seeds):
            run = out / f"{arm.replace(', ', '-').replace(' ', '-')}-{seed}"
            if only and f"{arm} {seed}" not in only:
                continue
            if not (run / "model.safetensors").exists():
                changes = [word for setting in settings for word in ("--set", setting)]
                reslearn("train", str(out / name), "--model", NETWORK, "--recipe", "fast-cifar", *SMALL, *changes,
                         "--epochs", epochs, "--val-fraction", "0", "--seed", str(seed), "--out", str(run))  # fmt: skip
            errors[arm].append(reslearn("evaluate", str(run), str(out / name))["top1_error"])
            print(f"{arm}, seed {seed}: {errors[arm][-1]:.2f} %", file=sys.stderr)
    print(f"test error of ResNet-8 after {epochs} epochs of fast-cifar, {SHARDS} shards, n = {seeds} seeds\n")
    print("| order | test error, mean (each) | SD | against the full shuffle, 95 % |\n|---|---|---|---|")
    base = errors["full shuffle"]
    for arm, found in errors.items():
        if len(found) == seeds:
            each = ", ".join(f"{value:.2f}" for value in found)
            print(f"| {arm} | {statistics.mean(found):.2f} % ({each}) | {statistics.stdev(found):.2f} | ", end="")
            print(f"{difference(found, base)} |" if found is not base and len(base) == seeds else "|")


def difference(some: list[float], base: list[float]) -> str:
    """The difference of two means with its 95 % interval, of equally many values with one variance."""
    n = len(some)
    error = ((statistics.variance(some) + statistics.variance(base)) / n) ** 0.5
    return f"{statistics.mean(some) - statistics.mean(base):+.2f} ± {T_975.get(2 * n - 2, 2.1) * error:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["shuffle"])
    parser.add_argument("--data", default="cifar10-jpeg", help="class folders in train/ and test/")
    parser.add_argument("--out", type=Path, default=Path("runs/stores"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", default="8")
    parser.add_argument("--only", action="append", default=[], help="'ARM SEED': this alone")
    options = parser.parse_args()
    about()
    shuffle(options.data, options.out, options.seeds, options.epochs, options.only)


if __name__ == "__main__":
    main()
