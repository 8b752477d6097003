"""Where a training step's time goes, and what share of the processor's matrix rate it reaches.

    python benchmarks/step_profile.py --model resnet20_cifar --precision fp32
    python benchmarks/step_profile.py --model resnet18_w64_cifar --precision fp32 --steps 4

The step is that of `reslearn bench train`: loader, forward, backward, optimiser. Time is that of torch's profiler, with
the threads that a run would use; a compiled step shows what it fuses as one line.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from dataclasses import replace

import torch
from train_throughput import print_machine

from reslearn.data.loaders import train_loader
from reslearn.data.preprocess import Normalise
from reslearn.jobs.bench import random_pictures
from reslearn.nets.build import create_model
from reslearn.runtime.allocator import tune
from reslearn.runtime.choice import decide, this_machine, workload
from reslearn.runtime.load import Watcher
from reslearn.runtime.switches import owned
from reslearn.spec.catalogue import get_spec
from reslearn.spec.cost import cost
from reslearn.spec.preprocess import default_preprocess
from reslearn.spec.recipes import get_recipe
from reslearn.train.update import Update

# Words of an operator's name -> what it belongs to; the first that fits counts.
KINDS = {
    "convolution_backward": "convolutions, backward",
    "convolution": "convolutions, forward",
    "batch_norm": "batch norm",
    "threshold_backward": "ReLU",
    "clamp_min": "ReLU",
    "CompiledFxGraph": "fused by compilation",
    "loader": "loader",
    "Optimizer": "optimiser",
    "aten::add": "additions, the optimiser's too",
}


def kind_of(name):
    """What an operator's own time is counted as."""
    return next((kind for word, kind in KINDS.items() if word in name), "other")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="resnet20_cifar")
    parser.add_argument("--precision", choices=["fp32", "bf16"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--eager", action="store_true")
    parser.add_argument("--ema", action="store_true", help="with a moving average of the weights")
    options = parser.parse_args()
    tuned = tune()
    print_machine()
    spec = get_spec(options.model)
    recipe = replace(get_recipe("fast-cifar"), batch_size=options.batch, ema_decay=0.999 if options.ema else None)
    planned = replace(workload(spec, spec.image_size, options.batch), endless=True)
    settings = decide(planned, device="cpu", precision=options.precision, tuned_allocator=tuned)
    settings = replace(settings, compile=settings.compile and not options.eager)
    print(f"{spec.name}, batch {options.batch}, {settings.precision}, {'compiled' if settings.compile else 'eager'}")
    batches = train_loader(
        random_pictures(1024, spec.image_size, spec.num_classes),
        normalise=Normalise(default_preprocess(spec.image_size)),
        augment=recipe.augment,
        batch_size=options.batch,
        seed=0,
    ).batches(0, 10**9)
    with owned(settings.threads):
        update = Update(create_model(spec).to(memory_format=torch.channels_last), recipe, settings)
        update.train_mode()

        def step():
            with torch.profiler.record_function("loader"):
                batch = next(batches)
            update(batch, 0.1, 0.0)

        for _ in range(4):
            step()
        times, watcher = [], Watcher(settings.threads)
        for _ in range(options.steps):
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
        load = watcher.load(times)
        with torch.profiler.profile() as profile:
            for _ in range(options.steps):
                step()
    shares = defaultdict(float)
    for event in profile.key_averages():
        shares[kind_of(event.key)] += event.self_cpu_time_total
    total = sum(shares.values())
    for kind, spent in sorted(shares.items(), key=lambda item: -item[1]):
        print(f"{kind:32s} {spent / total:6.1%}")
    seconds = statistics.median(times)
    gigaflops = 6 * cost(spec, spec.image_size).macs * options.batch / seconds / 1e9
    print(f"step {1000 * seconds:.1f} ms, spread {load.spread:.1%}, {gigaflops:.0f} GFLOP/s", end="")
    rates = this_machine().rates
    if rates is not None and settings.precision in rates.matrix:
        peak = rates.matrix[settings.precision]
        print(f", {gigaflops / peak:.0%} of the {peak:.0f} of its matrix products ({rates.source})", end="")
    print(f"\nbusy: {load.busy}" if load.busy else "")


if __name__ == "__main__":
    main()
