"""The papers' figures, drawn in their manner from results: P1 figures 1, 4, 6, 7; P2's curves; P3 figures 5 and 7."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...report.ink import sheet
from ...spec.cost import cost
from ...spec.net import spec_from_json
from ..cells.store import Result
from .drawing import COLOURS, DASH, MARKERS, above, iterations_axis, legend, line, log_axis, percent_axis
from .groups import Group

Show = Literal["both", "train", "test"]
Panel = tuple[str, Sequence[str], Show]  # title, labels, which errors
Panels = Sequence[Panel]
# experiment -> what `curves` shows of it
PANELS: Mapping[str, Panels] = MappingProxyType(
    {
        "p1-fig1": (
            ("training error", ("plain-20", "plain-56"), "train"),
            ("test error", ("plain-20", "plain-56"), "test"),
        ),
        "p1-fig4": (
            ("plain", ("plain-18", "plain-34"), "both"),
            ("residual", ("ResNet-18", "ResNet-34"), "both"),
        ),
        "p1-fig6": (
            ("plain", ("plain-20", "plain-32", "plain-44", "plain-56", "plain-110"), "both"),
            ("residual", ("ResNet-20", "ResNet-32", "ResNet-44", "ResNet-56", "ResNet-110"), "both"),
            ("residual, very deep", ("ResNet-110", "ResNet-1202"), "both"),
        ),
        "p3-fig5": (
            ("50 layers", ("ResNet-50", "ResNeXt-50 32x4d"), "both"),
            ("101 layers", ("ResNet-101", "ResNeXt-101 32x4d"), "both"),
        ),
        "p4-fig4": tuple((net, (net, f"SE-{net}"), "both") for net in ("ResNet-50", "ResNet-152", "ResNeXt-50")),
        "p5-fig2": (("CIFAR-10", ("ResNet-164 pre-act", "WRN-28-10"), "both"),),
    }
)


def curves(wanted: Panels, group: Group) -> Figure:
    """Errors against iterations: training dashed, test bold, as P1 figures 1, 4 and 6."""
    runs = group.curves()
    panels = _telling([(title, [x for x in labels if x in runs], show) for title, labels, show in wanted])
    with sheet(330 * len(panels) + 20, 370, len(panels), sharey=True) as (figure, axes):
        shown: list[float | None] = []
        for panel, (title, labels, show) in zip(axes, panels, strict=True):
            for index, label in enumerate(labels):
                shown += _errors(panel, index, runs[label], show)
            ends = [runs[label].curve.step[-1] for label in labels if runs[label].curve.step]
            iterations_axis(panel, max(ends, default=1))  # none where all diverged in their first epoch
            above(panel, title, _keys(labels, show))
        percent_axis(axes[0], "error", shown)
        return figure


def _telling(panels: Sequence[Panel]) -> list[Panel]:
    """Panels that compare, and those of a row that would else be in none."""
    kept = [panel for panel in panels if len(panel[1]) > 1]
    for panel in panels:
        if len(panel[1]) == 1 and not any(panel[1][0] in labels and show == panel[2] for _, labels, show in kept):
            kept.append(panel)
    return sorted(kept, key=panels.index)


def _errors(axes: Axes, index: int, result: Result, show: Show) -> list[float | None]:
    curve = result.curve
    if show != "test":
        dashed: dict[str, Any] = {"linestyle": DASH, "linewidth": 1.1, "markersize": 3.2}
        line(axes, index, curve.step, curve.train_error, **({} if show == "train" else dashed))
    if show != "train":
        line(axes, index, curve.step, curve.test_error, linewidth=2.2)
    return [*(curve.train_error if show != "test" else ()), *(curve.test_error if show != "train" else ())]


def _keys(labels: Sequence[str], show: Show) -> list[Line2D]:
    keys = [
        Line2D([], [], color=COLOURS[i % 8], marker=MARKERS[i % 8], markersize=4.5, label=label, linewidth=2)
        for i, label in enumerate(labels)
    ]
    if show == "both":
        keys.append(Line2D([], [], color="#777777", linestyle=DASH, linewidth=1.1, label="training"))
        keys.append(Line2D([], [], color="#777777", linewidth=2.2, label="test"))
    return keys


def loss_curves(group: Group) -> Figure:
    """P2's manner: training loss dashed on the left axis, test error solid on the right; each case beside its
    original."""
    runs = group.curves()
    cases = [label for label in runs if not label.endswith("original")]
    cases += [label for label in runs if label.endswith("original") and label not in [_base(c, runs) for c in cases]]
    with sheet(350 * min(len(cases), 2) + 30, 330 * -(-len(cases) // 2), min(len(cases), 2), -(-len(cases) // 2)) as (
        figure,
        axes,
    ):
        for panel, case in zip(axes, cases, strict=False):
            pair = [label for label in (_base(case, runs), case) if label is not None]
            right = panel.twinx()
            right.spines[:].set_visible(False)
            for index, label in enumerate(pair):
                curve = runs[label].curve
                line(panel, index, curve.step, curve.train_loss, linestyle=DASH, linewidth=1.1, markersize=3.2)
                line(right, index, curve.step, curve.test_error, linewidth=2.0)
            panel.set_yscale("log")
            log_axis(panel.yaxis)
            panel.set_ylabel("training loss (nats), dashed")
            percent_axis(right, "test error, solid", [e for label in pair for e in runs[label].curve.test_error])
            ends = [runs[label].curve.step[-1] for label in pair if runs[label].curve.step]
            iterations_axis(panel, max(ends, default=1))
            above(panel, case, _keys(pair, "test"))
        for spare in axes[len(cases) :]:
            spare.set_visible(False)
        return figure


def _base(case: str, labels: Iterable[str]) -> str | None:
    """The original that a case stands beside."""
    own = (case.split(",")[0], "original")
    return next((x for x in labels if x != case and x.endswith("original") and x.split(",")[0] in own), None)


def responses(group: Group) -> Figure:
    """P1 figure 7: layers in their order, sorted, and every layer against the closed form."""
    runs = {label: run.probes["responses"] for label, run in group.curves().items() if "responses" in run.probes}
    with sheet(1000, 330, 3) as (figure, axes):
        first, second, check = axes
        for index, (label, found) in enumerate(runs.items()):
            std = [layer["std"] for layer in found]
            plain: dict[str, Any] = {"linestyle": DASH} if label.startswith("plain") else {}
            line(first, index, range(1, len(std) + 1), std, label, **plain)
            line(second, index, range(1, len(std) + 1), sorted(std, reverse=True), **plain)
            check.scatter(
                [layer["closed_form"] for layer in found], std, s=12, color=COLOURS[index % 8],
                marker=MARKERS[index % 8], alpha=0.7, linewidth=0,
            )  # fmt: skip
        first.set(title="layers in order", xlabel="layer", ylabel="standard deviation of responses")
        second.set(title="sorted by magnitude", xlabel="layer, sorted")
        top = max([*first.get_ylim(), *check.get_xlim()])
        check.plot([0, top], [0, top], color="#777777", linewidth=1, linestyle=(0, (2, 2)))
        check.set(title="check: measured against closed form", xlabel="sqrt(mean γ² + var β)", ylabel="measured")
        for panel in axes:
            panel.set_title(panel.get_title(), fontsize=9, loc="left")
            panel.set_title("")
        first.set_ylim(bottom=0)
        second.set_ylim(first.get_ylim())
        legend(figure, first, 6)
        return figure


def cardinality(group: Group) -> Figure:
    """P3 figure 7: test error against model size, with one standard error of the mean where there are several runs."""
    rows = {"more cardinality": [], "more width": []}  # type: dict[str, list[tuple[float, float, float, str]]]
    for label, results in group.results.items():
        errors = [100.0 if r.test_error is None else r.test_error for r in results]
        spread = float(np.std(errors, ddof=1) / np.sqrt(len(errors))) if len(errors) > 1 else 0.0
        size = cost(spec_from_json(dict(results[0].spec), label)).parameters / 1e6
        point = (size, float(np.mean(errors)), spread, label)
        if label == "1x64d":
            rows["more cardinality"].append(point)
            rows["more width"].append((*point[:3], ""))  # where both begin; named once
        else:
            rows["more width" if label.startswith("1x") else "more cardinality"].append(point)
    with sheet(560, 380) as (figure, (axes,)):
        for index, (way, points) in enumerate(rows.items()):
            points.sort()
            line(axes, index, [p[0] for p in points], [p[1] for p in points], way, markevery=1)
            axes.errorbar([p[0] for p in points], [p[1] for p in points], [p[2] for p in points], fmt="none",
                          ecolor=COLOURS[index], capsize=3, linewidth=1)  # fmt: skip
            for size, error, _, label in points:
                above = index == 1
                axes.annotate(label, (size, error), xytext=(0, 9 if above else -14), textcoords="offset points",
                              ha="center", fontsize=7.5)  # fmt: skip
        axes.set_xscale("log")
        log_axis(axes.xaxis)
        axes.set(xlabel="parameters (million)", ylabel="test error (%)")
        axes.margins(x=0.1, y=0.2)
        legend(figure, axes)
        return figure


FIGURES: Mapping[str, Callable[[Group], Figure]] = MappingProxyType(
    {"loss_curves": loss_curves, "responses": responses, "cardinality": cardinality}
)
