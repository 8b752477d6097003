"""The figures of a sweep: every trial as a line across its settings, and how much each setting matters."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .ink import INK, sheet
from .values import Search, SearchAxis

ROW = 34  # CSS pixels of a bar


def parallel_coordinates(search: Search) -> Figure:
    """A line a trial through its place on every axis to its error; the better the stronger, the best one in a colour.

    A trial that was ended early or failed is dashed, and has no place on the last axis.
    """
    axes_of = (*search.axes, search.error)
    with sheet(max(420, 150 * len(axes_of)), 330) as (figure, (axes,)):
        _stand(axes, axes_of)
        ranked = {trial: place for place, trial in enumerate(_by_error(search))}
        for number, places in enumerate(search.places):
            xs = [x for x, place in enumerate(places) if place is not None]
            ys = [place for place in places if place is not None]
            if number == search.best:
                continue
            done = places[-1] is not None
            strength = 0.25 + 0.6 * (1 - ranked[number] / max(len(ranked) - 1, 1)) if done else 0.55
            axes.plot(
                xs,
                ys,
                color=INK["val" if done else "train"],
                alpha=strength,
                linewidth=1.2,
                linestyle="-" if done else (0, (3, 2)),
            )
        best = [place for place in search.places[search.best] if place is not None]
        axes.plot(range(len(best)), best, color=INK["wrong"], linewidth=2.4, marker="o", markersize=4, label="best")
        if len(ranked) > 1:
            axes.plot([], [], color=INK["val"], linewidth=1.2, label="done, the better the stronger")
        if len(ranked) < len(search.places):
            dashed = (0, (3, 2))
            axes.plot([], [], color=INK["train"], linewidth=1.2, linestyle=dashed, label="ended early or failed")
        figure.legend(loc="outside upper left", ncols=3)
        return figure


def _stand(axes: Axes, every: tuple[SearchAxis, ...]) -> None:
    """One upright line an axis, with its ends' marks above and below it, where no trial passes, and its name below.

    Other marks stand beside it, over the lines of trials, those of the error on the outer side.
    """
    axes.set(xlim=(-0.42, len(every) - 0.58), ylim=(-0.04, 1.04))
    axes.grid(False)
    axes.spines["bottom"].set_visible(False)
    axes.set_yticks([])
    axes.set_xticks(range(len(every)), [axis.name for axis in every])
    axes.tick_params(axis="x", length=0, pad=12)
    for label in axes.get_xticklabels():
        label.set_color(INK["ink"])
    for x, axis in enumerate(every):
        axes.plot([x, x], [0, 1], color=INK["muted"], linewidth=0.9, zorder=1)
        last = x == len(every) - 1
        for place, text in axis.marks:
            tick = [x, x + 0.02] if last else [x - 0.02, x]
            axes.plot(tick, [place, place], color=INK["muted"], linewidth=0.9, zorder=1)
            where: dict[str, Any] = {
                "xytext": (6 if last else -6, 0),
                "ha": "left" if last else "right",
                "va": "center",
            }
            if place in (0.0, 1.0):
                where = {"xytext": (0, 6 if place else -6), "ha": "center", "va": "bottom" if place else "top"}
            axes.annotate(
                text,
                (x, place),
                textcoords="offset points",
                color=INK["muted"],
                zorder=5,
                annotation_clip=False,
                **where,
            )


def _by_error(search: Search) -> list[int]:
    """The trials that have an error, the least first: places count upwards with it."""
    done = [i for i, places in enumerate(search.places) if places[-1] is not None]
    return sorted(done, key=lambda i: search.places[i][-1] or 0.0)


def importance_bars(search: Search) -> Figure:
    """How much of the differences between trials each setting accounts for, the largest first."""
    names = [name for name, _ in search.importance]
    shares = np.array([share for _, share in search.importance])
    with sheet(420, 60 + ROW * len(names)) as (figure, (axes,)):
        axes.barh(range(len(names)), shares, color=INK["val"], height=0.56)
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(axis="y", length=0, labelcolor=INK["ink"])
        axes.invert_yaxis()
        axes.grid(False)
        axes.spines["bottom"].set_visible(False)
        axes.set_xticks([])
        axes.set_xlim(0, 1.12 * max(float(shares.max(initial=0.0)), 1e-9))
        for row, share in enumerate(shares):
            axes.annotate(f"{100 * share:.0f} %", (share, row), xytext=(4, 0), textcoords="offset points", va="center")
        return figure
