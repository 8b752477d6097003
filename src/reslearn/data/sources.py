"""`open_data`: whatever the user calls DATA, as a `Dataset`."""

from __future__ import annotations

import difflib
import os
import tarfile
from collections.abc import Callable, Collection
from typing import Literal

import numpy as np

from ..spec.errors import UserError, check_choice
from .dataset import Dataset
from .manifest import data_of, manifest_path, obey, read_manifest
from .memory import ArrayDataset, Subset, part, root_of

__all__ = ["Subset", "open_data"]

KINDS = (
    "`digits`, a folder of class folders, a CIFAR archive or its folder, a CSV, TSV or list file, a Parquet file, "
    "tar shards, a pack, or a manifest"
)
TABLES = (".csv", ".tsv", ".txt", ".list", ".lst")
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
Say = Callable[[str], None]


def open_data(
    path: str | os.PathLike[str],
    split: str | None = None,
    *,
    split_seed: int = 0,
    on_bad_file: Literal["stop", "skip"] = "stop",
    manifest: bool = True,
    say: Say | None = None,
) -> Dataset:
    """Open DATA; with `split`, only that declared part of it. Pictures are decoded when they are read.

    A manifest in the folder (or beside the file) is obeyed unless `manifest` is false. `on_bad_file` concerns files
    in class folders that are no images; `split_seed` the test split of `digits`; `say` is told before a source without
    random access is packed. Raises `UserError` naming the path and the remedy.
    """
    check_choice("on_bad_file", on_bad_file, ("stop", "skip"))
    path = os.fspath(path)
    rules = manifest_path(path) if manifest and os.path.exists(manifest_path(path)) else None
    if path.endswith(".json") and os.path.exists(path):
        rules, path = path, data_of(path, read_manifest(path))
        if path != "digits" and not os.path.exists(path):
            raise UserError(f"{rules}: its data {path} is gone; put it back or make the manifest anew")
    obeyed = read_manifest(rules) if rules else None
    data = _open(path, on_bad_file, obeyed.excluded if obeyed else (), split_seed, say)
    if obeyed is not None and rules is not None:
        data = obey(data, obeyed, rules)
    _check_classes(data, path)
    return part(data, split)


def _open(
    path: str,
    on_bad_file: Literal["stop", "skip"],
    excluded: Collection[str],
    split_seed: int,
    say: Say | None,
) -> Dataset:
    """The source itself, whatever kind it is."""
    if path == "digits" and not os.path.exists(path):
        from .digits import open_digits

        return open_digits(split_seed)
    if not os.path.exists(path):
        raise UserError(f"{path}: no such file or folder{_nearest(path)}; DATA is {KINDS}")
    return _open_folder(path, on_bad_file, excluded, say) if os.path.isdir(path) else _open_file(path, say)


def _open_folder(
    path: str, on_bad_file: Literal["stop", "skip"], excluded: Collection[str], say: Say | None
) -> Dataset:
    from .cifar import is_cifar_folder, open_cifar_folder
    from .folders import open_folder

    if not os.access(path, os.R_OK | os.X_OK):
        raise UserError(f"{path}: no permission to read this folder")
    if is_cifar_folder(path):
        return open_cifar_folder(path)
    names = sorted(e.name for e in os.scandir(path) if e.is_file() and e.name[0] != ".")
    for kind in ((".parquet",), (".tar",), TARS[1:]):
        files = [os.path.join(path, name) for name in names if name.lower().endswith(kind)]
        if files:
            return _open_archives(path, files, say)
    return open_folder(path, on_bad_file=on_bad_file, excluded=excluded)


def _open_file(path: str, say: Say | None) -> Dataset:
    from .cifar import open_cifar_archive
    from .pack import PackDataset, is_pack
    from .tables import open_table

    if not os.access(path, os.R_OK):
        raise UserError(f"{path}: no permission to read this file")
    if is_pack(path):
        return PackDataset(path)
    lower = path.lower()
    if lower.endswith(TABLES):
        return open_table(path)
    if lower.endswith(".parquet"):
        return _open_archives(path, [path], say)
    try:
        is_tar = tarfile.is_tarfile(path)
        cifar = open_cifar_archive(path) if is_tar else None
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{path}: damaged or incomplete archive ({error})") from None
    if cifar is not None:
        return cifar
    if is_tar or lower.endswith(TARS):
        return _open_archives(path, [path], say)
    raise UserError(f"{path}: not a set of labelled pictures; DATA is {KINDS}")


def _open_archives(path: str, files: list[str], say: Say | None) -> Dataset:
    """Plain tars are indexed and read in place; Parquet and compressed tars come from their pack."""
    from .packed_source import open_packed
    from .shards import open_shards

    if all(file.lower().endswith(".tar") for file in files):
        return open_shards(files, path)
    return open_packed(path, files, say=say)


def _check_classes(data: Dataset, path: str) -> None:
    """A class of `val` or `test` without one training picture is an error, in any kind of source."""
    if "train" not in data.splits or isinstance(root_of(data)[0], ArrayDataset):  # a small cut of CIFAR may lack some
        return
    trained = np.bincount(data.labels[data.splits["train"]], minlength=len(data.classes)) > 0
    for name, members in data.splits.items():
        for label in np.unique(data.labels[members]):
            if not trained[label]:
                raise UserError(
                    f"{path}: class '{data.classes[label]}' is in {name} but not in train, so no network could have "
                    f"learned it; add training pictures of it, or remove it from {name}"
                )


def _nearest(path: str) -> str:
    """`, did you mean X?` where the parent folder holds a similar name."""
    parent, name = os.path.split(os.path.abspath(path))
    try:
        names = os.listdir(parent)
    except OSError:
        return ""
    near = difflib.get_close_matches(name, [*names, "digits"], n=1, cutoff=0.6)
    if not near:
        return ""
    shown = near[0] if near[0] == "digits" else os.path.join(os.path.dirname(path), near[0])
    return f", did you mean {shown}?"
