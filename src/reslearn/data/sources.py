"""`open_data`: whatever the user calls DATA, as a `Dataset`."""

from __future__ import annotations

import difflib
import os
import tarfile
from typing import Literal

from ..spec.errors import UserError
from .dataset import Dataset
from .memory import Subset, part

__all__ = ["Subset", "open_data"]

KINDS = (
    "`digits`, a folder of class folders, a CIFAR archive or its folder, a CSV, TSV or list file, "
    "a Parquet file, tar shards, a pack, or a manifest"
)


def open_data(
    path: str | os.PathLike[str],
    split: str | None = None,
    *,
    split_seed: int = 0,
    on_bad_file: Literal["stop", "skip"] = "stop",
) -> Dataset:
    """Open `path` (`digits`, a folder, an archive, a table); with `split`, only that declared part of it.

    Nothing is decoded yet. Raises `UserError` naming the path and the remedy for anything that is not a labelled
    set of pictures. `split_seed` only concerns `digits`; `on_bad_file` files in class folders that are no images.
    """
    return part(_open(os.fspath(path), split_seed, on_bad_file), split)


def _open(path: str, split_seed: int, on_bad_file: Literal["stop", "skip"]) -> Dataset:
    if path == "digits" and not os.path.exists(path):
        from .digits import open_digits

        return open_digits(split_seed)
    if not os.path.exists(path):
        raise UserError(f"{path}: no such file or folder{_nearest(path)}; DATA is {KINDS}")
    if os.path.isdir(path):
        return _open_folder(path, on_bad_file)
    return _open_file(path)


def _open_folder(path: str, on_bad_file: Literal["stop", "skip"]) -> Dataset:
    from .cifar import is_cifar_folder, open_cifar_folder
    from .folders import open_folder

    if not os.access(path, os.R_OK | os.X_OK):
        raise UserError(f"{path}: no permission to read this folder")
    if is_cifar_folder(path):
        return open_cifar_folder(path)
    return open_folder(path, on_bad_file=on_bad_file)


def _open_file(path: str) -> Dataset:
    from .cifar import open_cifar_archive

    if not os.access(path, os.R_OK):
        raise UserError(f"{path}: no permission to read this file")
    try:
        if tarfile.is_tarfile(path):
            cifar = open_cifar_archive(path)
            if cifar is not None:
                return cifar
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{path}: damaged or incomplete archive ({error})") from None
    raise UserError(f"{path}: not a set of labelled pictures; DATA is {KINDS}")


def _nearest(path: str) -> str:
    """`, did you mean X?` where the parent folder holds a similar name."""
    parent, name = os.path.split(os.path.abspath(path))
    try:
        names = os.listdir(parent)
    except OSError:
        return ""
    near = difflib.get_close_matches(name, [*names, "digits"], n=1, cutoff=0.6)
    return (
        f", did you mean {near[0] if near[0] == 'digits' else os.path.join(os.path.dirname(path), near[0])}?"
        if near
        else ""
    )
