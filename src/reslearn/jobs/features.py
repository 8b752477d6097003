"""`features`: the pooled features of pictures as one Parquet file, for whatever else is to be made of them."""

from __future__ import annotations

import os
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

KEY = b"reslearn.features"


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
    """Write the features of the pictures of `data` (all of them, or one `split`) to `out`.

    The columns are `path`, `label`, `split` and `features`, a list of float32 of one length, in the data's order.
    """
    arrow, parquet = _arrow()
    loaded = load(model, device=device or "cpu")
    dataset = open_for([loaded], data)
    training = training_of(loaded) if split is not None else None
    pictures = dataset if split is None else subject_of(training, dataset, split).pictures
    if not len(pictures):
        raise UserError(f"{dataset.path or 'the data'}: no pictures to take features of")
    found = pooled_features(loaded.net, loaded.normalise, pictures, device=device, workers=workers)
    channels = found.shape[1]
    parts = np.full(len(pictures), split or "", dtype=object)
    if split is None:
        for name, rows in dataset.splits.items():
            parts[rows] = name
    values = arrow.array(np.ascontiguousarray(found).reshape(-1))
    table = arrow.table(
        {
            "path": [utf8(str(name)) for name in pictures.ids],
            "label": [utf8(pictures.classes[label]) for label in pictures.labels],
            "split": list(parts),
            "features": arrow.FixedSizeListArray.from_arrays(values, channels),
        }
    ).replace_schema_metadata({KEY: loaded.identity().encode()})
    with atomic_path(out) as temporary:
        parquet.write_table(table, temporary, compression="zstd")
    return Features(Path(out), len(pictures), channels, str(model))


def features_target(path: Path) -> Path:
    """`path`, if features may be written there: where nothing is, or features of an earlier call."""
    from ..runtime.files import writable_target

    target = writable_target(path, where="--out")
    if not target.exists():
        return target
    with open_regular(target) as file:
        file.seek(max(target.stat().st_size - (1 << 16), 0))
        if KEY in file.read():
            return target
    raise UserError(f"--out {path}: what is there is no file of features, and it is not replaced; name another")


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError("features are written as Parquet, which needs pyarrow: pip install pyarrow") from None
    return pyarrow, pyarrow.parquet
