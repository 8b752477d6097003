"""`data pack`: a set as one file with random access, or as tar shards with their indexes."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...runtime.notes import say_notes
from ...spec.choices import Encoding
from ...spec.codec import fields_to_json
from ...spec.errors import UserError, check_at_least
from ..dataset import Dataset, Progress
from ..formats.pack_index import PackOptions
from ..formats.packing import check_target, write_pack
from ..sources import open_data
from .shard_writing import write_shards


@dataclass(frozen=True)
class Packed:
    """What was written, and where."""

    path: str
    pictures: int
    bytes: int
    encoding: Encoding
    shorter_side: int | None
    shards: tuple[str, ...] | None  # their names; None of one pack
    seconds: float

    def __fspath__(self) -> str:
        """What was written, so that this goes wherever data's path goes."""
        return self.path

    def __repr__(self) -> str:
        return f"Packed({self.path}: {self.pictures:,} pictures, {self.bytes / 1e6:,.1f} MB, {self.encoding})"

    def to_json(self) -> dict[str, Any]:
        """What `data pack --json` prints: `shards` only where there are some."""
        return {name: value for name, value in fields_to_json(self).items() if value is not None or name != "shards"}


def pack_data(
    data: str | Dataset,
    out: str | os.PathLike[str],
    *,
    resize: int | None = None,
    encoding: Encoding | None = None,
    shards: int | None = None,
    progress: Progress | None = None,
) -> Packed:
    """Write `data` (DATA, a path, or as it was opened) to the file `out`, or to `shards` tars in the folder `out`.

    Larger pictures are reduced to the shorter side `resize`; their bytes stay as they are, or become `encoding`: pixels
    of one pack and JPEG of shards when resizing. Raises `UserError` where the options or the target are wrong, before
    a path is opened, which may take long.
    """
    if resize is not None and resize < 1:
        raise UserError(f"--resize is {resize}; it must be at least 1 pixel")
    check_at_least("--shards", shards, 1)
    options = PackOptions(encoding or (("raw" if shards is None else "jpeg") if resize else "original"), resize)
    if shards is None:
        check_target(out)
    began, target = time.monotonic(), Path(out)
    dataset = _opened(data) if isinstance(data, str) else data
    if shards is None:
        pictures, files = len(write_pack(dataset, target, options, progress=progress)), [target]
    else:
        pictures, files = len(dataset), write_shards(dataset, target, shards, options, progress=progress)
    return Packed(
        str(target),
        pictures,
        sum(path.stat().st_size for path in files),
        options.encoding,
        resize,
        None if shards is None else tuple(path.name for path in files),
        round(time.monotonic() - began, 3),
    )


def _opened(path: str) -> Dataset:
    dataset = open_data(path)
    say_notes(dataset.notes)
    return dataset
