"""`data check`: open, look, write the manifest and the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ...runtime.replacing import write_page
from ...spec.errors import check_choice
from ..parts.manifest import carried, places, relative, under, write_manifest
from ..sources import open_data
from .check import CheckReport, check
from .inspect import ADVICE


def check_data(
    path: str,
    *,
    manifest: str | None = None,
    html: str | None = None,
    exclude: Sequence[str] = (),
    workers: int | None = None,
    write: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[CheckReport, str | None]:
    """Check DATA, write its manifest (keeping the splits of one that is there) and, if asked, the HTML page.

    Returns the report and the manifest's path (None with `write=False`).
    """
    for kind in exclude:
        check_choice("--exclude", kind, ("duplicates", "conflicts", *ADVICE))
    path, target, before = places(path, manifest)
    dataset = open_data(path, on_bad_file="skip", manifest=False, strict=False)
    if before is not None and before.split:
        dataset = under(dataset, replace(before, excluded={}), target)  # duplicates may cross its splits
    now = time.time_ns()
    report, found = check(dataset, workers=workers, exclude=exclude, progress=progress)
    if write:
        found = replace(found, settings={"hashed_at": now})
        if before is not None:
            found = replace(found, split=carried(before, found), settings=before.settings | found.settings)
        write_manifest(target, replace(found, data=relative(path, target)))
    if html is not None:
        from .check_page import render_check

        write_page(html, render_check(report, dataset))
    return report, target if write else None
