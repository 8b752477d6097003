"""The `data` commands as functions of `reslearn`: one call each, paths or values in, a value out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path as File

from ..data.anything import Range, as_dataset
from ..data.care.check import CheckReport, check_data
from ..data.care.exporting import Exported
from ..data.care.exporting import export_data as export_job
from ..data.care.packing import Packed, pack_data
from ..data.care.splitting import SplitResult, split_data
from ..data.dataset import Dataset
from ..data.statistics import Statistics, statistics
from ..data.table import as_pictures
from ..runtime.replacing import FIGURE, check_sheet, replaceable
from ..spec.choices import Encoding, ExportTo
from ..spec.errors import check_at_least, path_text
from ..spec.preprocess import check_image_size, default_preprocess
from ..spec.recipe import Recipe
from ..spec.voice import PYTHON
from .previewing import Previewed, preview_data

Path = str | os.PathLike[str]


def check(
    data: Path,
    *,
    out: Path | None = None,
    html: Path | None = None,
    exclude: Sequence[str] = (),
    workers: int | None = None,
    write: bool = True,
) -> CheckReport:
    """Decode every picture of `data` and find what is broken, double, odd or missing.

    Writes the manifest (`out`, or the data's own) that later commands obey, unless `write` is false, and a page to
    `html`. `exclude` names what else is left out, such as `duplicates`.
    """
    report, _ = check_data(
        path_text(data, "check takes the path of its pictures, where its manifest lies"),
        manifest=None if out is None else os.fspath(out),
        html=None if html is None else os.fspath(html),
        exclude=[exclude] if isinstance(exclude, str) else exclude,
        workers=workers,
        write=write,
    )
    return report


def split(
    data: Path,
    ratio: str | None = None,
    *,
    folds: int | None = None,
    out: Path | None = None,
    group_regex: str | None = None,
    seed: int = 0,
    content: bool = True,
    workers: int = 0,
) -> SplitResult:
    """Divide `data` into `train` and `val` (and `test`) by `ratio`, such as "8:1:1", or into `folds`, stratified.

    The manifest (`out`, or the data's own) keeps it: known pictures stay where they are when the data grows. The
    first group of `group_regex`, in a picture's name, names what must stay together. Pictures are known by their
    `content`, or else by path and size.
    """
    return split_data(
        path_text(data, "split takes the path of its pictures, where its manifest lies"),
        ratio=ratio,
        folds=folds,
        manifest=None if out is None else os.fspath(out),
        group_regex=group_regex,
        seed=seed,
        hashing=content,
        workers=workers,
    )


def stats(
    data: object, *, image_size: int | None = None, workers: int = 0, value_range: Range | None = None
) -> Statistics:
    """Pictures per class and split, their sizes, and the channel mean and std of the training part.

    `data` is a path, or whatever `fit` takes; with `image_size`, pixels after resizing to it are measured.
    """
    check_image_size(image_size)
    check_at_least("workers", workers, 0)
    preprocess = None if image_size is None else default_preprocess(image_size)
    return statistics(as_dataset(data, value_range), preprocess=preprocess, workers=workers)


def preview(
    data: Path,
    out: Path = "preview.png",
    *,
    recipe: str | Recipe | None = None,
    image_size: int | None = None,
    split: str | None = None,
    seed: int = 0,
    rows: int = 8,
    columns: int = 8,
) -> Previewed:
    """Write a contact sheet of what the network will see of `data`, a path, to the PNG file `out`.

    Each of its `rows` is a picture, as evaluation sees it and then as the first epochs do, in `columns` in all; `split`
    is `train` unless given. What of `recipe` and `image_size` is not given is chosen as by `fit`.
    """
    place = path_text(data, "preview takes the path of its pictures")
    sheet = File(path_text(out, "out is the PNG file to write"))
    check_sheet(sheet, "out is")
    target = replaceable(sheet, FIGURE, "out")
    return preview_data(
        place, target, recipe=recipe, size=image_size, split=split, seed=seed, rows=rows, columns=columns, voice=PYTHON
    )


def pack(
    data: object,
    out: Path,
    *,
    resize: int | None = None,
    encoding: Encoding | None = None,
    shards: int | None = None,
    value_range: Range | None = None,
) -> Packed:
    """Write `data`, a path or whatever `fit` takes, as one file `out` with random access.

    With `shards` it is a folder of so many tar shards with their indexes instead. Larger pictures are reduced to the
    shorter side `resize`; `encoding` is "original", "raw" or "jpeg". Stopped and called again, it goes on where it was.
    """
    given: str | Dataset = os.fspath(data) if isinstance(data, (str, os.PathLike)) else as_dataset(data, value_range)
    if encoding is None and not isinstance(given, str) and shards is None and as_pictures(given).raw(0) is None:
        encoding = "raw"  # pixels in memory
    return pack_data(given, path_text(out, "out is the file to write"), resize=resize, encoding=encoding, shards=shards)


def export_data(
    data: object, to: ExportTo, out: Path, *, shards: int | None = None, value_range: Range | None = None
) -> Exported:
    """Write `data`, a path or whatever `fit` takes, as other programs read it: `to` is "folder", "tar" or "parquet".

    `out` is the folder to make, of `shards` tars or Parquet files. Encoded pictures are copied as they are.
    """
    check_at_least("shards", shards, 1)
    return export_job(as_dataset(data, value_range), path_text(out, "out is the folder to make"), to, shards=shards)
