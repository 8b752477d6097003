"""A run in a notebook: its headline and its curves."""

from __future__ import annotations

from pathlib import Path

from ...report.figures import error_curves, loss_curves
from ...report.notebook import cell
from .curves import curves
from .journal import read_journal
from .run import read_record


def run_html(folder: Path, model: str, headline: str, images_per_second: float) -> str:
    """The run in `folder`, as a cell of a notebook shows it."""
    record = read_record(folder)
    drawn = curves(record, read_journal(folder / "metrics.jsonl"))
    facts = [("model", model), ("speed", f"{images_per_second:,.0f} pictures/s")]
    figures = [("error, percent", error_curves(drawn)), ("loss", loss_curves(drawn))]
    return cell(f"{record.spec.name}: {headline}", facts, figures)
