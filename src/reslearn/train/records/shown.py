"""A run in a notebook: its headline and its curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...report.figures import error_curves, loss_curves
from ...report.notebook import cell
from .curves import sealed_curves
from .journal import read_journal
from .run import read_record


def run_html(folder: Path, model: str, headline: str, images_per_second: float, val: Mapping[str, Any] | None) -> str:
    """The run in `folder`, as a cell of a notebook shows it; `val` is its sealed score."""
    record = read_record(folder)
    drawn = sealed_curves(record, read_journal(folder / "metrics.jsonl"), val)
    facts = [("model", model), ("speed", f"{images_per_second:,.0f} pictures/s")]
    figures = [("error, percent", error_curves(drawn)), ("loss", loss_curves(drawn))]
    return cell(f"{record.spec.name}: {headline}", facts, figures)
