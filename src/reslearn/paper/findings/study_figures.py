"""The studies' figures: each shows what its conclusion says, with units, and lines told apart without colour."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...report.ink import INK, sheet
from ..cells.store import Result
from .drawing import (
    COLOURS,
    DASH,
    MARKERS,
    above,
    horizontal,
    iterations_axis,
    legend,
    line,
    log_axis,
    percent_axis,
)
from .groups import Group


def bars(group: Group) -> Figure:
    """Final test and training error of every row; a diverged one says so."""
    with sheet(640, 90 + 34 * len(group.results)) as (figure, (axes,)):
        dots(axes, group)
        legend(figure, axes)
        return figure


def dots(axes: Axes, group: Group) -> None:
    """A dot chart of final errors in percent, every seed a dot, one row per label."""
    labels = list(group.results)
    for row, label in enumerate(labels):
        runs = group.results[label]
        ok = [run for run in runs if run.diverged is None]
        for run in runs:
            if run.diverged is not None:
                axes.annotate(f"diverged at step {run.diverged:,}", (0.02, row), xycoords=("axes fraction", "data"),
                              va="center", fontsize=8)  # fmt: skip
        first = row == next((i for i, key in enumerate(labels) if _ok(group.results[key])), None)
        style: dict[str, Any] = {"linestyle": "none", "markersize": 6.5, "clip_on": False}
        rows = [row] * len(ok)
        axes.plot([_known(run.test_error) for run in ok], rows, color=COLOURS[0], marker="o",
                  label="test error" if first else None, **style)  # fmt: skip
        axes.plot([_known(run.train_error) for run in ok], rows, color=COLOURS[1], marker="s", markerfacecolor="none",
                  label="training error (last epoch)" if first else None, **style)  # fmt: skip
    horizontal(axes, labels)
    axes.set_xlabel("error (%)")
    axes.set_xlim(0, 1.03 * axes.get_xlim()[1])


def _known(error: float | None) -> float:
    return float("nan") if error is None else error


def _ok(results: Sequence[Result]) -> bool:
    return any(run.diverged is None for run in results)


def degradation(group: Group) -> Figure:
    """Final errors, and the norm of the signal's gradient per layer before and after training."""
    runs = {label: run for label, run in group.curves().items() if "gradients" in run.probes}
    with sheet(1000, 340, 3, width_ratios=(1, 1, 1)) as (figure, axes):
        dots(axes[0], group)
        above(axes[0], "final errors", columns=2)
        for panel, when, title in ((axes[1], "start", "before the first step"), (axes[2], "end", "after the last")):
            for index, (label, run) in enumerate(runs.items()):
                norms = block_norms(run.probes["gradients"][when])
                place = [i / max(len(norms) - 1, 1) for i in range(len(norms))]
                style: dict[str, Any] = {"linestyle": DASH} if label.startswith("plain") else {}
                line(panel, index, place, norms, label, **style)
            panel.set_yscale("log")
            log_axis(panel.yaxis)
            above(panel, title, columns=2)
            panel.set_xlabel("depth (0 first block, 1 last)")
        axes[1].set_ylabel("gradient norm at the block's last convolution")
        return figure


def block_norms(layers: Sequence[Mapping[str, Any]]) -> list[float]:
    """Norms of the signal's gradient at the last convolution of each block, in order: one place per block, because
    within a residual block the two convolutions differ by a constant factor that says nothing about depth."""
    last: dict[str, float] = {}
    for layer in layers:
        block, _, name = layer["layer"].rpartition(".")
        if name.startswith("conv") and block.startswith("stages."):
            last[block] = layer["signal"]
    return list(last.values())


def constructed(group: Group) -> Figure:
    """Training error of ResNet-56 from scratch, and of the one built from ResNet-20 and trained on."""
    runs = group.curves()
    built = "ResNet-56 built from ResNet-20"
    with sheet(620, 340) as (figure, (axes,)):
        offset = 0
        values: list[float | None] = []
        for index, label in enumerate(label for label in ("ResNet-20", "ResNet-56", built) if label in runs):
            curve = runs[label].curve
            x, y = list(curve.step), list(curve.train_error)
            if label == "ResNet-20" and x:
                offset = x[-1]
            if label == built:
                x = [offset + step for step in x]
                start = runs[label].probes.get("start")
                if start is not None:
                    axes.plot([offset], [start["train_error"]], marker="*", markersize=11, color=INK["ink"],
                              linestyle="none", label="as built, before its first step", zorder=5)  # fmt: skip
            line(axes, index, x, y, label)
            values += y
        iterations_axis(axes, max([offset, *(offset + (runs[built].curve.step or (0,))[-1] if built in runs else 0,)]))
        percent_axis(axes, "training error", values)
        axes.legend(loc="upper right", fontsize=8)
        return figure


def depth(group: Group) -> Figure:
    """Final error against depth: training dashed, test bold."""
    with sheet(560, 340) as (figure, (axes,)):
        for index, kind in enumerate(("plain", "ResNet")):
            runs = {int(label.split("-")[1]): r for label, r in group.curves().items() if label.startswith(kind)}
            if not runs:
                continue
            depths = sorted(runs)
            line(axes, index, depths, [runs[d].test_error for d in depths], f"{kind}, test", linewidth=2.2, markevery=1)
            line(axes, index, depths, [runs[d].train_error for d in depths], f"{kind}, training", linestyle=DASH,
                 linewidth=1.1, markevery=1, markerfacecolor="none")  # fmt: skip
            axes.set_xticks(sorted({*axes.get_xticks(), *depths}) if index and axes.has_data() else depths)
        axes.set_xticks([d for d in (20, 32, 44, 56, 110) if any(label.endswith(f"-{d}") for label in group.results)])
        axes.set(xlabel="layers", ylabel="error (%)")
        axes.set_ylim(bottom=0)
        legend(figure, axes)
        return figure


def gates(group: Group) -> Figure:
    """Final errors, and how open each block's shortcut is after training."""
    with sheet(860, 320, 2) as (figure, (left, right)):
        dots(left, group)
        above(left, "final errors", columns=2)
        blocks = 1
        for index, (label, run) in enumerate(group.curves().items()):
            opened = [block["open"] for block in run.probes.get("gates", [])]
            if label == "identity":
                continue
            blocks = max(blocks, len(opened))
            line(right, index, range(1, len(opened) + 1), opened, label, markevery=1)
        right.axhline(1, color=COLOURS[0], linestyle=DASH, linewidth=1.2, label="identity: always 1")
        right.set(xlabel="block", ylabel="share of the shortcut let through", ylim=(0, 1.08), xlim=(0.5, blocks + 0.5))
        above(right, "gates after training", columns=2)
        return figure


def lesion(group: Group) -> Figure:
    """Test error with one block dropped, over the place of the block; the whole net's error dashed."""
    with sheet(640, 340) as (figure, (axes,)):
        for index, (label, run) in enumerate(group.curves().items()):
            found = run.probes.get("lesion")
            if found is None:
                continue
            errors = [error for _, error in found["dropped"]]
            line(axes, index, range(1, len(errors) + 1), errors, f"{label}, one block dropped", markevery=1)
            axes.axhline(found["intact"], color=COLOURS[index], linestyle=DASH, linewidth=1.2,
                         label=f"{label}, whole: {found['intact']:.1f} %")  # fmt: skip
        axes.set(xlabel="dropped block (shape-preserving ones, in order)", ylabel="test error (%)", ylim=(0, 101))
        legend(figure, axes, 2)
        return figure


def ensemble(values: Mapping[str, Any]) -> Figure:
    """The members' test errors, and those of the ensemble as it grows."""
    members = values["members"]
    with sheet(600, 330) as (figure, (axes,)):
        x = range(1, len(members) + 1)
        axes.plot(x, list(members.values()), linestyle="none", marker=MARKERS[1], color=COLOURS[1], markersize=7,
                  label="the member alone")  # fmt: skip
        line(axes, 0, list(x), values["growing"], "ensemble of it and all before it", markevery=1)
        axes.set_xticks(list(x), list(members))
        axes.set(ylabel="test error (%)", xlabel="member")
        axes.set_ylim(bottom=0)
        axes.margins(x=0.08)
        legend(figure, axes)
        return figure


STUDY_FIGURES: Mapping[str, Callable[[Group], Figure]] = MappingProxyType(
    {
        "bars": bars,
        "degradation": degradation,
        "constructed": constructed,
        "depth": depth,
        "gates": gates,
        "lesion": lesion,
    }
)
