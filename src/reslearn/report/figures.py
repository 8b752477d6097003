"""The figures of every report, drawn once with matplotlib: inline SVG that follows the page's theme, or files.

Figures are drawn in the colours of `INK`; inside a page each colour becomes a CSS variable, so light and dark need no
second drawing.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .values import Bins, Counts, Curves, Floats, Report

# CSS variable -> the colour used in files (and in the drawing, before a page replaces it).
INK = {
    "ink": "#1c1f23",
    "muted": "#69707a",
    "line": "#e1e4e8",
    "train": "#8b95a5",
    "val": "#0a66c8",
    "wrong": "#cf3f2b",
    "third": "#2b8a5a",
    "fourth": "#8a5cc2",
}
RIVALS = ("val", "wrong", "third", "fourth", "train")  # colours of runs in one figure
PIXELS = 100  # per inch: figure sizes below are CSS pixels / 100
FEW = 12  # points of a curve that are marked one by one
MADE_BY = {".png": {"Software": "reslearn"}, ".svg": {"Creator": "reslearn", "Date": None}}  # known when replaced
MAX_POINTS = 150  # a curve is averaged down to this many points
NUMBERED = 20  # a confusion matrix of more classes shows no numbers
NAMED = 40  # of more classes, no names either
VECTOR = 60  # of more classes, one picture instead of one rectangle per cell
MAX_SQUARES = 250  # of more classes, one square stands for several

STYLE: Any = {  # matplotlib types its keys one by one
    "text.parse_math": False,  # a class named $x$ is no formula
    "svg.fonttype": "none",
    "svg.hashsalt": "reslearn",
    "figure.dpi": PIXELS,
    "font.family": ["DejaVu Sans"],
    "font.size": 8.2,  # points; 11.4 CSS pixels
    "text.color": INK["ink"],
    "axes.edgecolor": INK["line"],
    "axes.labelcolor": INK["muted"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": INK["line"],
    "grid.linewidth": 0.8,
    "xtick.color": INK["line"],
    "ytick.color": INK["line"],
    "xtick.labelcolor": INK["muted"],
    "ytick.labelcolor": INK["muted"],
    "ytick.major.size": 0,
    "xtick.major.size": 3,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.handlelength": 1.1,
    "legend.borderpad": 0,
    "legend.columnspacing": 1.2,
}


@contextmanager
def _sheet(width: int, height: int) -> Iterator[tuple[Figure, Axes]]:
    """One axes on a transparent figure of `width` x `height` CSS pixels, drawn in the house style."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width / PIXELS, height / PIXELS), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        yield figure, axes


def error_curves(curves: Curves) -> Figure:
    """Training and validation error (percent) over epochs."""
    with _sheet(360, 250) as (figure, axes):
        _line(axes, curves.epoch, curves.train_error, "train", "train", "{:.2f} %")
        _line(axes, curves.epoch, curves.val_error, "val", "validation", "{:.2f} %")
        tail = np.concatenate([curves.train_error, curves.val_error])
        tail = tail[np.isfinite(tail)]
        if tail.size:
            # The first moments of a run would flatten all the rest: they leave through the top of the frame.
            axes.set_ylim(0, max(float(np.quantile(tail, 0.92)) * 1.1, 0.5))
        _finish(axes, figure)
        return figure


def rival_curves(rivals: Sequence[tuple[str, Curves]]) -> Figure:
    """Validation error (percent) of several runs over epochs; of a run that has none, its training error."""
    with _sheet(420, 270 + 10 * len(rivals)) as (figure, axes):
        tails = []
        for number, (name, curves) in enumerate(rivals):
            errors = curves.val_error if np.isfinite(curves.val_error).any() else curves.train_error
            known = np.isfinite(errors)
            colour = INK[RIVALS[number % len(RIVALS)]]
            style = ("-", (0, (4, 2)), (0, (1, 1.6)))[number // len(RIVALS) % 3]
            label = f"{name} {errors[known][-1]:.2f} %" if known.any() else name
            marker = "o" if known.sum() <= FEW else None
            axes.plot(
                curves.epoch[known],
                errors[known],
                color=colour,
                linestyle=style,
                label=label,
                marker=marker,
                markersize=3.2,
            )
            tails.append(errors[known])
        tail = np.concatenate(tails)
        if tail.size:
            axes.set_ylim(0, max(float(np.quantile(tail, 0.92)) * 1.1, 0.5))
        _finish(axes, figure)
        return figure


def loss_curves(curves: Curves) -> Figure:
    """Loss over epochs: every step (averaged to a few hundred points), and validation."""
    with _sheet(360, 250) as (figure, axes):
        _line(axes, *thin(curves.step_epoch, curves.step_loss), "train", "train", "{:.3f}", width=1.1)
        _line(axes, curves.epoch, curves.val_loss, "val", "validation", "{:.3f}")
        values = np.concatenate([curves.step_loss, curves.val_loss])
        values = values[np.isfinite(values)]
        if values.size and values.min() > 0 and values.max() / values.min() > 5:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("")
            axes.tick_params(axis="y", which="minor", size=0)
        else:
            axes.set_ylim(bottom=0)
        _finish(axes, figure)
        return figure


def learning_rate(curves: Curves) -> Figure:
    """Learning rate over epochs."""
    with _sheet(360, 250) as (figure, axes):
        axes.plot(*thin(curves.step_epoch, curves.step_lr), color=INK["ink"])
        axes.set_ylim(bottom=0)
        _finish(axes, figure)
        return figure


def reliability(bins: Bins) -> Figure:
    """Accuracy against confidence per bin; the marker's area follows the number of pictures."""
    with _sheet(360, 340) as (figure, axes):
        filled = bins.count > 0
        x, y = bins.confidence[filled], bins.accuracy[filled]
        weight = bins.count[filled] / max(int(bins.count.max(initial=1)), 1)
        axes.plot([0, 1], [0, 1], color=INK["muted"], linewidth=1, linestyle=(0, (3, 3)))
        axes.vlines(x, np.minimum(x, y), np.maximum(x, y), color=INK["val"], linewidth=1.6, alpha=0.35)
        axes.scatter(x, y, s=10 + 90 * weight, color=INK["val"], zorder=3)
        axes.set(xlim=(0, 1.03), ylim=(0, 1.03), xlabel="confidence", ylabel="accuracy")
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.set_aspect("equal")
        return figure


def confusion_matrix(confusion: Counts, classes: tuple[str, ...]) -> Figure:
    """Rows are truth, columns prediction. Colour follows the share of the row: blue where right, red where wrong."""
    count = len(classes)
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = 400 if count <= 12 else 520
    with _sheet(side, side) as (figure, axes):
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        _cells(axes, share)
        axes.set_xlim(-0.5, count - 0.5)
        axes.set_ylim(count - 0.5, -0.5)
        axes.set_aspect("equal")
        axes.xaxis.set_label_position("top")
        axes.xaxis.tick_top()
        axes.set(xlabel="predicted", ylabel="truth")
        axes.tick_params(size=0)
        if count <= NAMED:
            size = 8.2 if count <= NUMBERED else 6
            longest = max(len(name) for name in classes)
            turned = longest * count > 55
            short = [name if len(name) <= 18 else name[:17] + "…" for name in classes]
            axes.set_xticks(range(count), short, rotation=90 if turned else 0, fontsize=size)
            axes.set_yticks(range(count), short, fontsize=size)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        if count <= NUMBERED:
            for row, column in zip(*np.nonzero(confusion), strict=True):
                text = str(confusion[row, column])
                axes.text(column, row, text, ha="center", va="center", fontsize=8.2 if len(text) < 4 else 6.5)
        return figure


def _cells(axes: Axes, share: Floats) -> None:
    """The coloured squares; opacity carries the value, so that they sit on any background."""
    count = len(share)
    pooled = pool(share, -(-count // MAX_SQUARES))
    side = len(pooled)
    right = np.eye(side, dtype=bool)
    # A single mistake among hundreds must be seen: the square root lifts small shares.
    alpha = np.where(right, 0.12 + 0.5 * pooled, np.where(pooled > 0, 0.08 + 0.8 * np.sqrt(pooled), 0)).clip(0, 0.85)
    if side > VECTOR:
        rgba = np.empty((side, side, 4))
        rgba[..., :3] = _rgb("wrong")
        rgba[right, :3] = _rgb("val")
        rgba[..., 3] = alpha
        axes.imshow(rgba, interpolation="none", extent=(-0.5, count - 0.5, count - 0.5, -0.5))
        return
    from matplotlib.patches import Rectangle

    gap = 0.04 if count <= NAMED else 0.0
    for row, column in zip(*np.nonzero(alpha), strict=True):
        colour = INK["val" if row == column else "wrong"]
        corner = (column - 0.5 + gap, row - 0.5 + gap)
        size = 1 - 2 * gap
        axes.add_patch(Rectangle(corner, size, size, facecolor=colour, alpha=alpha[row, column], linewidth=0))


def pool(share: Floats, factor: int) -> Floats:
    """Shrink a (C, C) matrix of row shares by `factor`: the mean on the diagonal, elsewhere the largest of a block."""
    if factor == 1:
        return share
    side = -(-len(share) // factor)
    padded = np.zeros((side * factor, side * factor))
    padded[: len(share), : len(share)] = share * ~np.eye(len(share), dtype=bool)
    blocks: Floats = padded.reshape(side, factor, side, factor).max(axis=(1, 3))
    diagonal = np.array([part.mean() for part in np.split(share.diagonal(), range(factor, len(share), factor))])
    np.fill_diagonal(blocks, diagonal)
    return blocks


def thin(x: Floats, y: Floats, points: int = MAX_POINTS) -> tuple[Floats, Floats]:
    """Average neighbours until at most `points` remain; both ends keep their place."""
    if len(x) <= points:
        return x, y
    edges = np.linspace(0, len(x), points + 1).astype(int)[:-1]
    size = np.diff(np.append(edges, len(x)))
    return np.asarray(np.add.reduceat(x, edges) / size), np.asarray(np.add.reduceat(y, edges) / size)


def _line(axes: Axes, x: Floats, y: Floats, colour: str, label: str, form: str, width: float | None = None) -> None:
    known = np.isfinite(y)
    if not known.any():
        return
    axes.plot(
        x[known],
        y[known],
        color=INK[colour],
        label=f"{label} {form.format(y[known][-1])}",
        marker="o" if known.sum() <= FEW else None,
        markersize=3.2,
        linewidth=width,
    )


def _finish(axes: Axes, figure: Figure) -> None:
    axes.set_xlabel("epoch")
    axes.set_xlim(left=0)
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if axes.get_legend_handles_labels()[1]:
        figure.legend(loc="outside upper left", ncols=2)


def _rgb(name: str) -> tuple[float, ...]:
    return tuple(int(INK[name][i : i + 2], 16) / 255 for i in (1, 3, 5))


def to_inline_svg(figure: Figure, title: str) -> str:
    """An `<svg>` element for an HTML page: scales with its box, follows the page's colours and fonts."""
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>\s*", "", text, flags=re.DOTALL)  # it would style the whole page
    text = re.sub(r'<g id="[^"]*">', "<g>", text)  # ids of groups would repeat from figure to figure
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    for name, colour in INK.items():
        text = text.replace(colour, f"var(--{name})")
    width = round(1.2 * figure.get_figwidth() * PIXELS)  # a little larger where there is room
    opening, _, body = text.partition(">")
    kept = re.findall(r'(?:xmlns(?::\w+)?|viewBox)="[^"]*"', opening)
    label = html.escape(title)
    head = f'<svg class="figure" role="img" aria-label="{label}" style="max-width:{width}px" {" ".join(kept)}>'
    return head + body.strip()


def figures_of(report: Report) -> dict[str, Callable[[], Figure]]:
    """File name (no suffix) -> what draws it, for everything a report shows."""
    found: dict[str, Callable[[], Figure]] = {}
    if report.rivals:
        found["validation_error"] = partial(rival_curves, report.rivals)
    if report.curves is not None:
        found["error"] = partial(error_curves, report.curves)
        found["loss"] = partial(loss_curves, report.curves)
        found["learning_rate"] = partial(learning_rate, report.curves)
    for part in report.details:
        found[f"{part.split}_confusion"] = partial(confusion_matrix, part.confusion, part.classes)
        found[f"{part.split}_reliability"] = partial(reliability, part.bins)
    return found


def figure_files(folder: Path, report: Report) -> list[Path]:
    """The files that `save_figures` writes."""
    return [folder / (name + suffix) for name in figures_of(report) for suffix in (".png", ".svg")]


def save_figures(folder: Path, report: Report) -> list[Path]:
    """Write every figure as PNG (200 dpi) and SVG on white; returns the paths. Each names who made it."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in figures_of(report).items():
        figure = draw()
        figure.patch.set(alpha=1, facecolor="white")
        for suffix in (".png", ".svg"):
            path = folder / (name + suffix)
            with matplotlib.rc_context(STYLE):
                figure.savefig(path, dpi=2 * PIXELS, metadata=MADE_BY[suffix])
            written.append(path)
    return written
