"""Accuracy against operations, parameters and memory for AlexNet, GoogLeNet, VGG, ResNet, ResNeXt and SENet.

Errors are published top-5 errors on ImageNet validation; operations, parameters and activations are counted. What a
training keeps in memory is its activations: four bytes each in fp32, for every picture of the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...report.ink import sheet
from ...spec.catalogue import get_spec
from ...spec.cost import Cost, cost
from ..published.cited import ALEXNET_TOP5, alexnet, googlenet
from ..published.claims import CLAIMS
from ..published.tables import Claim
from .drawing import COLOURS, MARKERS

FAMILIES = ("AlexNet", "GoogLeNet", "VGG", "ResNet", "ResNeXt", "SENet")
# Where a label sits beside its point, in points; the rest are put to the right.
LEFT = (-12, -3)
PLACES: tuple[dict[str, tuple[int, int]], ...] = (
    dict.fromkeys(("SE-ResNet-50", "ResNet-101", "ResNeXt-50", "SE-ResNeXt-50", "SE-ResNeXt-101"), LEFT)
    | {"SE-ResNet-101": (-12, 0), "ResNeXt-101": (12, -9)},
    dict.fromkeys(("SE-ResNet-50", "ResNet-50", "SE-ResNet-101", "SE-ResNeXt-50"), LEFT)
    | {"ResNet-101": (4, 9), "ResNeXt-50": (-10, -9), "SE-ResNet-152": (12, 2), "ResNeXt-101": (12, -9)},
)  # fmt: skip
SHOWN = (
    ("p1-table3", ("VGG-16",)),
    (
        "p4-table2",
        ("ResNet-50", "SE-ResNet-50", "ResNet-101", "SE-ResNet-101", "ResNet-152", "SE-ResNet-152", "ResNeXt-50",
         "SE-ResNeXt-50", "ResNeXt-101", "SE-ResNeXt-101"),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """One network of the chart."""

    name: str
    family: str
    top5: float  # percent
    protocol: str
    macs: int
    parameters: int
    activations: int  # elements that all convolutions put out, for one picture
    source: str

    @property
    def place(self) -> tuple[float, float]:
        """Where it stands: 10^9 multiply-adds, 10^6 activations."""
        return self.macs / 1e9, self.activations / 1e6


def points() -> list[Point]:
    """Every network of the chart."""
    return list(_points())


def _points() -> Iterator[Point]:
    a, g = alexnet(), googlenet()
    yield _point("AlexNet", ALEXNET_TOP5, "10-crop", a, "NIPS 2012 table 2")
    google = next(c for c in CLAIMS if (c.table, c.row, c.column) == ("p1-table3", "GoogLeNet", "top-5"))
    yield _point("GoogLeNet", google.value or 0, "10-crop", g, "p1-table3")
    for table, rows in SHOWN:
        for row in rows:
            claim = next(c for c in CLAIMS if (c.table, c.row, c.column) == (table, row, "top-5"))
            yield _point(row, claim.value or 0, claim.protocol or "", _cost(claim), table)


def _point(name: str, top5: float, protocol: str, total: Cost, source: str) -> Point:
    return Point(name, _family(name), top5, protocol, total.macs, total.parameters, total.activations, source)


def _cost(claim: Claim) -> Cost:
    return cost(get_spec(claim.net or "", **claim.changes))


def _family(name: str) -> str:
    return "SENet" if name.startswith("SE-") else name.split("-")[0]


def chart() -> Figure:
    """Top-5 error over multiply-adds and over activations: the marker's shape is the family, its area the parameters;
    hollow means single crop (10-crop testing lowers an error by about one point); a dotted line leads to the net with
    gates."""
    found = points()
    with sheet(1120, 520, 2, sharey=True) as (figure, (left, right)):
        for axis, (axes, ticks, label) in enumerate(
            (
                (left, (0.7, 1, 2, 4, 8, 16), "multiply-adds of one picture (10⁹)"),
                (right, (0.6, 1, 2, 5, 10, 20, 40), "activations of one picture (10⁶; 4 MB each in fp32)"),
            )
        ):
            _panel(axes, found, axis)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.set_yticks([5, 6, 7, 8, 10, 12, 15, 18], ["5", "6", "7", "8", "10", "12", "15", "18"])
            axes.minorticks_off()
            axes.set_xlabel(label)
        left.set_xlim(0.6, 26)
        right.set_xlim(0.4, 60)
        left.set_ylabel("top-5 error on ImageNet validation (%)")
        figure.legend(handles=list(_keys()), loc="outside upper left", ncols=6, columnspacing=2, labelspacing=0.9)
        return figure


def _panel(axes: Axes, found: Sequence[Point], axis: int) -> None:
    at = {point.name: point for point in found}
    for name, gated in at.items():
        if (plain := at.get(name.removeprefix("SE-"))) and plain is not gated:
            x = [plain.place[axis], gated.place[axis]]
            axes.plot(x, [plain.top5, gated.top5], color="#999999", linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
    for point in found:
        index, hollow = FAMILIES.index(point.family), point.protocol == "1-crop"
        axes.scatter(
            [point.place[axis]], [point.top5], s=20 + point.parameters / 4e5, marker=MARKERS[index],
            facecolor="none" if hollow else COLOURS[index], edgecolor=COLOURS[index], linewidth=1.4, zorder=3,
        )  # fmt: skip
        dx, dy = PLACES[axis].get(point.name, (12, -3))
        axes.annotate(point.name, (point.place[axis], point.top5), xytext=(dx, dy), textcoords="offset points",
                      ha="right" if dx < 0 else "left", fontsize=8)  # fmt: skip


def _keys() -> Iterator[Line2D]:
    for index, family in enumerate(FAMILIES):
        yield Line2D(
            [], [], linestyle="none", marker=MARKERS[index], color=COLOURS[index], markersize=6.5, label=family
        )
    grey: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": "#777777"}
    for millions in (7, 60, 138):
        size = (20 + millions / 0.4) ** 0.5
        yield Line2D([], [], markerfacecolor="none", markersize=size, label=f"{millions} M parameters", **grey)
    yield Line2D([], [], markersize=6.5, label="10-crop", **grey)
    yield Line2D([], [], markerfacecolor="none", markersize=6.5, label="single crop", **grey)
