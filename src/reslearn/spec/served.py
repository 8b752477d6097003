"""What a model is called where it is served: by its server, and in a fleet's repository of models."""

from __future__ import annotations

import re
from pathlib import Path

from .errors import UserError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_name(name: str) -> str:
    """`name`, or a `UserError` where a model cannot be called so."""
    if not NAME.fullmatch(name):
        raise UserError(f"'{name}' is no name of a model; use letters, digits, '.', '_' and '-', 64 of them at most")
    return name


def name_of(path: Path) -> str:
    """What the model at a path or address is called unless somebody says: as its file, or as its folder where the file
    is called as all are."""
    own = path.name if path.is_dir() or path.suffix == "" else path.stem
    if own in ("model", ""):
        own = path.absolute().parent.name
    return re.sub(r"[^A-Za-z0-9._-]+", "-", own).strip("-._")[:64] or "model"
