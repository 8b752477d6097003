"""Where a run goes that nobody named: `runs/SET-1`, `runs/SET-2`, ..., one name for all processes of a run."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..data.layout.archives import asked_of
from ..runtime.environment import command_line
from ..runtime.files import read_json
from ..runtime.process_group import process_group, restarted
from ..runtime.replacing import RECORDS
from ..spec.errors import UserError

RUNS = Path("runs")
_ENDINGS = re.compile(r"\.(tar(\.\w+)?|tgz|csv|tsv|txt|list|lst|parquet|pack|json)$", re.IGNORECASE)
_UNFIT = re.compile(r"[^\w.-]+")


def set_name(data: str | os.PathLike[str]) -> str:
    """What a set of pictures is called: its folder's name, or its file's without the ending."""
    file = asked_of(os.fspath(data))[0]
    name = "digits" if file == "digits" and not os.path.exists(file) else Path(file).resolve().name
    return _UNFIT.sub("-", _ENDINGS.sub("", name)).strip("-.") or "run"


def next_folder(data: str | os.PathLike[str], runs: Path = RUNS, *, kind: str = "") -> Path:
    """The first `runs/SET-N` behind all that are there."""
    name = set_name(data) + kind
    taken = [int(match[1]) for match in _numbered(runs, name)]
    return runs / f"{name}-{max(taken, default=0) + 1}"


def numbered_folders(data: str | os.PathLike[str], runs: Path = RUNS, *, kind: str = "") -> list[Path]:
    """Every `runs/SET-N` that is there, the newest first."""
    return [runs / match[0] for match in sorted(_numbered(runs, set_name(data) + kind), key=lambda m: -int(m[1]))]


def chosen_folder(data: str | os.PathLike[str], *, kind: str = "") -> Path:
    """The folder of a run that named none: decided by the first process, told to the others.

    Where elastic `torchrun` has started this command again, it is the folder that the command began before.
    """
    with process_group("cpu") as world:
        found = None
        if world.first:
            found = (begun_before(data, kind=kind) if restarted() else None) or next_folder(data, kind=kind)
        told = world.tell(None if found is None else str(found))
        return Path(told or "")


def begun_before(data: str | os.PathLike[str], runs: Path = RUNS, *, kind: str = "") -> Path | None:
    """The newest unfinished run or cross-validation that this same command began under the same launcher, if any."""
    name = set_name(data) + kind
    for match in sorted(_numbered(runs, name), key=lambda match: -int(match[1])):
        folder = runs / match[0]
        path = next((folder / name for name in RECORDS if (folder / name).exists()), folder / RECORDS[0])
        try:
            record, began = read_json(path), path.stat().st_mtime
        except (OSError, UserError):
            continue
        unfinished = not (folder / "model.safetensors").exists()
        if unfinished and isinstance(record, dict) and record.get("command") == command_line():
            return folder if began >= _launched() else None
    return None


def _launched() -> float:
    """When the launcher of this process was started, in seconds of the clock; 0 where the system does not say."""
    try:
        return os.stat(f"/proc/{os.getppid()}").st_ctime
    except OSError:
        return 0.0


def _numbered(runs: Path, name: str) -> list[re.Match[str]]:
    pattern = re.compile(re.escape(name) + r"-(\d+)")
    there = os.listdir(runs) if runs.is_dir() else []
    return [match for match in map(pattern.fullmatch, there) if match]
