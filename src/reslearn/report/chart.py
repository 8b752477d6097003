"""Lines, bars and tables for a notebook's cell, in the house style: light or dark as the page is, words as text."""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from .figures import FEW, MARKERS, RIVALS
from .ink import INK, sheet, to_inline_svg
from .notebook import STYLE

Values = Sequence[float]
WIDTH, HEIGHT = 420, 260  # CSS pixels of a panel


@dataclass(frozen=True)
class Chart:
    """One or more panels with their titles; what a cell ends with draws itself, and `|` puts two beside each other."""

    panels: tuple[tuple[str, Figure], ...]

    def __or__(self, other: Chart) -> Chart:
        return Chart(self.panels + other.panels)

    def _repr_html_(self) -> str:
        drawn = "".join(
            f'<div style="flex:1 1 300px;max-width:{1.2 * WIDTH:.0f}px"><b>{html.escape(title)}</b>'
            f"{to_inline_svg(figure, title)}</div>"
            for title, figure in self.panels
        )
        return f'<div style="{STYLE};display:flex;flex-wrap:wrap;gap:16px">{drawn}</div>'


def lines(
    curves: Mapping[str, Values | tuple[Values, Values]],
    *,
    title: str = "",
    x: str = "",
    y: str = "",
    log: bool = False,
    dashed: Collection[str] = (),
) -> Chart:
    """One line per name: its values over 1, 2, ..., or (places, values). `x` and `y` name the axes, `log` makes the
    upright one logarithmic, and the lines in `dashed` are."""
    with sheet(WIDTH, HEIGHT, page=True) as (figure, (axes,)):
        for number, (name, curve) in enumerate(curves.items()):
            places, values = curve if isinstance(curve, tuple) else (range(1, len(curve) + 1), curve)
            axes.plot(
                np.asarray(places, dtype=float),
                np.asarray(values, dtype=float),
                color=INK[RIVALS[number % len(RIVALS)]],
                linestyle="--" if name in dashed else "-",
                label=name,
                marker=MARKERS[number % len(MARKERS)] if len(values) <= FEW else None,
                markersize=4,
            )
        if log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")  # no formula: the style reads none
            axes.yaxis.set_minor_formatter(NullFormatter())
        _name(axes, x, y)
        if any(curves):
            figure.legend(loc="outside upper left", ncols=2)
        return Chart(((title, figure),))


def bars(heights: Mapping[str, float], *, title: str = "", y: str = "", digits: int = 1) -> Chart:
    """One lying bar per name, its value behind it with so many `digits`; `y` says what is measured."""
    with sheet(WIDTH, 60 + 30 * len(heights), page=True) as (figure, (axes,)):
        names, values = list(heights), np.asarray(list(heights.values()), dtype=float)
        places = np.arange(len(names))[::-1]
        axes.barh(places, values, height=0.62, color=INK["val"], alpha=0.85)
        for place, value in zip(places, values, strict=True):
            axes.annotate(f"{value:,.{digits}f}", (max(value, 0.0), place), xytext=(4, 0), va="center",
                          textcoords="offset points", color=INK["ink"])  # fmt: skip
        axes.set_yticks(places, names)
        axes.grid(False, axis="y")
        axes.margins(x=0.16)
        axes.set_xticks([])
        _name(axes, y, "")
        return Chart(((title, figure),))


def _name(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)


@dataclass(frozen=True)
class Rows:
    """A table of plain values; what a cell ends with draws itself."""

    rows: tuple[Mapping[str, object], ...]

    def _repr_html_(self) -> str:
        names = list(self.rows[0]) if self.rows else []
        head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(shown(row[name]))}</td>" for name in names) + "</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __repr__(self) -> str:
        names = list(self.rows[0]) if self.rows else []
        return "\n".join("  ".join(f"{name}: {shown(row[name])}" for name in names) for row in self.rows)


def table(rows: Sequence[Mapping[str, object]]) -> Rows:
    """Rows that all have the same names, the first row's order; counts get commas, other numbers four figures."""
    return Rows(tuple(rows))


def shown(value: object) -> str:
    """A value as a table shows it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
