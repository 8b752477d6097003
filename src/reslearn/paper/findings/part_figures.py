"""Figures of the studies of a net's parts, and of what is measured without training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...report.ink import sheet
from ..cells.store import Result
from .drawing import COLOURS, DASH, MARKERS, above, horizontal, iterations_axis, legend, line, log_axis, percent_axis
from .groups import Group
from .study_figures import dots

Measured = Mapping[str, Any]
STARTS = (("BN", "He"), ("BN", "std 0.01"), ("no BN", "He"), ("no BN", "std 0.01"))


def gradients(found: Measured) -> Figure:
    """Left: first third over last third of the gradient norms, per net and start. Right: 1 + F' by block."""
    nets = list(dict.fromkeys(row["net"] for row in found["rows"]))
    with sheet(940, 330, 2, width_ratios=(3, 2)) as (figure, (left, right)):
        for index, start in enumerate(STARTS):
            points = [(row["ratio"], nets.index(row["net"])) for row in found["rows"]
                      if (row["norm"], row["init"]) == start]  # fmt: skip
            left.plot([x for x, _ in points], [y + 0.14 * (index - 1.5) for _, y in points], linestyle="none",
                      marker=MARKERS[index], color=COLOURS[index], markersize=6.5, label=", ".join(start))  # fmt: skip
        left.axvline(1, color="#777777", linewidth=1, linestyle=DASH)
        horizontal(left, nets)
        left.set_xscale("log")
        log_axis(left.xaxis)
        left.set_xlabel("gradient norm of the first third of the layers, over the last third")
        above(left, "before training, one batch", columns=4)
        path = list(reversed(found["path"]))
        line(right, 0, range(1, len(path) + 1), [f["along"] for f in path], "1 + F', along the gradient")
        line(right, 1, range(1, len(path) + 1), [f["norm"] for f in path], "norm behind / before")
        right.axhline(1, color="#777777", linewidth=1, linestyle=DASH)
        right.set(xlabel="identity block of a pre-activation ResNet-56", ylabel="factor of one block")
        above(right, "each block's factor on the way back", columns=2)
        return figure


def times(found: Measured) -> Figure:
    """Median time of a minibatch per net, forward and backward."""
    rows = found["rows"]
    with sheet(620, 90 + 34 * len(rows)) as (figure, (axes,)):
        axes.barh(range(len(rows)), [row["seconds"] for row in rows], height=0.55, color=COLOURS[0])
        for place, row in enumerate(rows):
            axes.annotate(f"{row['seconds']:.2f} s", (row["seconds"], place), xytext=(4, 0),
                          textcoords="offset points", va="center", fontsize=8)  # fmt: skip
        horizontal(axes, [row["net"] for row in rows])
        axes.margins(x=0.12)
        axes.grid(False)  # every bar says its length
        axes.set_xlabel(f"seconds for one minibatch of {found['batch']}, forward and backward")
        return figure


def convergence(group: Group) -> Figure:
    """Training error against iterations; the dotted line is where plain-20 ends, marks are where others reach it."""
    runs = group.curves()
    with sheet(660, 350) as (figure, (axes,)):
        level = runs["plain-20"].train_error if "plain-20" in runs else None
        values: list[float | None] = []
        for index, (label, run) in enumerate(runs.items()):
            style: dict[str, Any] = {"linestyle": DASH} if label.startswith("plain") else {}
            line(axes, index, run.curve.step, run.curve.train_error, label, **style)
            values += run.curve.train_error
            if level is not None and (step := reached(run, level)) is not None:
                axes.plot([step], [level], marker="|", markersize=16, color=COLOURS[index % 8], linestyle="none")
        if level is not None:
            axes.axhline(level, color="#777777", linewidth=1, linestyle=(0, (1, 2)), label="where plain-20 ends")
        iterations_axis(axes, max((run.curve.step[-1] for run in runs.values() if run.curve.step), default=1))
        percent_axis(axes, "training error", values)
        legend(figure, axes, 3)
        return figure


def reached(run: Result, level: float) -> int | None:
    """The step of the first epoch whose training error is at most `level` percent; None where there is none."""
    return next(
        (step for step, error in zip(run.curve.step, run.curve.train_error, strict=True) if error <= level), None
    )


def branches(group: Group) -> Figure:
    """|F| / |x| by block, from the first to the last."""
    with sheet(640, 340) as (figure, (axes,)):
        for index, (label, run) in enumerate(group.curves().items()):
            ratios = [block["ratio"] for block in run.probes.get("branches", [])]
            if ratios:
                place = [i / max(len(ratios) - 1, 1) for i in range(len(ratios))]
                line(axes, index, place, ratios, f"{label}, {len(ratios)} blocks")
        axes.axhline(1, color="#777777", linewidth=1, linestyle=DASH)
        axes.set_yscale("log")
        log_axis(axes.yaxis)
        axes.set(xlabel="identity block (0 first, 1 last)", ylabel="|F| / |x|")
        legend(figure, axes, 3)
        return figure


def cut(group: Group) -> Figure:
    """Final errors, and the share of each BN's output below 0, by layer."""
    with sheet(900, 320, 2) as (figure, (left, right)):
        dots(left, group)
        above(left, "final errors", columns=2)
        for index, (label, run) in enumerate(group.curves().items()):
            shares = [layer["share"] for layer in run.probes.get("cut", [])]
            if shares:
                style: dict[str, Any] = {"linestyle": DASH} if "neither" in label else {}
                line(right, index, range(1, len(shares) + 1), shares, label, **style)
        right.axhline(0.5, color="#777777", linewidth=1, linestyle=(0, (1, 2)))
        right.set(xlabel="BN layer", ylabel="share of its output below 0", ylim=(0, 1))
        above(right, "what a ReLU behind it cuts", columns=2)
        return figure


def excitations(group: Group) -> Figure:
    """P4 figure 6: mean excitation per channel for a few classes and over all, one panel per stage's last gate."""
    return _gates(group, spread=False)


def excitation_spread(group: Group) -> Figure:
    """P4 figure 7: the same for two classes, with the standard deviation within each."""
    return _gates(group, spread=True)


def _gates(group: Group, *, spread: bool) -> Figure:
    run = next(run for run in group.curves().values() if "excitations" in run.probes)
    gates = run.probes["excitations"]
    with sheet(300 * len(gates) + 40, 300, len(gates), sharey=True) as (figure, axes):
        for panel, gate in zip(axes, gates, strict=True):
            _gate(panel, gate, spread=spread)
            panel.set_title(gate["block"].replace("stages.", "stage "), fontsize=9, loc="left")
            panel.set_xlabel("channel")
        axes[0].set(ylabel="mean excitation", ylim=(0, 1))
        legend(figure, axes[0], 5)
        return figure


def _gate(panel: Axes, gate: Mapping[str, Any], *, spread: bool) -> None:
    x = list(range(1, len(gate["channels"]) + 1))
    classes = list(gate["classes"].items())
    for index, (name, found) in enumerate(classes[:: len(classes) - 1] if spread and len(classes) > 1 else classes):
        line(panel, index, x, found["mean"], name, linewidth=1.1, markersize=3)
        if spread:
            low, high = ([m + sign * s for m, s in zip(found["mean"], found["std"], strict=True)] for sign in (-1, 1))
            panel.fill_between(x, low, high, color=COLOURS[index], alpha=0.18, linewidth=0)
    if not spread:
        panel.plot(x, gate["overall"], color="#777777", linewidth=1.6, label="all classes")


MEASURED_FIGURES: Mapping[str, Callable[[Measured], Figure]] = MappingProxyType(
    {"gradients": gradients, "times": times}
)
PART_FIGURES: Mapping[str, Callable[[Group], Figure]] = MappingProxyType(
    {
        "convergence": convergence,
        "branches": branches,
        "cut": cut,
        "excitations": excitations,
        "excitation_spread": excitation_spread,
    }
)
