"""`features`: the pooled features of pictures as one file of Parquet, CSV or NumPy, for whatever else is to be made."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle.file import load
from ..measure.features import pooled_features
from ..runtime.files import atomic_path
from ..runtime.opening import open_regular
from ..spec.codec import fields_to_json
from ..spec.errors import UserError
from ..spec.text import utf8
from .subject import Data, open_for, subject_of, training_of

KEY = "reslearn.features"  # in the file, the identity of the network
FIRST = "path,label,split,feature_0"  # how the CSV files begin


@dataclass(frozen=True)
class Features:
    """What was written."""

    features: Path  # the file
    pictures: int
    channels: int  # numbers of each picture
    model: str

    def to_json(self) -> dict[str, Any]:
        """The contract's keys."""
        return fields_to_json(self)


def write_features(
    model: str | os.PathLike[str], data: Data, out: str | os.PathLike[str], *, split: str | None = None,
    device: str | None = None, workers: int = 0,
) -> Features:  # fmt: skip
    """Write the features of the pictures of `data` (all of them, or one `split`) to `out`, as its suffix says.

    .parquet and .npz hold `path`, `label`, `split` and `features`, (N, channels) of float32; .csv a column of each
    number, `feature_0`, ... The rows are in the data's order. Raises `UserError` for another suffix.
    """
    write = _writer(Path(out))
    loaded = load(model, device=device or "cpu")
    dataset = open_for([loaded], data)
    training = training_of(loaded) if split is not None else None
    pictures = dataset if split is None else subject_of(training, dataset, split).pictures
    if not len(pictures):
        raise UserError(f"{dataset.path or 'the data'}: no pictures to take features of")
    found = pooled_features(loaded.net, loaded.normalise, pictures, device=device, workers=workers)
    parts = np.full(len(pictures), split or "", dtype=object)
    if split is None:
        for name, rows in dataset.splits.items():
            parts[rows] = name
    names = {
        "path": [utf8(str(name)) for name in pictures.ids],
        "label": [utf8(pictures.classes[label]) for label in pictures.labels],
        "split": [str(part) for part in parts],
    }
    with atomic_path(out) as temporary:
        write(temporary, _Table(names, np.ascontiguousarray(found, np.float32), loaded.identity()))
    return Features(Path(out), len(pictures), found.shape[1], str(model))


@dataclass(frozen=True)
class _Table:
    names: Mapping[str, list[str]]  # columns of text
    features: np.ndarray  # (N, channels) float32
    identity: str  # of the network


def _parquet(path: Path, table: _Table) -> None:
    import pyarrow
    import pyarrow.parquet

    values = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(table.features.reshape(-1)), table.features.shape[1])
    written = pyarrow.table({**table.names, "features": values}).replace_schema_metadata({KEY: table.identity})
    pyarrow.parquet.write_table(written, path, compression="zstd")


def _cells(path: Path, table: _Table) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*table.names, *(f"feature_{i}" for i in range(table.features.shape[1]))])
        for *names, row in zip(*table.names.values(), table.features, strict=True):
            writer.writerow([*names, *map(str, row)])  # as few digits as tell a float32 from the next


def _arrays(path: Path, table: _Table) -> None:
    columns: dict[str, Any] = {name: np.array(texts, str) for name, texts in table.names.items()}
    with open(path, "wb") as file:
        np.savez(file, **columns | {"features": table.features, KEY: np.array(table.identity)})


WRITERS: Mapping[str, Callable[[Path, _Table], None]] = {".parquet": _parquet, ".csv": _cells, ".npz": _arrays}


def _writer(path: Path) -> Callable[[Path, _Table], None]:
    """What writes the kind of file that the suffix says."""
    found = WRITERS.get(path.suffix.lower())
    if found is None:
        raise UserError(f"--out {path}: features are written to .parquet, .csv or .npz; give the file such a suffix")
    if found is _parquet:
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise UserError(
                f"--out {path}: Parquet needs pyarrow, which is not installed; run: pip install pyarrow, "
                "or write .csv or .npz"
            ) from None
    return found


def features_target(path: Path) -> Path:
    """`path`, if features may be written there: where nothing is, or features of an earlier call."""
    from ..runtime.files import writable_target

    _writer(path)
    target = writable_target(path, where="--out")
    if not target.exists():
        return target
    with open_regular(target) as file:
        start = file.read(len(FIRST))
        file.seek(max(target.stat().st_size - (1 << 16), 0))
        if start == FIRST.encode() or KEY.encode() in file.read():
            return target
    raise UserError(f"--out {path}: what is there is no file of features, and it is not replaced; name another")
