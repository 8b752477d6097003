"""What is measured on untrained nets, by name: gradients in seconds, times in minutes. It needs no data."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...interpret.gradients import gradient_norms, path_factors
from ...nets.build import create_model
from ...runtime.device import present
from ...runtime.environment import now
from ...runtime.files import write_json
from ...spec.catalogue import get_spec
from ...spec.cost import cost
from ..entry import Experiment
from .store import Store, read_measured
from .thirds import first_over_last
from .tiers import TIERS

GRADIENT_BATCH = 8
NETS = (("plain-20", "plain20_cifar"), ("plain-56", "plain56_cifar"), ("ResNet-20", "resnet20_cifar"),
        ("ResNet-56", "resnet56_cifar"))  # fmt: skip
STARTS = (("BN", "He", None), ("BN", "std 0.01", "init:0.01"), ("no BN", "He", "no_norm"),
          ("no BN", "std 0.01", "no_norm_init:0.01"))  # fmt: skip
# P5 figure 4: label, net, changes
TIMED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("thin, 164", "preact_resnet164_cifar", {}),
    ("thin, 1001", "preact_resnet1001_cifar", {}),
    ("WRN-40-4", "wrn40_4_cifar", {}),
    ("WRN-16-10", "wrn16_8_cifar", {"stage_channels": (160, 320, 640)}),
    ("WRN-28-10", "wrn28_10_cifar", {}),
)
TIMED_BATCH = {"smoke": 2, "short": 32, "full": 32}
TIMED_REPEATS = {"smoke": 1, "short": 3, "full": 10}


def measure(experiment: Experiment, tier: str, store: Store) -> dict[str, Any]:
    """What an experiment measures: read if the store has it, of this tier or a higher one where the tier changes it;
    else measured and written there."""
    path = store.measured_file(experiment.name)
    if path.exists():
        found = read_measured(path)
        if not experiment.by_tier or TIERS.index(found["tier"]) >= TIERS.index(tier):
            return found
    from .run import machine

    value = MEASURES[experiment.measured or ""](tier)
    value = {"experiment": experiment.name, "tier": tier, **value, "machine": machine(), "created": now()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, value)
    return value


def gradients(tier: str) -> dict[str, Any]:
    """Gradient norms by layer for each net and start, and the path factors of a pre-activation ResNet-56."""
    images, labels = batch(GRADIENT_BATCH)
    rows = []
    for label, net in NETS:
        for norm, init, variant in STARTS:
            # without BN and with small weights 56 layers shrink a gradient below what float32 can hold
            given = images.double() if (norm, init) == ("no BN", "std 0.01") else images
            layers = [asdict(layer) for layer in gradient_norms(drawn(net, variant=variant), given, labels)]
            norms = [float(f"{layer['signal']:.3g}") for layer in layers]
            rows.append({"net": label, "norm": norm, "init": init, "ratio": first_over_last(layers), "norms": norms})
    straight = drawn("resnet56_cifar", activation="pre", projection_norm=False)
    return {"rows": rows, "path": [asdict(factor) for factor in path_factors(straight, images, labels)]}


def times(tier: str) -> dict[str, Any]:
    """Median seconds of one minibatch, forward and backward, for each net of P5 figure 4; on a GPU where one is."""
    device = present(None)
    images, labels = (tensor.to(device) for tensor in batch(TIMED_BATCH[tier]))
    rows = []
    for label, name, changes in TIMED:
        net = drawn(name, **changes).train().to(device)
        seconds = [_step(net, images, labels) for _ in range(TIMED_REPEATS[tier] + 1)][1:]  # the first one warms up
        rows.append({"net": label, "seconds": statistics.median(seconds), "spread": max(seconds) - min(seconds),
                     "macs": cost(get_spec(name, **changes), 32).macs})  # fmt: skip
    how = {"device": device, "threads": torch.get_num_threads()}
    return {"batch": len(images), "repeats": TIMED_REPEATS[tier], **how, "rows": rows}


MEASURES: Mapping[str, Callable[[str], dict[str, Any]]] = MappingProxyType({"gradients": gradients, "times": times})


def batch(size: int) -> tuple[Tensor, Tensor]:
    """Pictures of noise (size, 3, 32, 32), mean 0 and deviation 1, and labels of ten classes; always the same."""
    source = torch.Generator().manual_seed(0)
    images = torch.randn(size, 3, 32, 32, generator=source)
    return images, torch.randint(10, (size,), generator=source)


def drawn(name: str, **changes: Any) -> nn.Module:
    """A net with its first weights, always the same ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return create_model(name, **changes)


def _step(net: nn.Module, images: Tensor, labels: Tensor) -> float:
    start = time.perf_counter()
    F.cross_entropy(net(images), labels).backward()  # type: ignore[no-untyped-call]
    if images.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start
