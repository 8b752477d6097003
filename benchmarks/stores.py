"""Pictures in a store against the same on a disk, and what walking through shards costs in accuracy.

    python benchmarks/stores.py throughput --data cifar10-jpeg   shards in a bucket on loopback against local ones
    python benchmarks/stores.py memory --data cifar10-jpeg       memory over 20 epochs (--epochs), of shards in a bucket
    python benchmarks/stores.py shuffle --data cifar10-jpeg      three seeds of each way to shuffle, on a ResNet-8

Prints the machine, the versions, n, means or medians, and spreads.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from data import about, spread, tree_memory

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


@contextlib.contextmanager
def bucket(folder: Path) -> Iterator[dict[str, str]]:
    """The environment in which s3://bucket holds the files of `folder`, in moto's server, a process of its own."""
    server = subprocess.Popen(
        [sys.executable, __file__, "server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    place = server.stdout.readline().strip()
    found = {"AWS_ENDPOINT_URL": place, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "NO_PROXY": "127.0.0.1"}
    os.environ.update(found)
    import s3fs

    fs = s3fs.S3FileSystem(skip_instance_cache=True)
    fs.mkdir("bucket")
    fs.put(str(folder) + "/", "bucket/", recursive=True)
    try:
        yield {**os.environ}
    finally:
        server.terminate()  # workers that were forked hold the other end of its standard input
        server.communicate()


def serve() -> None:
    """moto's server, until nobody listens any more."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print("http://{}:{}".format(*server.get_host_and_port()), flush=True)
    sys.stdin.read()
    server.stop()


def loader_of(data: str, workers: int = 0, sampler: str = "shuffle"):
    """Batches of 100 training pictures, cropped as for CIFAR, and how many make an epoch."""
    import torch

    from reslearn.data.loaders import train_loader
    from reslearn.data.preprocess import Normalise
    from reslearn.runtime.allocator import tune
    from reslearn.spec.preprocess import default_preprocess
    from reslearn.spec.recipe import Augment

    tune()  # as the command does before it trains
    torch.set_num_threads(1)
    found = open_data(data, "train")
    augment = Augment(crop="pad", pad=4, sampler=sampler, shard_window=4)
    loader = train_loader(found, normalise=Normalise(default_preprocess(32)), augment=augment, batch_size=100, seed=0,
                          workers=workers, kind="streaming")  # fmt: skip
    return loader, len(found) // 100


def side(data: str) -> None:
    """One side, in this process: an epoch for each line, in images per second of wall and of CPU time."""
    loader, steps = loader_of(data)
    for turn, _ in enumerate(sys.stdin):
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in loader.batches(turn * steps, (turn + 1) * steps):
            pass
        found = [100 * steps / (time.perf_counter() - wall), 100 * steps / (time.process_time() - cpu)]
        print(json.dumps(found), flush=True)


def throughput(data: str, rounds: int) -> None:
    """Epochs from a bucket on loopback with a warm cache, and from the same shards on the disk, in turn."""
    with tempfile.TemporaryDirectory() as root:
        drawn_shards(data, Path(root) / "set")
        with bucket(Path(root) / "set") as environment:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
            command = [sys.executable, __file__, "side", "--data"]
            own = {**environment, "XDG_CACHE_HOME": str(Path(root) / "cache")}
            places = {"local tars": str(Path(root) / "set"), "bucket": "s3://bucket"}
            sides = {name: subprocess.Popen([*command, place], env=own, **pipes) for name, place in places.items()}
            rates: dict[str, list[list[float]]] = {name: [] for name in sides}
            for turn in range(rounds + 1):
                for name, one in sides.items():
                    one.stdin.write("go\n")
                    rate = json.loads(one.stdout.readline())
                    if turn:  # the first epoch fills the cache
                        rates[name].append(rate)
                    elif name == "bucket":
                        cold = rate[0]
            for one in sides.values():
                one.communicate()
    print(f"an epoch of {data} as {SHARDS} shards, JPEG decoded and cropped to 32, one thread, n = {rounds}\n")
    print("| from | images/s | of local | images/s of CPU time | of local |\n|---|---|---|---|---|")
    for name, found in rates.items():
        cells = []
        for kind in (0, 1):
            values, base = [one[kind] for one in found], [one[kind] for one in rates["local tars"]]
            shares = [100 * value / local for value, local in zip(values, base, strict=True)]
            cells += [spread(values, "{:.0f}"), "" if name == "local tars" else f"{spread(shares, '{:.1f}')} %"]
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"\nthe first epoch from the bucket, which fills the cache: {cold:.0f} images/s")


def memory(data: str, epochs: int) -> None:
    """Private memory of a process and 2 workers after each epoch of 100 shards, and how it grows by least squares."""
    with tempfile.TemporaryDirectory() as root:
        few = Path(root) / "few"
        source = open_data(data)
        for row in map(int, np.asarray(source.splits["train"])[:: len(source.splits["train"]) // 1000][:1000]):
            place = few / "train" / source.classes[int(source.labels[row])]
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{row}.jpg").write_bytes(source.reader.raw(row))
        write_shards(open_data(few), Path(root) / "set", 100)
        size = sum(path.stat().st_size for path in (Path(root) / "set").iterdir())
        os.environ["XDG_CACHE_HOME"] = str(Path(root) / "cache")
        with bucket(Path(root) / "set"):
            for cache in ("1GB", f"{size // 5000}KB"):  # holds all; holds a fifth
                loader, steps = loader_of(f"s3://bucket#cache={cache}", 2, "shards")
                used, living = [], []
                for epoch in range(epochs):
                    for _ in loader.batches(epoch * steps, (epoch + 1) * steps):
                        pass
                    used.append(tree_memory())
                    living.append(in_use())
                print(f"1,000 pictures in 100 shards, window 4, a cache of {cache}, 2 workers; MiB after each epoch:")
                print(" ".join(f"{value:.0f}" for value in used))
                print(f"of the process, in use by glibc's count: {spread(living, '{:.1f}')}")
                print(
                    "MiB an epoch: second half", slope(used[epochs // 2 :]), "last third", slope(used[-epochs // 3 :])
                )
                print()


class _Mallinfo(ctypes.Structure):
    """glibc's `mallinfo2`: ten counts, of which the eighth is the bytes that are given out."""

    _fields_ = [("counts", ctypes.c_size_t * 10)]


def in_use() -> float:
    """MiB of this process that glibc has given out and not got back."""
    ask = ctypes.CDLL("libc.so.6").mallinfo2
    ask.restype = _Mallinfo
    return ask().counts[7] / 2**20


def slope(values: list[float]) -> str:
    """By least squares, with two standard errors."""
    found, covariance = np.polyfit(np.arange(len(values)), values, 1, cov=True)
    return f"{found[0]:+.2f} ± {2 * covariance[0, 0] ** 0.5:.2f}"


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
    parser.add_argument("what", choices=["throughput", "memory", "shuffle", "server", "side"])
    parser.add_argument("--data", default="cifar10-jpeg", help="class folders in train/ and test/")
    parser.add_argument("--out", type=Path, default=Path("runs/stores"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", help="5 of shuffle, 20 of memory")
    parser.add_argument("--only", action="append", default=[], help="'ARM SEED': this alone")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.what == "server":
        return serve()
    if options.what == "side":
        return side(options.data)
    about()
    if options.what == "throughput":
        throughput(options.data, options.rounds)
    elif options.what == "memory":
        memory(options.data, int(options.epochs or 20))
    else:
        shuffle(options.data, options.out, options.seeds, options.epochs or "5", options.only)


if __name__ == "__main__":
    main()
