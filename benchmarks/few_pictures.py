"""What do published weights give on few pictures? Fine-tuned, as a linear probe, and training from nothing beside them.

    python benchmarks/few_pictures.py cifar10-jpeg resnet20-12fca82f.th --work few

For each seed, 50 pictures of each class are drawn from `train/` of an image folder; 10 of the 50 are held out to choose
on.
Scores are of its whole test split, by which nothing is chosen. What is done stays in the folder --work, and is not
done again.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import sys
from pathlib import Path

from train_throughput import print_machine, run

RESLEARN = [sys.executable, "-m", "reslearn"]
AKAMASTER = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"]
KINDS = ("weights", "probe", "finetune", "nothing")
WORDS = {
    "weights": "the weights as they are",
    "probe": "linear probe on their features",
    "finetune": "fine-tuned, recipe `finetune`",
    "nothing": "from nothing, as many steps",
}
HELD = 0.2  # of the drawn pictures, to choose on


def draw(data, folder, seed, count):
    """Copy so many pictures of every class of `data`'s train/ into `folder`'s."""
    draws = random.Random(seed)
    for label in sorted(path.name for path in (data / "train").iterdir()):
        (folder / "train" / label).mkdir(parents=True)
        names = sorted(path.name for path in (data / "train" / label).iterdir())
        for name in draws.sample(names, count):
            shutil.copy(data / "train" / label / name, folder / "train" / label / name)


def seal_probe(weights, pictures, seed, out):
    """The network of `weights` with the last layer that `train` puts there before its first step, as a sealed file."""
    import torch

    import reslearn
    from reslearn.data.memory import Subset
    from reslearn.data.parts.splits import choose_splits
    from reslearn.data.sources import open_data
    from reslearn.measure.features import linear_probe

    model, data = reslearn.load(weights), open_data(pictures)
    splits = choose_splits(data, val_fraction=HELD, split_seed=seed)
    train, val = (Subset(data, splits[name]) for name in ("train", "val"))
    _, head = linear_probe(model.net, model.normalise, train, val)
    with torch.no_grad():
        model.net.head.fc.weight.copy_(torch.from_numpy(head.weight))
        model.net.head.fc.bias.copy_(torch.from_numpy(head.bias))
    how = model.bundle.preprocess
    reslearn.save(out, model.net, preprocess=how, classes=data.classes, train_data=train, val_data=val)


def made(kind, options, seed):
    """Train what is asked for, and say where it is."""
    work, few = Path(options.work), Path(options.work) / f"few-{seed}"
    weights, out = work / "weights.safetensors", work / f"{kind}-{seed}"
    if not weights.exists():
        model = ["--model", options.model, "--class-names", str(options.data), *AKAMASTER]
        run([*RESLEARN, "convert", options.weights, *model, "-o", str(weights), "--json"])
    if not few.exists():
        draw(Path(options.data), few, seed, options.count)
    if kind == "weights":
        return weights
    if kind == "probe":
        seal_probe(str(weights), str(few), seed, str(out))
        return out
    words = ["--model", options.model, "--val-fraction", str(HELD), "--seed", str(seed), "--split-seed", str(seed)]
    words += ["--recipe", "finetune", "--weights", str(weights)] if kind == "finetune" else ["--recipe", "fast-cifar"]
    if kind == "nothing":
        from reslearn.spec.recipes import RECIPES

        words += ["--set", f"epochs={RECIPES['finetune'].epochs:g}", "--set", "batch_size=64"]
    run([*RESLEARN, "train", str(few), *words, "--out", str(out), "--overwrite", "--json"])
    return out


def scored(kind, options, seed):
    """Top-1 and its interval in percent on the test pictures, measured now or before."""
    seed = 0 if kind == "weights" else seed  # they are the same whatever is drawn
    file = Path(options.work) / f"{kind}-{seed}.json"
    if not file.exists():
        model = made(kind, options, seed)
        found = run([*RESLEARN, "evaluate", str(model), str(options.data), "--split", "test", "--json"])
        file.write_text(json.dumps(found))
    found = json.loads(file.read_text())
    return 100 * found["top1"], [100 * end for end in found["top1_interval"]]


def print_table(found, seeds):
    """Markdown: a row for each kind, a column for each seed, the mean; then what each is better by than the probe."""
    print(f"\n| | {' | '.join(f'seed {seed}' for seed in seeds)} | mean |\n{'|---' * (len(seeds) + 2)}|")
    for kind in KINDS:
        scores = [found[kind, seed] for seed in seeds]
        cells = [f"{top1:.2f} % ({low:.2f} to {high:.2f})" for top1, (low, high) in scores]
        print(f"| {WORDS[kind]} | {' | '.join(cells)} | {statistics.mean(top1 for top1, _ in scores):.2f} % |")
    for kind in ("weights", "nothing", "probe"):
        gaps = [found["finetune", seed][0] - found[kind, seed][0] for seed in seeds]
        print(
            f"fine-tuned over {WORDS[kind]}: {', '.join(f'{g:+.2f}' for g in gaps)}; mean {statistics.mean(gaps):+.2f}"
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", help="an image folder with train/ and test/")
    parser.add_argument("weights", help="a file of akamaster's layout")
    parser.add_argument("--model", default="resnet20_cifar")
    parser.add_argument("--count", type=int, default=50, help="pictures of each class")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", default="few")
    options = parser.parse_args()
    Path(options.work).mkdir(parents=True, exist_ok=True)
    print_machine()
    found, seeds = {}, range(options.seeds)
    for kind in KINDS:
        for seed in seeds:
            found[kind, seed] = scored(kind, options, seed)
            print(f"seed {seed}, {WORDS[kind]}: {found[kind, seed][0]:.2f} %", flush=True)
    print_table(found, seeds)


if __name__ == "__main__":
    main()
