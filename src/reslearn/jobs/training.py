"""`train` and `resume` as one call each: open the data, split it, train, write the report."""

from __future__ import annotations

import os
from pathlib import Path

from ..data.augment.foreign import Transform
from ..data.dataset import Dataset
from ..runtime.notes import say
from ..runtime.process_group import from_environment
from ..spec.voice import COMMAND, Voice
from ..train.events import Watch
from ..train.fit import Run, begin
from ..train.fit import resume as resume_run
from ..train.folder import still_there
from ..train.origin import check_start
from ..train.records.run import RunRecord
from ..train.reopening import reopen
from ..train.stopping import leading_on
from .probe import probed
from .resolve import Plan


def train(plan: Plan, *, out: str | os.PathLike[str], overwrite: bool = False, watch: Watch | None = None) -> Run:
    """Train what `plan` resolved into the run folder `out`, and write its report."""
    request, start = plan.request, plan.start
    check_start(start.recipe, request.weights)
    with leading_on(Path(out), data=request.data):
        run = begin(
            start,
            plan.train_data,
            plan.val_data,
            out=out,
            origin=start.origin,
            split_seed=request.split_seed,
            split_method=plan.split_method,
            overwrite=overwrite,
            watch=watch,
        )
        if from_environment().first:
            run = probed(run, lambda record: (plan.train_data, plan.val_data))
            finish_report(run.path)
    return run


def resume(
    run: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    train_data: Dataset | None = None,
    val_data: Dataset | None = None,
    transform: Transform | None = None,
    report: bool = True,
    allow_different_numerics: bool = False,
    watch: Watch | None = None,
    voice: Voice = COMMAND,
) -> tuple[Run, bool]:
    """Continue a run, or finish its report (unless none is wanted); also tells whether there was nothing left to do.

    `data` is where its data has moved to; `train_data`, `val_data` and `transform` are what a run that began from
    Python was given and no record holds.
    """
    folder = Path(run)
    sealed = (folder / "model.safetensors").exists()
    with leading_on(folder, voice=voice):
        done = resume_run(
            folder, data=data, train_data=train_data, val_data=val_data, transform=transform, watch=watch,
            allow_different_numerics=allow_different_numerics,
        )  # fmt: skip
        reported = (folder / "report.html").exists() or not report
        if from_environment().first:
            given = None if train_data is None else (train_data, val_data)
            done = probed(done, lambda record: given or _parts(folder, record, data))
            if report and not (sealed and reported):  # a report of the unfinished run is out of date
                finish_report(folder, voice)
    return done, sealed and reported


def _parts(folder: Path, record: RunRecord, data: str | os.PathLike[str] | None) -> tuple[Dataset, Dataset | None]:
    again = reopen(folder, record, None if data is None else os.fspath(data))
    return again.train, again.val


def finish_report(folder: Path, voice: Voice = COMMAND) -> None:
    """Write the page of a run, and say what it thinks of the result, in the words of `voice`."""
    from .pages.run import think  # matplotlib: after the run, not before its first step

    with still_there(folder):
        for line in think(folder, voice):
            say(f"advice    {line}")
