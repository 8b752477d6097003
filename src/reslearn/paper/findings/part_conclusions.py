"""What the studies of a net's parts found, in plain words, written by their numbers."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby, pairwise
from types import MappingProxyType
from typing import Any

from ...spec.text import counted
from ..cells.thirds import fate, first_over_last, plain
from .groups import Group
from .part_figures import reached


def degradation(group: Group) -> Iterator[str]:
    """Gradients at the front against the back, before training and after it."""
    for label, run in group.curves().items():
        if (found := run.probes.get("gradients")) is None:
            continue
        before, after = (first_over_last(found[when]) for when in ("start", "end"))
        yield (
            f"{label}: before training the gradient in its first third of layers is {plain(before)} times that in its "
            f"last third: {fate(before)}; after training it is {plain(after)} times: {fate(after)}."
        )


def gradients(found: Mapping[str, Any]) -> Iterator[str]:
    """study-gradients, net by net."""
    for net, rows in groupby(found["rows"], key=lambda row: row["net"]):
        told = [f"{row['norm']}, {row['init']}: {plain(row['ratio'])}, {fate(row['ratio'])}" for row in rows]
        yield f"{net}, first third over last third. " + "; ".join(told) + "."
    along = [factor["along"] for factor in found["path"]]
    negative = sum(value < 1 for value in along)
    yield (
        f"Along the pre-activation ResNet-56 a block's factor 1 + F' lies between {min(along):.3f} and "
        f"{max(along):.3f}; in {negative} of {len(along)} blocks F' is negative, and the factor below 1."
    )


def on_gpu(found: Mapping[str, Any]) -> bool:
    """Whether a GPU computed what was measured without training; what does not say so is a CPU's."""
    return str(found.get("device", "cpu")) != "cpu"


def computer(found: Mapping[str, Any]) -> str:
    """The processor that what was measured without training was measured on."""
    machine = found["machine"]
    return str((machine.get("gpus") or ["a GPU"])[0] if on_gpu(found) else machine.get("cpu") or "a CPU")


def times(found: Mapping[str, Any]) -> Iterator[str]:
    """p5-fig4."""
    rows = {row["net"]: row for row in found["rows"]}
    gpu = on_gpu(found)
    threads = "" if gpu else f" with {counted(found['threads'], 'thread')}"
    yield (
        f"On {computer(found)}{threads}, minibatches of {found['batch']}, median of "
        f"{found['repeats']} (and largest less smallest): "
        + ", ".join(f"{row['net']} {row['seconds']:.2f} s ({row['spread']:.2f})" for row in found["rows"])
        + "."
    )
    if not rows.keys() >= {"thin, 1001", "WRN-28-10", "WRN-16-10"}:
        return
    deep = rows["thin, 1001"]
    yield (
        f"The thin net of 1001 layers takes {_times(deep, rows['WRN-28-10'])}, which P5 finds better, and "
        f"{_times(deep, rows['WRN-16-10'])}."
    )
    if not gpu:
        each = {row["net"]: row["seconds"] / row["macs"] for row in found["rows"]}
        yield (
            f"For each multiply-add the thin net takes {each['thin, 1001'] / each['WRN-28-10']:.2f} times as long as "
            "WRN-28-10, on a CPU. P5 measured on a GPU, of which thin layers leave much more idle."
        )


def _times(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """How many times as long one takes, and whether the minibatches scatter more than the two differ."""
    within = abs(one["seconds"] - other["seconds"]) <= one["spread"] + other["spread"]
    ratio = f"{one['seconds'] / other['seconds']:.2f} times as long as {other['net']}"
    return ratio + (" (no more than the minibatches scatter)" if within else "")


def convergence(group: Group) -> Iterator[str]:
    """When each net reaches the training error with which plain-20 ends."""
    runs = group.curves()
    level = runs["plain-20"].train_error if "plain-20" in runs else None
    if level is None:
        return
    for label, run in runs.items():
        step = reached(run, level)
        end = "" if run.train_error is None else f" (it ends at {run.train_error:.2f} %)"
        when = f"after {step:,} steps" if step is not None else f"never{end}"
        yield f"{label} reaches plain-20's last training error, {level:.2f} %, {when}."


def branches(group: Group) -> Iterator[str]:
    """|F| / |x| of nets of growing depth."""
    medians = {}
    for label, run in group.curves().items():
        ratios = [block["ratio"] for block in run.probes.get("branches", [])]
        if ratios:
            medians[label] = statistics.median(ratios)
            yield (
                f"{label}: a block adds {medians[label]:.2f} times its signal in the median of {len(ratios)} blocks, "
                f"{min(ratios):.2f} at the least and {max(ratios):.2f} at the most."
            )
    if len(medians) > 1:
        values = list(medians.values())
        falling = all(a > b for a, b in pairwise(values))
        yield f"Of these nets a block of the deeper adds {'less' if falling else 'not always less'}."


def cut(group: Group) -> Iterator[str]:
    """How much of each normalised signal lies below 0."""
    for label, run in group.curves().items():
        shares = [layer["share"] for layer in run.probes.get("cut", [])]
        if shares:
            yield (
                f"{label}: {100 * statistics.fmean(shares):.0f} % of a BN's output lies below 0 on average, "
                f"{100 * min(shares):.0f} to {100 * max(shares):.0f} % by layer."
            )


def excitations(group: Group) -> Iterator[str]:
    """How far classes differ, gate by gate."""
    for run in group.curves().values():
        for gate in run.probes.get("excitations", []):
            means = [found["mean"] for found in gate["classes"].values()]
            apart = statistics.fmean(max(values) - min(values) for values in zip(*means, strict=True))
            yield (
                f"{gate['block']}: the mean excitations of {len(means)} classes lie {apart:.3f} apart, averaged over "
                f"{len(gate['channels'])} channels; over all pictures the mean is "
                f"{statistics.fmean(gate['overall']):.2f}."
            )


PARTS: Mapping[str, Callable[[Group], Iterator[str]]] = MappingProxyType(
    {
        "study-degradation": degradation,
        "study-convergence": convergence,
        "study-responses": branches,
        "study-bn-affine": cut,
        "study-excitations": excitations,
        "p4-fig6": excitations,
        "p4-fig7": excitations,
    }
)
MEASURED: Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]] = MappingProxyType(
    {"gradients": gradients, "times": times}
)
