"""Time to accuracy of `speed-cifar`: whole trainings from an empty compiler cache, counted in epochs of the eager loop.

    python benchmarks/speed_cifar.py cifar10-jpeg --seeds 3

Before each training the eager fp32 NCHW loop over a hand-written ResNet-20 is timed. A training's time is that of
the whole command, imports, decoding, compilation and sealing included. It is also told in operations (two for each
multiply-add, backward twice forward), beside the time that cifar10-airbench's 0.36 PFLOP (2404.00498, 94 %) would take
at the best matrix rate known of this machine. Test pictures are read once per seed, with `1-crop` and
`1-crop+flip+shift` (six views), and nothing is chosen by them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from train_throughput import eager_loop, print_machine, run

from reslearn.runtime.choice import this_machine
from reslearn.spec.catalogue import get_spec
from reslearn.spec.codec import set_fields
from reslearn.spec.cost import cost
from reslearn.spec.recipes import get_recipe

PROTOCOLS = ("1-crop", "1-crop+flip+shift")
EPOCH = 50_000  # pictures
AIRBENCH = 0.36e15  # operations of cifar10-airbench's training to 94 %


def timed(command, **environ):
    """What a command prints, and its seconds."""
    began = time.perf_counter()
    return run(command, **environ), time.perf_counter() - began


def operations(changes):
    """Of the whole training: two for each multiply-add, at the size that each part of the budget has."""
    recipe = set_fields(get_recipe("speed-cifar"), dict(change.split("=", 1) for change in changes))
    spec = get_spec("resnet_speed_cifar")
    pictures = recipe.total_steps(EPOCH) * recipe.batch_size
    small = recipe.small_part if recipe.small_size else 0.0
    macs = small * cost(spec, recipe.small_size or 32).macs + (1 - small) * cost(spec, 32).macs
    return 6 * macs * pictures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], help="a change of the recipe, as `reslearn train` has it")
    options = parser.parse_args()
    print_machine()
    eager = eager_loop("resnet20", "--steps", "40")
    reslearn = [sys.executable, "-m", "reslearn"]
    changes = [word for change in options.set for word in ("--set", change)]
    rows = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        rate = run(eager)["images_per_second"]
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "run")
            train = ["train", options.data, "--model", "resnet_speed_cifar", "--recipe", "speed-cifar", "--json"]
            train += ["--val-fraction", "0", "--seed", str(seed), "--out", out, *changes]
            _, seconds = timed([*reslearn, *train], TORCHINDUCTOR_CACHE_DIR=str(Path(folder) / "cache"))
            wanted = [word for name in PROTOCOLS for word in ("--protocol", name)]
            scored, reading = timed([*reslearn, "evaluate", out, options.data, "--split", "test", *wanted, "--json"])
        right = [100 * score["top1"] for score in scored]
        rows.append((seconds, rate, seconds * rate / EPOCH, *right))
        print(
            f"seed {seed}: {seconds:.0f} s and {reading:.0f} s to evaluate; eager loop {rate:.0f} images/s; "
            f"{rows[-1][2]:.2f} of its epochs; " + "  ".join(map("{} {:.2f} %".format, PROTOCOLS, right)),
            flush=True,
        )
    names = ("seconds", "eager images/s", "eager epochs", *PROTOCOLS)
    work = operations(options.set)
    rates = this_machine().rates
    best = max(rates.matrix.get(name, 0.0) for name in ("fp32", "bf16")) * 1e9 if rates else None
    seconds = statistics.mean(row[0] for row in rows)
    print(
        f"operations of a training: {work / 1e15:.2f} PFLOP, {work / seconds / 1e9:.0f} GFLOP/s over the whole command"
    )
    if best:
        print(f"cifar10-airbench's 0.36 PFLOP at {best / 1e9:.0f} GFLOP/s ({rates.source}): {AIRBENCH / best:.0f} s")
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{name:18s} mean {statistics.mean(values):.2f}, std {spread:.2f}, n {len(values)}")


if __name__ == "__main__":
    main()
