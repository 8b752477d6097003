"""Training throughput against the eager fp32 NCHW loop over a hand-written net, each side in its own process, in turn.

    python benchmarks/train_throughput.py --net resnet20 --runs 5
    python benchmarks/train_throughput.py --net resnet20 --processes 2    # ours: one single-threaded process per core

Prints machine, versions, every run, medians, spread and the ratio pair by pair.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from reslearn.runtime.environment import environment

OURS = {"resnet20": "resnet20_cifar", "resnet18_w64": "resnet18_w64_cifar"}


def run(command, **environ):
    """The JSON on the last line that a process of its own prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environ)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def eager_loop(net, *options):
    """The command of the eager fp32 NCHW loop over a hand-written `net`."""
    return [sys.executable, str(Path(__file__).parent / "baseline_resnet.py"), net, *options]


def print_machine():
    """One line: processor, cores, flags, torch."""
    facts = environment()
    print(f"{facts['cpu']}, {facts['cores']} cores, {' '.join(facts['cpu_flags'])}, torch {facts['packages']['torch']}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", choices=list(OURS), default="resnet20")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--processes", type=int, default=1, help="of ours, under torchrun; the batch is global")
    options = parser.parse_args()
    size = ["--batch", str(options.batch), "--steps", str(options.steps)]
    theirs = eager_loop(options.net, *size)
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(options.processes), "-m"]
    module = [*(launcher if options.processes > 1 else []), "reslearn"]
    ours = [sys.executable, "-m", *module, "bench", "train", "--model", OURS[options.net], *size, "--json"]
    print_machine()
    pairs = []
    for index in range(options.runs):
        pairs.append(tuple(run(side)["images_per_second"] for side in (theirs, ours)))
        slow, fast = pairs[-1]
        print(f"{index + 1}: eager loop {slow:.0f}  reslearn {fast:.0f}  ratio {fast / slow:.2f}", flush=True)
    for name, values in zip(("eager loop", "reslearn"), zip(*pairs, strict=True), strict=True):
        middle, low, high = statistics.median(values), min(values), max(values)
        print(f"{name:10s} median {middle:.0f} images/s, {low:.0f} to {high:.0f}, n {len(values)}")
    ratios = [ours / theirs for theirs, ours in pairs]
    print(f"ratio      median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    main()
