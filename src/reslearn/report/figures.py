"""The figures of every report, drawn once with matplotlib: inline SVG that follows the page's theme, or files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from numpy.typing import NDArray

from .axes import cut_off, loss_axis
from .confusion import confusion_matrix
from .fonts import quietly, tell_missing
from .ink import INK, PIXELS, STYLE, sheet
from .search import importance_bars, parallel_coordinates
from .values import Bins, Curves, Floats, RateCurve, Report

RIVALS = ("val", "wrong", "third", "fourth", "train")  # colours of runs in one figure
MARKERS = ("o", "s", "^", "D", "v")
FEW = 12  # points of a curve that are marked one by one
MADE_BY = {".png": {"Software": "reslearn"}, ".svg": {"Creator": "reslearn", "Date": None}}  # known when replaced
LEGEND = 44  # letters of a legend's row, beyond which its words stand below each other
LONG = 40  # letters of a name in a legend
RING: Any = {
    "marker": "o",
    "markersize": 9,
    "markerfacecolor": "none",
    "markeredgecolor": INK["ink"],
    "linestyle": "none",
}
MAX_POINTS = 150  # a curve is averaged down to this many points


def error_curves(curves: Curves) -> Figure:
    """Training and validation error (percent) over epochs."""
    with sheet(360, 250) as (figure, (axes,)):
        _line(axes, curves.epoch, curves.train_error, "train", "train", "{:.2f} %")
        _line(axes, curves.epoch, curves.val_error, "val", "validation", "{:.2f} %", kept=curves.kept)
        cut_off(
            axes,
            [(curves.epoch, curves.train_error, INK["train"]), (curves.epoch, curves.val_error, INK["val"])],
        )
        _ring(axes, curves, curves.val_error, label=True)
        _finish(axes, figure)
        return figure


def rival_curves(rivals: Sequence[tuple[str, Curves]]) -> Figure:
    """Validation error (percent) of several runs over epochs; of a run that has none, its training error."""
    with sheet(420, 270 + 10 * len(rivals)) as (figure, (axes,)):
        drawn = []
        for number, (name, curves) in enumerate(rivals):
            errors = curves.val_error if np.isfinite(curves.val_error).any() else curves.train_error
            known = np.isfinite(errors)
            colour = INK[RIVALS[number % len(RIVALS)]]
            name = name if len(name) <= LONG else f"{name[: LONG - 1]}…"
            axes.plot(
                curves.epoch[known],
                errors[known],
                color=colour,
                linestyle=("-", (0, (4, 2)), (0, (1, 1.6)))[number // len(RIVALS) % 3],
                label=f"{name}: {errors[_end(curves.epoch, known, curves.kept)]:.2f} %" if known.any() else name,
                marker=MARKERS[number % len(MARKERS)] if known.sum() <= FEW else None,
                markersize=max(6.5 - 0.8 * number, 2.6),
                linewidth=max(1.2 + 0.8 * (min(len(rivals), 5) - 1 - number), 1.2),  # where two coincide, both show
            )
            drawn.append((curves.epoch, errors, colour))
        cut_off(axes, drawn)
        for _, curves in rivals:
            _ring(axes, curves, curves.val_error, label=False)
        if any(curves.kept is not None for _, curves in rivals):
            axes.plot([], [], **RING, label="the epoch that was kept")
        _finish(axes, figure)
        return figure


def loss_curves(curves: Curves) -> Figure:
    """Loss over epochs: every step (averaged to a few hundred points), and validation."""
    with sheet(360, 250) as (figure, (axes,)):
        _line(axes, *thin(curves.step_epoch, curves.step_loss), "train", "train", "{:.3f}", width=1.1)
        _line(axes, curves.epoch, curves.val_loss, "val", "validation", "{:.3f}", kept=curves.kept)
        values = np.concatenate([curves.step_loss, curves.val_loss])
        values = values[np.isfinite(values)]
        loss_axis(axes, values)
        _ring(axes, curves, curves.val_loss, label=True)
        _finish(axes, figure)
        return figure


def learning_rate(curves: Curves) -> Figure:
    """Learning rate over epochs."""
    with sheet(360, 250) as (figure, (axes,)):
        axes.plot(*thin(curves.step_epoch, curves.step_lr), color=INK["ink"])
        axes.set_ylim(bottom=0)
        _finish(axes, figure)
        return figure


def rate_curve(found: RateCurve) -> Figure:
    """Loss against the learning rate of a range test; a line at the rate that is suggested."""
    with sheet(420, 270) as (figure, (axes,)):
        rates, losses = np.array(found.rate), np.array(found.loss)
        axes.plot(rates, losses, color=INK["val"])
        axes.axvline(found.suggested, color=INK["third"], linewidth=1.2, linestyle=(0, (3, 2)), label="suggested")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")  # the library's own is a formula, which an inline figure shows as text
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("learning rate")
        loss_axis(axes, losses)
        figure.legend(loc="outside upper left", ncols=2)
        return figure


def reliability(bins: Bins) -> Figure:
    """Accuracy against confidence per bin; the marker's area follows the number of pictures."""
    with sheet(360, 340) as (figure, (axes,)):
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


def thin(x: Floats, y: Floats, points: int = MAX_POINTS) -> tuple[Floats, Floats]:
    """Average neighbours until at most `points` remain; both ends keep their place."""
    if len(x) <= points:
        return x, y
    edges = np.linspace(0, len(x), points + 1).astype(int)[:-1]
    size = np.diff(np.append(edges, len(x)))
    return np.asarray(np.add.reduceat(x, edges) / size), np.asarray(np.add.reduceat(y, edges) / size)


def _line(
    axes: Axes,
    x: Floats,
    y: Floats,
    colour: str,
    label: str,
    form: str,
    *,
    width: float | None = None,
    kept: float | None = None,
) -> None:
    """A curve; the number in its label is that of its end, or of the epoch that was kept."""
    known = np.isfinite(y)
    if not known.any():
        return
    axes.plot(
        x[known],
        y[known],
        color=INK[colour],
        label=f"{label} {form.format(y[_end(x, known, kept)])}",
        marker="o" if known.sum() <= FEW else None,
        markersize=3.2,
        linewidth=width,
    )


def _end(x: Floats, known: NDArray[np.bool_], kept: float | None) -> int:
    """Where the number stands that a curve is known by: at the epoch that was kept, else at its last one."""
    places = np.flatnonzero(known if kept is None else known & (x == kept))
    return int(places[-1] if places.size else np.flatnonzero(known)[-1])


def _ring(axes: Axes, curves: Curves, values: Floats, *, label: bool) -> None:
    """Mark the epoch whose weights were sealed, where these need not be the last ones."""
    at = curves.epoch == curves.kept
    if curves.kept is not None and np.isfinite(values[at]).any():
        text = f"kept: epoch {curves.kept:.3g}" if label else None
        inside = bool((values[at] <= axes.get_ylim()[1]).all())  # at the frame's edge the ring is whole, too
        axes.plot(curves.epoch[at], values[at], **RING, label=text, clip_on=not inside, zorder=4)


def _finish(axes: Axes, figure: Figure) -> None:
    axes.set_xlabel("epoch")
    axes.margins(x=0.03)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if labels := axes.get_legend_handles_labels()[1]:
        figure.legend(loc="outside upper left", ncols=1 if sum(map(len, labels[:2])) > LEGEND else 2)


def figures_of(report: Report) -> dict[str, Callable[[], Figure]]:
    """File name (no suffix) -> what draws it, for everything a report shows."""
    found: dict[str, Callable[[], Figure]] = {}
    if report.rivals:
        found["validation_error"] = partial(rival_curves, report.rivals)
    if report.search is not None:
        found["trials"] = partial(parallel_coordinates, report.search)
        if report.search.importance:
            found["importance"] = partial(importance_bars, report.search)
    if report.rates is not None:
        found["learning_rate_range"] = partial(rate_curve, report.rates)
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
        tell_missing(figure)
        for suffix in (".png", ".svg"):
            path = folder / (name + suffix)
            with matplotlib.rc_context(STYLE), quietly():
                figure.savefig(path, dpi=2 * PIXELS, metadata=MADE_BY[suffix])
            written.append(path)
    return written
