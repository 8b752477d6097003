"""The run folder: who may begin in it, what is removed before, and what is said where it vanishes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from ..runtime.files import exclusive_lock, is_leftover, read_json
from ..spec.errors import Fault, UserError
from .mean_image import save_mean_image
from .pictures import FILE_NAME as PICTURES
from .pictures import RunPictures
from .records.columns import is_list
from .records.run import RunRecord, write_record


def refuse_existing(folder: Path, overwrite: bool) -> None:
    """Raise `UserError` unless a run may be started in `folder`."""
    if (folder / "run.json").exists():
        if not overwrite:
            raise UserError(
                f"{folder}: holds a run already; go on with `reslearn resume {folder}` or replace it with --overwrite"
            )
        if not _is_run(folder / "run.json"):
            raise UserError(f"{folder}: its run.json is none of reslearn, and is not overwritten; name another --out")
    elif folder.is_dir() and not _hardly_begun({entry.name for entry in folder.iterdir()}):
        raise UserError(f"{folder}: not empty and no run; name a new folder with --out")
    elif folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: a file; name a new folder with --out")
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not there.is_dir():
        raise UserError(f"{folder}: {there} is a file; name another place with --out")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: nothing may be written in {there}; name another place with --out")


def _hardly_begun(names: set[str]) -> bool:
    """Whether a folder of these names holds nothing, or what a run that was killed leaves before its `run.json`."""
    names = {name for name in names if not (is_leftover(name) or is_list(name))}
    return names <= ({"lock", "mean_image.safetensors", PICTURES} if "lock" in names else set())


def _is_run(path: Path) -> bool:
    """Whether a `run.json` is one of ours, whatever else may be wrong with it: other programs have such files, too."""
    try:
        record = read_json(path)
    except UserError:
        return False
    return isinstance(record, dict) and {"spec", "recipe", "split"} <= record.keys()


@contextlib.contextmanager
def new_folder(folder: Path, record: RunRecord, mean: torch.Tensor | None, pictures: RunPictures) -> Iterator[None]:
    """The run folder made or emptied, `run.json` in it, locked while the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder / "lock"):
        clear(folder)
        if mean is not None:
            save_mean_image(folder, mean)
        pictures.keep(folder)  # before the run is one: whatever is resumed knows what it began with
        write_record(folder, record)
        yield


def clear(folder: Path) -> None:
    """Remove what an earlier run left: the sealed file first, so that nothing old can pass for the new result, then the
    checkpoints, so that the old run could only be begun again, and not go on without half of its journal."""
    (folder / "model.safetensors").unlink(missing_ok=True)
    for file in (folder / "checkpoints").glob("*.safetensors"):
        file.unlink()
    for name in ("metrics.jsonl", "report.html", "ledger.jsonl", "mean_image.safetensors", PICTURES):
        (folder / name).unlink(missing_ok=True)


@contextlib.contextmanager
def still_there(folder: Path, record: str = "run.json") -> Iterator[None]:
    """What goes wrong because somebody has removed the run's folder meanwhile becomes a `Fault` that says so."""
    try:
        yield
    except (OSError, UserError) as error:
        if (folder / record).exists():
            raise
        raise Fault(
            f"{folder}: removed while the run was being trained, so nothing of it is left; train anew"
        ) from error
