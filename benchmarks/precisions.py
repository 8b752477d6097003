"""Do both precisions of training reach the same score? Whole trainings, some seeds each, in turn.

    python benchmarks/precisions.py digits --recipe demo
    python benchmarks/precisions.py cifar10-jpeg --recipe fast-cifar

Scores are fp32 whatever the training's precision, on the test pictures, by which nothing is chosen. The two means are
compared with the seeds' spread: the difference against its standard error.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
from pathlib import Path

from train_throughput import print_machine, run

RESLEARN = [sys.executable, "-m", "reslearn"]


def score(data, options, precision, seed):
    """Top-1 in percent of the test pictures after one training."""
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "run")
        words = ["--model", options.model, "--recipe", options.recipe, "--precision", precision, "--seed", str(seed)]
        run([*RESLEARN, "train", data, *words, "--out", out, "--json"])
        return 100 * run([*RESLEARN, "evaluate", out, data, "--split", "test", "--json"])["top1"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--model", default="resnet20_cifar")
    parser.add_argument("--recipe", default="demo")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    print_machine()
    found = {"fp32": [], "bf16": []}
    for seed in range(options.seeds):
        for precision, scores in found.items():
            scores.append(score(options.data, options, precision, seed))
            print(f"seed {seed}, {precision}: {scores[-1]:.2f} %", flush=True)
    for precision, scores in found.items():
        print(f"{precision}: mean {statistics.mean(scores):.2f} %, std {statistics.stdev(scores):.2f}, n {len(scores)}")
    difference = statistics.mean(found["bf16"]) - statistics.mean(found["fp32"])
    error = math.sqrt(sum(statistics.variance(scores) / len(scores) for scores in found.values()))
    print(f"bf16 - fp32: {difference:+.2f} points, standard error {error:.2f}")


if __name__ == "__main__":
    main()
