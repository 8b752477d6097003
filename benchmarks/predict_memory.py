"""Memory of `reslearn predict -o` while it runs: resident bytes every second, and how they grow with the pictures.

    python benchmarks/predict_memory.py RUN cifar10-jpeg cifar10-jpeg                   # 110,000 pictures
    python benchmarks/predict_memory.py RUN list.csv --format csv --json

Each sample says how many pictures are answered, by the parts that are on the disk. Those before a quarter of the
pictures are the start; a line is fitted through the others. Prints machine, pictures, seconds, samples, the smallest
and largest of them, and the line's slope.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from train_throughput import print_machine

from reslearn.predictor.writing import PART

MIB = 1 << 20


def resident(pid):
    """Resident bytes of a process, as Linux tells them; 0 once it has ended."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def watched(words, out, every):
    """(parts that are written, resident MiB) of a command's process until it ends, and what it printed."""
    samples, parts = [], Path(f"{out}.parts")
    with tempfile.TemporaryFile("w+", encoding="utf-8") as printed:
        process = subprocess.Popen(words, stdout=printed, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            used, written = resident(process.pid), len(list(parts.glob("part-*")))
            if used and written:
                samples.append((written, used / MIB))
            time.sleep(every)
        if process.returncode:
            sys.exit(f"{' '.join(words)} ended with {process.returncode}")
        printed.seek(0)
        return np.array(samples, np.float64).reshape(-1, 2), json.load(printed)


def summary(samples, done):
    """What the samples say from a quarter of the pictures on. The slope is in MiB for 100,000 pictures."""
    parts = -(-done["pictures"] // PART)
    settled = samples[samples[:, 0] >= parts / 4]
    if len(np.unique(settled[:, 0])) < 3:
        sys.exit("too few samples: give more pictures, or a smaller --every")
    slope = np.polyfit(settled[:, 0] * PART, settled[:, 1], 1)[0]
    return {
        "pictures": done["pictures"],
        "seconds": round(done["seconds"], 1),
        "samples": len(settled),
        "least_mib": round(settled[:, 1].min(), 1),
        "most_mib": round(settled[:, 1].max(), 1),
        "slope_mib": round(slope * 100_000, 2),
        "engine": done["engine"],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", nargs="+")
    parser.add_argument("--format", default="parquet", choices=("parquet", "csv", "jsonl"))
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two samples")
    parser.add_argument("--engine", default="torch")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / f"answers.{options.format}"
        words = [sys.executable, "-m", "reslearn", "predict", options.model, *options.data, "-o", str(out), "--json"]
        found = summary(*watched([*words, "--engine", options.engine], out, options.every))
    if options.json:
        print(json.dumps(found))
        return
    print_machine()
    print(f"{found['pictures']:,} pictures in {found['seconds']:,} s on {found['engine']}, to .{options.format}")
    print(f"{found['samples']} samples, {found['least_mib']:,} .. {found['most_mib']:,} MiB")
    print(f"slope {found['slope_mib']:+.2f} MiB for 100,000 pictures")


if __name__ == "__main__":
    main()
