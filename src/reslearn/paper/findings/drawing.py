"""What all figures of the papers share: axes, legends, and lines that need no colour to be told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from ...report.ink import INK

# Okabe and Ito's colours, told apart by most colour-blind readers; each line also has a marker of its own.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B8860B", "#56A0D3", "#7A6FAC", "#8C564B")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASH = (0, (4, 2))
MARKS = 7  # markers along a line


def line(axes: Axes, index: int, x: Sequence[float], y: Sequence[float | None], label: str = "", **style: Any) -> None:
    """One curve; `index` decides colour and marker. Unknown values leave a gap."""
    values = np.array([np.nan if v is None else v for v in y], dtype=float)
    step = max(len(values) // MARKS, 1)
    defaults: dict[str, Any] = {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[index % len(MARKERS)],
        "markevery": ((index * step) // 5 % step if step > 1 else 0, step),
        "markersize": 4.5,
        "linewidth": 1.6,
        "label": label or None,
    }
    axes.plot(np.asarray(x, dtype=float), values, **defaults | style)


def iterations_axis(axes: Axes, last: float) -> None:
    """Iterations in units of ten thousand, as in the papers, or of a thousand, or plain."""
    unit, name = (1e4, "10⁴") if last >= 3e4 else (1e3, "10³") if last >= 1500 else (1, "")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:g}"))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel(f"iterations ({name})" if name else "iterations")
    axes.set_xlim(0, last * 1.02)


def percent_axis(axes: Axes, label: str, values: Sequence[float | None]) -> None:
    """Percent upward from zero; the first moments of a training leave through the top of the frame."""
    known = np.array([v for v in values if v is not None and np.isfinite(v)], dtype=float)
    if known.size:
        axes.set_ylim(0, min(max(float(np.quantile(known, 0.9)) * 1.15, 1.0), 101))
    axes.set_ylabel(f"{label} (%)")


def log_axis(axis: Axis) -> None:
    """Plain numbers at 1, 2, 5 of each power of ten, or at the powers alone where there are many; no minor marks."""
    low, high = axis.get_data_interval()
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 100 * max(low, 1e-30) else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    axis.set_tick_params(which="minor", size=0)


def above(axes: Axes, title: str, handles: Sequence[Artist] | None = None, columns: int = 3) -> None:
    """A panel's title with its legend under it, above the frame where no line can reach."""
    found, labels = axes.get_legend_handles_labels()
    shown = list(handles) if handles is not None else found
    names = [str(handle.get_label()) for handle in shown] if handles is not None else labels
    axes.legend(shown, names, title=title, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, fontsize=7.5,
                title_fontsize=9, alignment="left", handlelength=2.2)  # fmt: skip


def legend(figure: Figure, axes: Axes, columns: int = 4) -> None:
    """One legend above the panels, from the lines of one of them."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside upper left", ncols=columns, handlelength=2.2)


def horizontal(axes: Axes, labels: Sequence[str]) -> None:
    """Rows of a dot chart, the first on top."""
    axes.set_yticks(range(len(labels)), list(labels))
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", labelcolor=INK["ink"])
