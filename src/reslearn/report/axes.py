"""Axes of curves: what leaves the frame is marked, and a loss has labels whatever it spans."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from .ink import INK
from .values import Floats

WHOLE = 1.3  # times the top, up to which there is room for all
ROW = 9  # points from one row of small words to the next


def cut_off(axes: Axes, curves: Sequence[tuple[Floats, Floats, str]]) -> None:
    """From 0 to a little above most of the (x, y, colour); where a curve leaves through the top, how high it goes.

    The first moments of a run would flatten all the rest.
    """
    tail = np.concatenate([y[np.isfinite(y)] for _, y, _ in curves])
    if not tail.size:
        return
    most, top = float(tail.max()), max(float(np.quantile(tail, 0.92)) * 1.1, 0.5)
    if most <= WHOLE * top:
        top = max(1.04 * most, 0.5)
    axes.set_ylim(0, top)
    rows = 0  # of words, below each other: curves leave at much the same place
    for x, y, colour in curves:
        beyond = np.flatnonzero(np.isfinite(y) & (y > top))
        if beyond.size:
            highest = beyond[np.argmax(y[beyond])]
            axes.plot(x[highest], top, marker="^", color=colour, markersize=5, clip_on=False, linestyle="none")
            axes.annotate(
                f"up to {y[highest]:.3g} %",
                (x[min(highest + 1, len(x) - 1)], top),  # beside the curve that comes down
                xytext=(2, -3 - ROW * rows),
                textcoords="offset points",
                color=INK["muted"] if colour == INK["train"] else colour,  # that of lines is too light for words
                fontsize=7.4,
                va="top",
            )
            rows += 1


def loss_axis(axes: Axes, values: Floats) -> None:
    """Logarithmic where the values span much, with at least three labels whatever they span."""
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() / values.min() > 5:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(FixedLocator(loss_ticks(low, high)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(0, 1.1 * max(float(values.max(initial=0.0)), 1e-9))
        axes.yaxis.set_major_locator(MaxNLocator(5, min_n_ticks=3, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter("{x:g}")


def loss_ticks(low: float, high: float) -> list[float]:
    """Round numbers in a logarithmic range: three to eight of them."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    step = 1
    while len(decades[::step]) > 8:
        step += 1
    for digits in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        skipped = decades[::step] if digits == (1,) else decades
        ticks = [digit * 10.0**k for k in skipped for digit in digits]
        inside = [float(f"{tick:.3g}") for tick in ticks if low <= tick <= high]
        if 3 <= len(inside) <= 9:
            return inside
    return [float(f"{tick:.3g}") for tick in np.geomspace(low, high, 5)[1:-1]]
