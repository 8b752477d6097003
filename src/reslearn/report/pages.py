"""Values to self-contained HTML pages: templates, filters, and what each page derives from its values."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from matplotlib.figure import Figure

from ..report import figures
from ..spec.text import counted
from .confusion import confusion_matrix
from .ink import to_page_svg
from .search import importance_bars, parallel_coordinates
from .values import Details, Gallery, Picture, Report
from .words import templates

TEMPLATES = Path(__file__).parent / "templates"
ALL_ROWS = 25  # of more classes, the worst are shown and the others fold away
WORST_ROWS = 12
SIDE_BY_SIDE = 6  # rows of classes, beyond which they stand in two halves beside each other
MISTAKES = (
    "Wrong, and sure of it; mislabelled pictures turn up here first. First the truth, then in red the prediction, each "
    "with the probability that the network gave it."
)
WITH_HEAT = " Beside each picture, heat where it speaks for the prediction: what the network looked at, not why."
HARDEST = "The least probability for the truth among the others, right or wrong."


def render(report: Report) -> str:
    """A report as one HTML document that needs nothing else."""
    return document(
        "report.html.jinja",
        report=report,
        curves=[card(*one) for one in _curves(report)],
        trials=[card(*one) for one in _trials(report)],
        details=[_inside(part) for part in report.details],
    )


def document(template: str, **values: Any) -> str:
    """A template of ours filled with values, as one HTML document."""
    return _templates().get_template(template).render(**values, css=_style(), version=_version())


def _curves(report: Report) -> Iterator[tuple[str, str, Figure]]:
    """Title, caption and figure of everything drawn over epochs."""
    if report.rivals:
        yield "Validation error", "percent of pictures, while training", figures.rival_curves(report.rivals)
    if report.rates is not None:
        yield (
            "Loss",
            "cross-entropy against the learning rate, which grows from step to step",
            figures.rate_curve(report.rates),
        )
    if report.curves is not None:
        yield "Error", "percent of pictures", figures.error_curves(report.curves)
        yield "Loss", "cross-entropy", figures.loss_curves(report.curves)
        yield "Learning rate", "of each optimiser step", figures.learning_rate(report.curves)


def _trials(report: Report) -> Iterator[tuple[str, str, Figure]]:
    """Title, caption and figure of a sweep."""
    found = report.search
    if found is None:
        return
    yield "Every trial", "a line through its settings to its error on validation", parallel_coordinates(found)
    if found.importance:
        note = "share of the differences between trials that each setting accounts for (fANOVA)"
        yield "Importance", note, importance_bars(found)


def card(title: str, note: str, figure: Figure) -> dict[str, str]:
    """A figure, its title and its caption, as templates take them."""
    return {"title": title, "note": note, "svg": to_page_svg(figure, f"{title}, {note}")}


def _inside(part: Details) -> dict[str, Any]:
    """What the template shows of one split."""
    count, wrong = int(part.confusion.sum()), int(part.confusion.sum() - np.trace(part.confusion))
    rows, shown = part.per_class, len(part.per_class)
    if shown > ALL_ROWS:
        rows, shown = tuple(sorted(rows, key=lambda row: -1.0 if math.isnan(row.f1) else row.f1)), WORST_ROWS
    return {
        "split": part.split,
        "anchor": "in-" + re.sub(r"\W+", "-", part.split),
        "confusion_svg": to_page_svg(
            confusion_matrix(part.confusion, part.classes), f"confusion matrix on {part.split}"
        ),
        "confusion_note": f"{count - wrong:,} of {counted(count, 'picture')} right, {wrong:,} wrong",
        "confused": part.confused,
        "reliability_svg": to_page_svg(figures.reliability(part.bins), f"reliability on {part.split}"),
        "reliability_note": f"calibration error (ECE) {number(part.ece, 3)}{_at(part.temperature)}; on the dashed line "
        "confidence is honest",
        "classes_note": _classes_note(part, sorted_by_f1=len(rows) > shown),
        "first_rows": rows[:shown],
        "other_rows": rows[shown:],
        "half": -(-shown // 2) if shown > SIDE_BY_SIDE else shown,
        "mistakes": Gallery(
            title="Most confident mistakes",
            note=MISTAKES + (WITH_HEAT if any(one.heat for one in part.mistakes) else ""),
            pictures=part.mistakes,
        ),
        "hardest": Gallery(title="Hardest pictures", note=HARDEST, pictures=part.hardest),
    }


def _classes_note(part: Details, *, sorted_by_f1: bool) -> str:
    note = f"F1 is {percent(part.macro_f1)} on average over classes, {percent(part.weighted_f1)} weighted by pictures."
    return note + (" The worst come first." if sorted_by_f1 else "")


def _at(temperature: float) -> str:
    return "" if temperature == 1 else f" at temperature {temperature:.2f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as percent; an en dash where there is no number."""
    return "–" if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f} %"


def number(value: float | None, digits: int = 3) -> str:
    """A number with `digits` decimals; an en dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def interval(bounds: tuple[float, float]) -> str:
    """Two fractions as a range of percent that no line break divides (a dash would allow one, hence the joiner)."""
    return f"{100 * bounds[0]:.1f} –\N{WORD JOINER} {100 * bounds[1]:.1f} %".replace(" ", "\N{NO-BREAK SPACE}")


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def data_uri(picture: Picture) -> str:
    """A picture as an address that carries its bytes."""
    return encoded(picture.data)


def encoded(data: bytes) -> str:
    """The bytes of a PNG or JPEG as an address that carries them."""
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@cache
def _templates() -> jinja2.Environment:
    return templates(TEMPLATES, percent=percent, number=number, interval=interval, data_uri=data_uri, encoded=encoded)


@cache
def _style() -> str:
    return (TEMPLATES / "style.css").read_text(encoding="utf-8")


def _version() -> str:
    try:
        return version("reslearn")
    except PackageNotFoundError:
        return "(not installed)"
