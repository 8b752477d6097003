"""The page of `explain` as values: pictures with heat over them, what tests of the maps gave, looks at classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from .ink import INK, sheet
from .pages import TEMPLATES, card, document
from .values import Fact, Grid, Table

Curve = tuple[float, ...]
DRAWN = {"map": ("val", "the maps", "-"), "random": ("train", "random maps", (0, (4, 2))),
         "centre": ("third", "the centre", (0, (1, 1.6)))}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Bar:
    """An answer: its label, its probability, and whether it is the class that is explained."""

    label: str
    probability: float
    explained: bool = False


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A small picture with words below it: bytes of a JPEG or PNG, and what it shows, for who does not see it."""

    data: bytes
    alt: str
    label: str = ""
    note: str = ""
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One explained picture: as it is and with heat, the answers, and the nearest training pictures."""

    picture: Shot
    heat: Shot
    bars: tuple[Bar, ...]
    name: str
    truth: str = ""
    right: bool = True
    nearest: tuple[Shot, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """One class: its mean picture under its mean heat, and its most and least typical pictures."""

    label: str
    note: str
    mean: Shot
    most: tuple[Shot, ...]
    least: tuple[Shot, ...]


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Many small maps in one picture."""

    title: str
    note: str
    picture: Shot


@dataclass(frozen=True, kw_only=True)
class ExplainPage:
    """Everything the page shows; empty parts are left out."""

    name: str
    summary: str
    verdict: tuple[str, ...] = ()
    warning: str = ""  # where maps are no better than chance
    facts: tuple[Fact, ...] = ()
    tiles: tuple[Tile, ...] = ()
    tiles_note: str = ""
    nearest_note: str = ""
    tests: Grid | None = None
    curves: Mapping[str, tuple[Curve, Curve]] | None = None  # map, random, centre -> deletion, insertion
    classes: tuple[ClassRow, ...] = ()
    classes_note: str = ""
    sheets: tuple[Sheet, ...] = ()
    figures: tuple[tuple[str, str, Figure], ...] = ()  # title, caption, figure
    figures_note: str = ""
    grids: tuple[Grid, ...] = ()
    command: str = ""
    tables: tuple[Table, ...] = ()


def render_explained(page: ExplainPage) -> str:
    """The page as one HTML document that needs nothing else."""
    figures = [card(*one) for one in page.figures]
    tests = [] if page.curves is None else [
        card(name.capitalize(), f"mean probability of the class while pixels are {what}; {better}",
             test_curves(page.curves, which))
        for which, (name, what, better) in enumerate((
            ("deletion", "painted over, the most telling first", "lower is better"),
            ("insertion", "brought back, the most telling first", "higher is better"),
        ))
    ]  # fmt: skip
    more = (TEMPLATES / "explain.css").read_text(encoding="utf-8")
    return document("explain.html.jinja", page=page, figures=figures, tests=tests, more_css=more)


def test_curves(curves: Mapping[str, tuple[Curve, Curve]], which: int) -> Figure:
    """Deletion (0) or insertion (1) of the maps and their rivals."""
    with sheet(360, 250) as (figure, (axes,)):
        for name, (colour, label, line) in DRAWN.items():
            values = curves[name][which]
            at = [i / (len(values) - 1) for i in range(len(values))]
            axes.plot(at, values, color=INK[colour], label=label, linestyle=line)
        axes.set(xlim=(0, 1), ylim=(0, 1.03), xlabel=f"share of pixels {'inserted' if which else 'deleted'}")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        figure.legend(loc="outside upper left", ncols=3)
        return figure


def bars_figure(
    names: list[str], series: Mapping[str, list[float]], ylabel: str, *, log: bool = False, marked: float | None = None
) -> Figure:
    """Values of layers in their order, a line for each of `series`; `marked` is a level to compare with."""
    with sheet(560, 270) as (figure, (axes,)):
        colours = [INK[name] for name in ("val", "train", "third", "wrong")]
        for colour, (label, values) in zip(colours, series.items(), strict=False):
            axes.plot(range(1, len(values) + 1), values, color=colour, marker="o", markersize=3, label=label)
        if marked is not None:
            axes.axhline(marked, color=INK["muted"], linewidth=1, linestyle=(0, (3, 3)))
        if log:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")  # the library's own is a formula, which a page shows as text
            axes.yaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_ylim(0, 1.08 * max(axes.get_ylim()[1], 1e-9))
        axes.set_ylabel(ylabel)
        axes.set_xlabel(f"layers in order, {names[0]} to {names[-1]}")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        if len(names) == 1:
            axes.set_xlim(0.5, 1.5)
        if len(series) > 1:
            figure.legend(loc="outside upper left", ncols=3)
        return figure
