"""A results store with made-up results, and a smoke tier of a few steps, for the tests of this folder."""

from __future__ import annotations

import json
from functools import partial

import pytest

from reslearn.paper.cells import tiers
from reslearn.paper.cells.store import Curve, Result, Store
from reslearn.paper.entry import CLASSES
from reslearn.paper.experiments import experiments, get_experiment
from reslearn.paper.findings.groups import start_identity
from reslearn.paper.findings.sections import make_section
from reslearn.spec.codec import to_json
from reslearn.spec.net import spec_to_json

SIZES = {"cifar10": (50_000, 10_000), "cifar100": (50_000, 10_000), "imagenet": (1_281_167, 50_000),
         "svhn": (604_388, 26_032)}  # fmt: skip

PROBES = {
    "responses": [{"layer": f"l{i}", "std": 1.0 + i / 10, "closed_form": 1.0 + i / 9} for i in range(19)],
    "gradients": {
        when: [{"layer": f"stages.0.{i}.conv2", "weight": 1.0, "signal": 0.1 * (i + 1)} for i in range(9)]
        for when in ("start", "end")
    },
    "lesion": {"pictures": 100, "intact": 9.0, "dropped": [[f"stages.0.{i}", 10.0 + i] for i in range(7)]},
    "gates": [{"block": f"stages.0.{i}", "open": 0.9 - i / 20} for i in range(9)],
    "branches": [{"block": f"stages.0.{i}", "ratio": 0.9 - i / 20} for i in range(9)],
    "cut": [{"layer": f"norm{i}", "share": 0.4 + i / 50} for i in range(9)],
    "excitations": [
        {
            "block": f"stages.{s}.2",
            "channels": list(range(8)),
            "overall": [0.5] * 8,
            "classes": {name: {"mean": [0.4 + c / 20] * 8, "std": [0.05] * 8} for c, name in enumerate(("cat", "dog"))},
        }
        for s in range(3)
    ],
    "start": {"pictures": 10, "shallow_train_error": 5.0, "train_error": 5.0, "largest_difference": 0.0},
}


MACHINE = {"cpu": "test", "gpus": []}
NETS = ("plain-20", "plain-56", "ResNet-20", "ResNet-56")
MEASURED = {
    "study-gradients": {
        "rows": [{"net": net, "norm": norm, "init": init, "ratio": 10.0 ** (i - 1), "norms": []}
                 for i, net in enumerate(NETS) for norm in ("BN", "no BN") for init in ("He", "std 0.01")],
        "path": [{"block": f"stages.2.{i}", "along": 1 + i / 100, "norm": 1.1} for i in range(9)],
    },
    "p5-fig4": {"batch": 32, "repeats": 3, "threads": 1,
                "rows": [{"net": net, "seconds": 1.0 + i, "spread": 0.1, "macs": 1e9 + i * 1e8}
                         for i, net in enumerate(("thin, 164", "thin, 1001", "WRN-40-4", "WRN-16-10", "WRN-28-10"))]},
}  # fmt: skip


@pytest.fixture
def few_steps(monkeypatch):
    """The smoke tier in six steps: enough to go through every line of it."""
    monkeypatch.setattr(tiers, "SMOKE_STEPS", 6)


def put(store, name, row, error, *, seed=0, tier="full", fraction=1.0, data="cifar10-binary", sizes=None, train=5.0,
        probes=None, diverged=None, top5=None, protocols=None, steps=(1000, 2000, 4000)):  # fmt: skip
    """Write a made-up result into a store; returns its folder."""
    experiment = get_experiment(name)
    entry = experiment.entry(row)
    sizes = sizes or SIZES[entry.data]
    scores = {"top1_error": error, "top5_error": top5, "images": sizes[1]}
    falling = [error + 20 / (i + 1) for i in range(len(steps))]
    result = Result(
        identity=start_identity(experiment, entry),
        net=entry.net,
        spec=spec_to_json(entry.spec),
        recipe=to_json(entry.recipe),
        tier=tier,
        fraction=fraction,
        seed=seed,
        data={"name": data, "fingerprint": "0" * 32, "classes": CLASSES[entry.data], "train": sizes[0],
              "test": sizes[1]},
        test={} if diverged else dict.fromkeys(protocols or entry.protocols, scores),
        curve=Curve(tuple(steps), tuple(e / 40 for e in falling), (*falling[:-1], train),
                    tuple(e / 30 for e in falling), (*falling[:-1], error)),
        probes=probes or {},
        diverged=diverged,
        seconds=60.0,
        images_per_second=1000.0,
        machine={"cpu": "test", "gpus": []},
    )  # fmt: skip
    folder = store / f"{tier}-{fraction:g}" / data / f"{entry.net}-{result.identity}" / f"seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(to_json(result)))
    return folder


@pytest.fixture
def probes():
    """One made-up value of every probe."""
    return PROBES


@pytest.fixture
def add_result(tmp_path):
    """add_result(experiment, row, test error, ...) -> the folder of a made-up result in the store tmp_path/"store"."""
    return partial(put, tmp_path / "store")


@pytest.fixture(scope="session")
def full_store(tmp_path_factory):
    """Two seeds of every row of every figure and study, some of them diverged. Read it only."""
    store = tmp_path_factory.mktemp("full") / "store"
    for experiment in (e for e in experiments().values() if e.figure):
        for place, entry in enumerate(experiment.entries):
            for seed in (0, 1):
                diverged = 77 if "no BN" in entry.label and seed else None
                error = 8.0 + place / 3 + seed / 10
                put(store, experiment.name, entry.label, error, seed=seed, probes=PROBES, diverged=diverged)
    (store / "measured").mkdir()
    for name, value in MEASURED.items():
        told = {"experiment": name, "tier": "smoke", "machine": MACHINE} | value
        (store / "measured" / f"{name}.json").write_text(json.dumps(told))
    after = store / "full-1" / "x" / "after" / "study-ensemble-seed0.json"
    after.parent.mkdir(parents=True)
    value = {"members": {"a": 9.0, "b": 8.0}, "growing": [9.0, 7.5], "pictures": 100, "seed": 0}
    after.write_text(json.dumps({"tier": "full", "fraction": 1.0, "data": {}} | value))
    return store


@pytest.fixture(scope="session")
def section(full_store):
    """section(name) -> the report's section of an experiment, from the full store."""
    store = Store(full_store)
    results = list(store.results())
    return lambda name: make_section(get_experiment(name), results, store)
