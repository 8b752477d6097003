"""How fast data comes in. Each side is a process of its own on one core; rounds alternate; ratios are per round.

    python benchmarks/data.py crops --photos photos-100.tar     decode + random resized crop to 224, against Pillow
    python benchmarks/data.py resident                          CIFAR augmentation against a resnet20_cifar step
    python benchmarks/data.py memory                            a process tree's memory over 20 epochs with workers
    python benchmarks/data.py listing                           a folder of a million (empty) files

Prints the machine, the versions, n, medians and spreads.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

SIZE = 224


def photographs(path: str) -> list[bytes]:
    """The encoded pictures of a tar."""
    with tarfile.open(path) as tar:
        return [tar.extractfile(m).read() for m in tar if m.isfile()]


def boxes(shapes: list[tuple[int, int]]):
    """The same random boxes for every side."""
    import numpy as np

    from reslearn.data.augment.crops import random_resized_box
    from reslearn.runtime.random import uniform
    from reslearn.spec.recipe import Augment

    draws = uniform(0, "benchmark", np.arange(len(shapes)), 40)
    return [random_resized_box(h, w, d, Augment()) for (h, w), d in zip(shapes, draws, strict=True)]


def side_pillow(raws, _):
    """What torchvision does: open, convert, crop, bilinear resize of a Pillow image, then an array."""
    import numpy as np
    from PIL import Image

    cut = boxes([Image.open(io.BytesIO(raw)).size[::-1] for raw in raws])

    def work():
        for raw, (top, left, h, w) in zip(raws, cut, strict=True):
            image = Image.open(io.BytesIO(raw)).convert("RGB").crop((left, top, left + w, top + h))
            np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR))

    return work


def side_ours(raws, resize):
    """decode_bytes, then the crop that training takes; `resize` is antialias or aliased."""
    from reslearn.data.augment.crops import cut_box
    from reslearn.data.formats.decode import decode_bytes
    from reslearn.spec.recipe import Augment

    augment = Augment(crop="random-resized", resize=resize)
    cut = boxes([decode_bytes(raw, "").shape[:2] for raw in raws])

    def work():
        for raw, box in zip(raws, cut, strict=True):
            cut_box(decode_bytes(raw, ""), box, SIZE, augment)

    return work


def side_pack(raws, encoding):
    """The same crop from a pack resized to 256."""
    from reslearn.data.augment.crops import cut_box
    from reslearn.data.formats.pack_index import PackOptions
    from reslearn.data.formats.packing import write_pack
    from reslearn.data.sources import open_data
    from reslearn.spec.recipe import Augment

    folder = tempfile.TemporaryDirectory()
    for i, raw in enumerate(raws):
        place = Path(folder.name) / "photos" / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i:03d}.jpg").write_bytes(raw)
    source = open_data(Path(folder.name) / "photos")
    pack = write_pack(source, Path(folder.name) / "a.pack", PackOptions(encoding, 256))
    augment = Augment(crop="random-resized")
    cut = boxes([pack.read(i)[0].shape[:2] for i in range(len(pack))])

    def work(keep=folder):
        for i, box in enumerate(cut):
            cut_box(pack.read(i)[0], box, SIZE, augment)

    return work


SIDES = {
    "pillow": (side_pillow, None),
    "antialias": (side_ours, "antialias"),
    "aliased": (side_ours, "aliased"),
    "pack-256-raw": (side_pack, "raw"),
    "pack-256-jpeg": (side_pack, "jpeg"),
}


def run_side(name: str, photos: str) -> None:
    """One side, in this process: a pass over the pictures whenever it is asked for, in images per second of CPU time.

    One thread does all of it, so CPU time is its wall time on an idle core, and other work on the machine matters less.
    """
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    raws = photographs(photos)
    make, option = SIDES[name]
    work = make(raws, option)
    work()
    for _ in sys.stdin:  # one pass for each line
        start = time.process_time()
        work()
        print(len(raws) / (time.process_time() - start), flush=True)


def child(*arguments: str) -> float:
    """A number that this script prints when run with these arguments."""
    out = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True)
    return float(json.loads(out.stdout.strip().splitlines()[-1]))


def spread(values: list[float], form: str = "{:.2f}") -> str:
    """median (smallest to largest)"""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{form.format(middle)} ({form.format(low)} to {form.format(high)})"


def crops(photos: str, rounds: int) -> None:
    """Decode and crop: every side against Pillow, a process each, one pass in turn."""
    command = [sys.executable, __file__, "side", "--photos", photos, "--name"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    sides = {name: subprocess.Popen([*command, name], **pipes) for name in SIDES}
    rates: dict[str, list[float]] = {name: [] for name in SIDES}
    for turn in range(rounds + 1):
        for name, side in sides.items():
            side.stdin.write("go\n")
            rate = float(side.stdout.readline())
            if turn:  # the first pass only tells that all are ready
                rates[name].append(rate)
    for side in sides.values():
        side.communicate()
    print(f"decode + random resized crop to {SIZE}, one core, {len(photographs(photos))} photographs, n = {rounds}\n")
    print("| side | images/s per core | times Pillow |\n|---|---|---|")
    for name, values in rates.items():
        ratios = [value / base for value, base in zip(values, rates["pillow"], strict=True)]
        print(f"| {name} | {spread(values, '{:.0f}')} | {spread(ratios)} |")


def augment_ms(threads: int) -> float:
    """Milliseconds of one resident CIFAR batch of 128: gather, pad-crop, flip, normalise."""
    import numpy as np
    import torch

    from reslearn.data.loaders import train_loader
    from reslearn.data.memory import ArrayDataset
    from reslearn.data.preprocess import Normalise
    from reslearn.runtime.allocator import tune
    from reslearn.spec.preprocess import default_preprocess
    from reslearn.spec.recipes import get_recipe

    tune()  # as the command does before it trains
    torch.set_num_threads(threads)
    draws = np.random.default_rng(0)
    pictures, labels = draws.integers(0, 256, (50_000, 32, 32, 3), dtype=np.uint8), draws.integers(0, 10, 50_000)
    data = ArrayDataset(pictures, labels, classes=[str(i) for i in range(10)], ids=[str(i) for i in range(50_000)])
    loader = train_loader(
        data,
        normalise=Normalise(default_preprocess(32)),
        augment=get_recipe("paper-cifar").augment,
        batch_size=128,
        seed=0,
        kind="resident",
    )
    times, before = [], time.perf_counter()
    for _ in loader.batches(0, 800):
        times.append(time.perf_counter() - before)
        before = time.perf_counter()
    return 1000 * statistics.median(times[50:])


def resident(rounds: int) -> None:
    """Augmentation as a share of a training step, each measured in its own process, alternating."""
    threads = len(os.sched_getaffinity(0))
    ours: dict[int, list[float]] = {n: [] for n in sorted({1, threads})}
    steps: list[float] = []
    for _ in range(rounds):
        command = [sys.executable, "-m", "reslearn", "bench", "train", "--model", "resnet20_cifar", "--json"]
        out = subprocess.run(command, check=True, capture_output=True, text=True)
        steps.append(128_000 / json.loads(out.stdout)["images_per_second"])
        for n, values in ours.items():
            values.append(child("augment", "--threads", str(n)))
    print(f"resident CIFAR augmentation, batch 128, n = {rounds}\n\n| | ms | share of the step |\n|---|---|---|")
    print(f"| resnet20_cifar step, `reslearn bench train` | {spread(steps, '{:.1f}')} | |")
    for n, values in ours.items():
        shares = [100 * value / step for value, step in zip(values, steps, strict=True)]
        print(f"| augmentation, {n} thread(s) | {spread(values)} | {spread(shares)} % |")


def memory(epochs: int) -> None:
    """The memory of this process and its workers after each of `epochs` epochs."""
    import numpy as np
    import torch
    from PIL import Image

    from reslearn.data.loaders import train_loader
    from reslearn.data.preprocess import Normalise
    from reslearn.data.sources import open_data
    from reslearn.runtime.allocator import tune
    from reslearn.spec.preprocess import default_preprocess
    from reslearn.spec.recipe import Augment

    tune()  # as the command does before it trains
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        draws = np.random.default_rng(0)
        for i in range(2000):
            place = Path(folder) / f"class{i % 10}"
            place.mkdir(exist_ok=True)
            pixels = np.repeat(np.repeat(draws.integers(0, 256, (12, 16, 3), dtype=np.uint8), 8, 0), 8, 1)
            Image.fromarray(pixels).save(place / f"{i:05d}.jpg")
        loader = train_loader(
            open_data(folder),
            normalise=Normalise(default_preprocess(64)),
            augment=Augment(crop="random-resized", flip="random", jitter=0.4, pca=0.1),
            batch_size=100,
            seed=0,
            workers=2,
        )
        used = []
        for epoch in range(epochs):
            for _ in loader.batches(epoch * 20, (epoch + 1) * 20):
                pass
            used.append(tree_memory())
    print(f"private memory of the process and 2 workers, MiB after each of {epochs} epochs:")
    print(" ".join(f"{value:.0f}" for value in used))
    settled = used[len(used) // 2 :]
    print(f"in the second half: {settled[-1] - settled[0]:+.1f} MiB")


def tree_memory() -> float:
    """MiB that this process and its children hold for themselves (libraries that others map too are not theirs)."""
    me = os.getpid()
    pids = [me, *map(int, Path(f"/proc/{me}/task/{me}/children").read_text(encoding="utf-8").split())]
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                total += int(line.split()[1])
    return total / 1024


def listing(count: int, rounds: int, folder: str | None) -> None:
    """Time and memory to list a folder of `count` empty files in 1,000 classes, each round in its own process."""
    with tempfile.TemporaryDirectory(dir=folder) as root:
        each = count // 1000
        for c in range(1000):
            place = Path(root) / "train" / f"n{c:08d}"
            place.mkdir(parents=True)
            handle = os.open(place, os.O_RDONLY)
            for i in range(each):
                os.close(os.open(f"n{c:08d}_{i:06d}.JPEG", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
            os.close(handle)
        code = (
            "import json, resource, sys, time; from reslearn.data.sources import open_data; t = time.perf_counter();"
            "d = open_data(sys.argv[1]); t = time.perf_counter() - t;"
            "print(json.dumps([len(d), t, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))"
        )
        results = []
        for _ in range(rounds):
            out = subprocess.run([sys.executable, "-c", code, root], check=True, capture_output=True, text=True)
            results.append(json.loads(out.stdout))
    print(f"listing {results[0][0]:,} files in 1,000 class folders, n = {rounds}")
    print(f"seconds: {spread([t for _, t, _ in results])}")
    print(f"peak memory of the whole process, MB: {spread([m * 1.048576 for _, _, m in results], '{:.0f}')}")


def about() -> None:
    """The machine and the versions."""
    import cv2
    import numpy as np
    import PIL
    import torch

    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    load = os.getloadavg()[0]
    print(f"{model}, {os.cpu_count()} cores, load {load:.1f}; Python {platform.python_version()}, torch")
    print(f"{torch.__version__}, OpenCV {cv2.__version__}, Pillow {PIL.__version__}, NumPy {np.__version__}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["crops", "resident", "memory", "listing", "side", "augment"])
    parser.add_argument("--photos", default="../shared/data/photos-100.tar")
    parser.add_argument("--rounds", type=int, default=5, help="use 25 for crops, whose rounds take a second")
    parser.add_argument("--name", choices=list(SIDES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--folder", help="where the million files are made; a RAM disk is quicker")
    options = parser.parse_args()
    if options.what == "side":
        run_side(options.name, options.photos)
    elif options.what == "augment":
        print(json.dumps(augment_ms(options.threads)))
    else:
        about()
        if options.what == "crops":
            crops(options.photos, options.rounds)
        elif options.what == "resident":
            resident(options.rounds)
        elif options.what == "memory":
            memory(options.epochs)
        else:
            listing(options.count, options.rounds, options.folder)


if __name__ == "__main__":
    main()
