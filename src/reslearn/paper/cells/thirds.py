"""The one number that says how a gradient fares on its way to the front of a net."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

MUCH = 10.0  # times; below a tenth and above this a gradient has changed its size


def first_over_last(layers: Sequence[Mapping[str, Any]]) -> float:
    """Median norm of the signal's gradient over the first third of a net's layers, over that of the last third.
    Shortcuts' own convolutions are no layers of the path."""
    norms = [float(layer["signal"]) for layer in layers if ".shortcut." not in layer["layer"]]
    third = max(len(norms) // 3, 1)
    last = statistics.median(norms[-third:])
    return statistics.median(norms[:third]) / last if last else float("inf")


def plain(ratio: float) -> str:
    """A ratio as a person reads it: `861`, `6.4`, `6.3e-13`."""
    return f"{ratio:,.0f}" if 100 <= ratio < 1e7 else f"{ratio:.2g}"


def fate(ratio: float) -> str:
    """What such a ratio means, in words."""
    if ratio > MUCH:
        return "it explodes towards the front"
    return "it vanishes towards the front" if ratio < 1 / MUCH else "it stays within a factor of ten"
