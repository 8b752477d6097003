"""`reslearn report`: the page of a run, a cross-validation or a sweep, written anew, and its figures as files."""

from __future__ import annotations

from pathlib import Path

from ...data.formats.folders import refuse_among_pictures, refuse_in_a_class
from ...report.figures import figure_files, save_figures
from ...report.pages import render
from ...report.values import Report
from ...runtime.files import write_atomic
from ...runtime.replacing import FIGURE, replaceable
from ...spec.errors import UserError
from ...train.crossval import merge
from ...train.fold_models import PREDICTIONS, fold_folder
from ...train.records.crossval import RECORD, read_record
from ..search.record import RECORD as SWEEP
from ..search.record import read_record as read_sweep
from ..search.sweep import finished_sweep
from ..subject import read_training
from .crossval import crossval_report
from .run import gather
from .sweep import sweep_report
from .tables import FILE_NAME


def rewrite(folder: Path, figures: Path | None = None) -> tuple[Path, list[Path]]:
    """Write `report.html` into `folder`, and its figures (PNG and SVG) into `figures`; returns all their paths.

    Nothing is trained. Raises `UserError` where `folder` is no run, or a cross-validation or sweep that is not
    finished, and where a figure would take the place of a file that is none of ours.
    """
    if figures is not None:
        refuse_among_pictures(figures, _data_of(folder), "--figures")
        refuse_in_a_class(figures, "--figures")
    report = report_of(folder)
    for path in figure_files(figures, report) if figures is not None and figures.is_dir() else ():
        replaceable(path, FIGURE, "--figures")
    page = folder / FILE_NAME
    write_atomic(page, render(report))
    return page, [] if figures is None else save_figures(figures, report)


def _data_of(folder: Path) -> str:
    """Where the pictures of the folder's training lie; empty where they were given from Python."""
    return read_sweep(folder).data if (folder / SWEEP).exists() else read_training(folder).data["path"] or ""


def report_of(folder: Path) -> Report:
    """What the page of this folder shows."""
    if (folder / SWEEP).exists():
        return sweep_report(finished_sweep(folder))
    if not (folder / RECORD).exists():
        return gather(folder)
    record = read_record(folder)
    for k in range(1, record.count + 1):
        if not (fold_folder(folder, k) / PREDICTIONS).exists():
            raise UserError(f"{folder}: fold {k} is not finished; give the `reslearn crossval` command again")
    return crossval_report(merge(folder, record))
