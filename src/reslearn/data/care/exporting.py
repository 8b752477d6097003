"""`data export`: a set of pictures as class folders, tar shards or Parquet files, as other programs read them.

Encoded pictures are copied as they are, bare pixels become PNG. What is written appears whole, or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np

from ...runtime.files import exclusive_lock, naming, writable_target
from ...spec.choices import ExportTo
from ...spec.codec import fields_to_json
from ...spec.errors import UserError, check_choice
from ..dataset import Dataset, Progress
from ..formats.pack_index import PackOptions
from ..formats.packing import encoded
from ..layout.listing import is_clutter
from ..table import Pictures, as_pictures
from ..workers import in_threads
from .names import base_name, extension_of
from .shard_writing import Shard, planned, write_shards

SHARD = 256 << 20  # bytes of a tar shard or Parquet file, where nobody says how many there are to be
GROUP = 100  # rows of a Parquet row group: what a reader holds at once


@dataclass(frozen=True)
class Exported:
    """What was written, and where."""

    path: str
    to: ExportTo
    pictures: int
    files: int
    bytes: int

    def __fspath__(self) -> str:
        """What was written, so that this goes wherever data's path goes."""
        return self.path

    def __repr__(self) -> str:
        return f"Exported({self.path}: {self.pictures:,} pictures in {self.files:,} files, {self.bytes / 1e6:,.1f} MB)"

    def to_json(self) -> dict[str, Any]:
        """What `data export --json` prints."""
        return fields_to_json(self)


def export_data(
    dataset: Dataset,
    out: str | os.PathLike[str],
    to: ExportTo,
    *,
    shards: int | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write `dataset` to the new folder `out`. Raises `UserError` where something is there already."""
    check_choice("--to", to, get_args(ExportTo))
    target, source = writable_target(out, "folder", "--out"), as_pictures(dataset)
    if to == "tar":
        write_shards(dataset, target, shards or _count(source), progress=progress)
        return _written(target, to, len(dataset))
    if shards is not None and to == "folder":
        raise UserError("--shards is for --to tar and parquet; a folder has a file for each picture")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"--out {target}: something is there already; name a new folder")
    part = target.with_name(f".{target.name}.exporting")
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = part.with_name(f"{part.name}.lock")
    with exclusive_lock(lock, f"{target}: another process is writing this export"):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            with naming(part):
                if to == "folder":
                    _folders(source, part, progress)
                else:
                    _parquet(source, part, shards or _count(source), progress)
            if target.exists():
                target.rmdir()
            os.replace(part, target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
            lock.unlink(missing_ok=True)  # while it is still ours
    return _written(target, to, len(dataset))


def _count(source: Pictures) -> int:
    """So many files that each has about `SHARD` bytes."""
    total = int(np.maximum(source.sizes, 1 << 10).sum())
    return min(max(-(-total // SHARD), 1), len(source))


def _written(target: Path, to: ExportTo, pictures: int) -> Exported:
    files = [path for path in target.rglob("*") if path.is_file()]
    return Exported(str(target), to, pictures, len(files), sum(path.stat().st_size for path in files))


def _parts(source: Pictures) -> Iterator[tuple[str, np.ndarray]]:
    """(split, rows); one without a name where the set declares none."""
    if not source.splits:
        yield "", np.arange(len(source))
    yield from source.splits.items()


def _folders(source: Pictures, folder: Path, progress: Progress | None) -> None:
    """`SPLIT/CLASS/NAME.jpg`."""
    for name in source.classes:
        if os.path.basename(name) != name or name in (".", "..") or is_clutter(name) or len(os.fsencode(name)) > 255:
            raise UserError(f"class '{name}' cannot be the name of a folder; export it --to tar or parquet")
    done, total = 0, sum(len(rows) for _, rows in _parts(source))
    for split, rows in _parts(source):
        taken: set[str] = set()
        for name in source.classes:
            (folder / split / name).mkdir(parents=True, exist_ok=True)
        make = partial(encoded, source, PackOptions())
        for row, data in zip(rows, in_threads(make, map(int, rows), None), strict=True):
            own = source.ids[int(row)]
            place = os.path.join(split, source.classes[int(source.labels[row])], base_name(own))
            extension = extension_of(data, own)
            if f"{place}{extension}" in taken:
                place = f"{place}-{int(row):07d}"
            taken.add(f"{place}{extension}")
            (folder / f"{place}{extension}").write_bytes(data)
            done += 1
            if progress is not None:
                progress(done, total)


def _parquet(source: Pictures, folder: Path, count: int, progress: Progress | None) -> None:
    """`data/SPLIT-00000-of-00004.parquet`, in the layout that Hugging Face's `datasets` writes for pictures."""
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise UserError("--to parquet needs pyarrow, which is not installed; run: pip install pyarrow") from None
    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(source.classes), "_type": "ClassLabel"},
    }
    image = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    schema = arrow.schema(
        [("image", image), ("label", arrow.int64())],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    (folder / "data").mkdir()
    named = {"": "train"} if not source.splits else {}
    done, total = 0, len(source)
    for shard in planned(source, count):
        split = shard.name.partition("-")[0]
        name = shard.name.removesuffix(".tar").replace("shard-", f"{named.get('', split)}-", 1) + ".parquet"
        with parquet.ParquetWriter(folder / "data" / name, schema) as writer:
            for rows, column in _groups(source, shard):
                labels = [int(source.labels[row]) for row in rows]
                writer.write_table(arrow.table({"image": column, "label": labels}, schema=schema))
                done += len(rows)
                if progress is not None:
                    progress(done, total)


def _groups(source: Pictures, shard: Shard) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    """(rows, cells of the column of pictures) of each row group."""
    make = partial(encoded, source, PackOptions())
    rows = np.sort(shard.rows)
    for start in range(0, len(rows), GROUP):
        part = [int(row) for row in rows[start : start + GROUP]]
        found = list(in_threads(make, part, None))
        paths = [
            base_name(source.ids[row]) + extension_of(data, source.ids[row])
            for row, data in zip(part, found, strict=True)
        ]
        yield part, [{"bytes": data, "path": path} for data, path in zip(found, paths, strict=True)]
