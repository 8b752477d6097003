"""`features`: the pooled features of pictures as one file of Parquet, CSV or NumPy, for whatever else is to be made."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle.file import load
from ..measure.features import pooled_features
from ..runtime.files import atomic_path
from ..runtime.opening import open_regular
from ..spec.errors import UserError
from ..spec.text import utf8
from .subject import Data, open_for, subject_of, training_of

KEY = "reslearn.features"  # in the file, the identity of the network
FIRST = "path,label,split,feature_0"  # how the CSV files begin


@dataclass(frozen=True, eq=False)
class Features:
    """What the last layer reads of each picture, in the data's order: row i of `values` is of `paths[i]`."""

    values: NDArray[np.float32]  # (N, channels)
    paths: list[str]
    labels: list[str]  # names of classes
    splits: list[str]  # "" of a picture that is in none
    model: str
    identity: str  # of the network
    features: Path | None = None  # the file that they were written to

    @property
    def pictures(self) -> int:
        """How many there are."""
        return len(self.values)

    @property
    def channels(self) -> int:
        """Numbers of each picture."""
        return int(self.values.shape[1])

    @property
    def columns(self) -> dict[str, list[str]]:
        """What a file says of each picture, beside its features."""
        return {"path": self.paths, "label": self.labels, "split": self.splits}

    def __repr__(self) -> str:
        where = "" if self.features is None else f", in {self.features}"
        return f"Features({self.pictures:,} pictures, {self.channels:,} numbers each{where})"

    def to_json(self) -> dict[str, Any]:
        """What `features --json` prints."""
        file = None if self.features is None else str(self.features)
        return {"features": file, "pictures": self.pictures, "channels": self.channels, "model": self.model}


def features_of(
    model: str | os.PathLike[str], data: Data, out: str | os.PathLike[str] | None = None, *, split: str | None = None,
    device: str | None = None, workers: int = 0,
) -> Features:  # fmt: skip
    """The features of the pictures of `data` (all of them, or one `split`), also written to `out`, as its suffix says.

    .parquet and .npz hold `path`, `label`, `split` and `features`, (N, channels) of float32; .csv a column of each
    number, `feature_0`, ... Raises `UserError` for another suffix.
    """
    write = None if out is None else _writer(Path(out))
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
    features = Features(
        values=np.ascontiguousarray(found, np.float32),
        paths=[utf8(str(name)) for name in pictures.ids],
        labels=[utf8(pictures.classes[label]) for label in pictures.labels],
        splits=[str(part) for part in parts],
        model=str(model),
        identity=loaded.identity(),
        features=None if out is None else Path(out),
    )
    if write is not None and out is not None:
        with atomic_path(out) as temporary:
            write(temporary, features)
    return features


def _parquet(path: Path, found: Features) -> None:
    import pyarrow
    import pyarrow.parquet

    values = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(found.values.reshape(-1)), found.channels)
    table = pyarrow.table({**found.columns, "features": values}).replace_schema_metadata({KEY: found.identity})
    pyarrow.parquet.write_table(table, path, compression="zstd")


def _cells(path: Path, found: Features) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*found.columns, *(f"feature_{i}" for i in range(found.channels))])
        for *names, row in zip(*found.columns.values(), found.values, strict=True):
            writer.writerow([*names, *map(str, row)])  # as few digits as tell a float32 from the next


def _arrays(path: Path, found: Features) -> None:
    columns: dict[str, Any] = {name: np.array(texts, str) for name, texts in found.columns.items()}
    with open(path, "wb") as file:
        np.savez(file, **columns | {"features": found.values, KEY: np.array(found.identity)})


WRITERS: Mapping[str, Callable[[Path, Features], None]] = {".parquet": _parquet, ".csv": _cells, ".npz": _arrays}


def _writer(path: Path) -> Callable[[Path, Features], None]:
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


def features_target(path: Path, where: str = "--out") -> Path:
    """`path`, if features may be written there: where nothing is, or features of an earlier call."""
    from ..runtime.files import writable_target

    _writer(path)
    target = writable_target(path, where=where)
    if not target.exists():
        return target
    with open_regular(target) as file:
        start = file.read(len(FIRST))
        file.seek(max(target.stat().st_size - (1 << 16), 0))
        if start == FIRST.encode() or KEY.encode() in file.read():
            return target
    raise UserError(f"{where} {path}: what is there is no file of features, and it is not replaced; name another")
