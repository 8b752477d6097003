"""Pictures for what needs no labels: any DATA, and also files and folders that say nothing of classes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..data.dataset import Dataset
from ..data.formats.files import Files
from ..data.sources import open_data
from ..data.strings import StringTable
from ..data.table import Pictures, Table
from ..predictor.given import find_pictures
from ..spec.errors import UserError


def open_pictures(data: Dataset | str | os.PathLike[str]) -> Dataset:
    """DATA as training would open it, or else one picture, or the pictures anywhere in a folder, without classes.

    Raises `UserError` where there are none.
    """
    if not isinstance(data, (str, os.PathLike)):
        return data
    try:
        return open_data(data, strict=False)
    except UserError:
        path = Path(data)
        if not path.is_dir() and (
            not path.is_file() or path.suffix.lower() in (".tar", ".csv", ".tsv", ".txt", ".json")
        ):
            raise
        try:
            files = find_pictures([path])
        except UserError:
            files = []
        if not files:
            raise
        folder = path if path.is_dir() else path.parent
        names = [os.fspath(file.relative_to(folder)) for file in files]
        table = Table(StringTable(names), np.zeros(len(names), np.int64), (), path=os.fspath(data))
        return Pictures(table, Files(os.fspath(folder), StringTable(names)))
