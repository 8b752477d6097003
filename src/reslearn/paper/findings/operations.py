"""Accuracy against operations and parameters for AlexNet, GoogLeNet, VGG, ResNet, ResNeXt and SENet, in one chart.

Errors are published top-5 errors on ImageNet validation; operations and parameters are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure

from ...report.ink import sheet
from ...spec.catalogue import get_spec
from ...spec.cost import Cost, cost
from ..published.cited import ALEXNET_TOP5, alexnet, googlenet
from ..published.claims import CLAIMS
from ..published.tables import Claim
from .drawing import COLOURS, MARKERS

FAMILIES = ("AlexNet", "GoogLeNet", "VGG", "ResNet", "ResNeXt", "SENet")
# Where a label sits beside its point, in points; the rest are put to the right.
PLACES = {
    "SE-ResNet-50": (-11, -3),
    "ResNet-101": (-12, -3),
    "SE-ResNet-101": (-12, -3),
    "ResNeXt-50": (-11, -3),
    "SE-ResNeXt-50": (-11, -3),
    "ResNeXt-101": (-12, -3),
    "SE-ResNeXt-101": (-12, -3),
}
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
    source: str


def points() -> list[Point]:
    """Every network of the chart."""
    return list(_points())


def _points() -> Iterator[Point]:
    a, g = alexnet(), googlenet()
    yield Point("AlexNet", "AlexNet", ALEXNET_TOP5, "10-crop", a.macs, a.parameters, "NIPS 2012 table 2")
    google = next(c for c in CLAIMS if (c.table, c.row, c.column) == ("p1-table3", "GoogLeNet", "top-5"))
    yield Point("GoogLeNet", "GoogLeNet", google.value or 0, "10-crop", g.macs, g.parameters, "p1-table3")
    for table, rows in SHOWN:
        for row in rows:
            claim = next(c for c in CLAIMS if (c.table, c.row, c.column) == (table, row, "top-5"))
            total = _cost(claim)
            yield Point(row, _family(row), claim.value or 0, claim.protocol or "", total.macs, total.parameters, table)


def _cost(claim: Claim) -> Cost:
    return cost(get_spec(claim.net or "", **claim.changes))


def _family(name: str) -> str:
    return "SENet" if name.startswith("SE-") else name.split("-")[0]


def chart() -> Figure:
    """Top-5 error over multiply-adds: the marker's shape is the family, its area the parameters; hollow means single
    crop (10-crop testing lowers an error by about one point); a dotted line leads to the net with gates."""
    found = points()
    with sheet(880, 520) as (figure, (axes,)):
        at = {point.name: point for point in found}
        for name, gated in at.items():
            if (plain := at.get(name.removeprefix("SE-"))) and plain is not gated:
                x, y = [plain.macs / 1e9, gated.macs / 1e9], [plain.top5, gated.top5]
                axes.plot(x, y, color="#999999", linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
        for point in found:
            index = FAMILIES.index(point.family)
            hollow = point.protocol == "1-crop"
            axes.scatter(
                [point.macs / 1e9], [point.top5], s=20 + point.parameters / 4e5, marker=MARKERS[index],
                facecolor="none" if hollow else COLOURS[index], edgecolor=COLOURS[index], linewidth=1.4, zorder=3,
            )  # fmt: skip
            dx, dy = PLACES.get(point.name, (12, -3))
            axes.annotate(point.name, (point.macs / 1e9, point.top5), xytext=(dx, dy), textcoords="offset points",
                          ha="right" if dx < 0 else "left", fontsize=8)  # fmt: skip
        for index, family in enumerate(FAMILIES):
            axes.scatter([], [], marker=MARKERS[index], color=COLOURS[index], s=45, label=family)
        for millions in (7, 60, 138):
            axes.scatter([], [], marker="o", facecolor="none", edgecolor="#777777", s=20 + millions / 0.4,
                         label=f"{millions} M parameters")  # fmt: skip
        axes.scatter([], [], marker="o", color="#777777", s=45, label="10-crop")
        axes.scatter([], [], marker="o", facecolor="none", edgecolor="#777777", s=45, label="single crop")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks([0.7, 1, 2, 4, 8, 16], ["0.7", "1", "2", "4", "8", "16"])
        axes.set_yticks([5, 6, 7, 8, 10, 12, 15, 18], ["5", "6", "7", "8", "10", "12", "15", "18"])
        axes.minorticks_off()
        axes.set(xlabel="multiply-adds of one picture (10⁹)", ylabel="top-5 error on ImageNet validation (%)")
        axes.set_xlim(0.6, 24)
        axes.legend(loc="upper right", fontsize=8, ncols=2, labelspacing=0.9, columnspacing=2)
        return figure
