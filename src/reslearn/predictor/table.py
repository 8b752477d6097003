"""Answers as rows of a file: Parquet, CSV or JSON Lines, written in numbered parts that become one file at the end."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..runtime.opening import open_regular
from ..runtime.replacing import Kind
from ..spec.codec import finite
from ..spec.errors import UserError
from ..spec.text import utf8
from .answers import Prediction
from .stream import Scored

COLUMNS = ("path", "label", "index", "probability", "error", "top")
MARK = "reslearn.answers"  # what the metadata of a Parquet file of ours hold
GROUP = 64 << 20  # bytes of answers that are one group of rows in Parquet
Row = dict[str, Any]


@dataclass(frozen=True)
class Columns:
    """Which columns there are beside `COLUMNS`."""

    logits: bool = False
    features: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, in order."""
        return (*COLUMNS, *(("logits",) if self.logits else ()), *(("features",) if self.features else ()))

    def row(self, scored: Scored, prediction: Prediction | None) -> Row:
        """One picture's; without a prediction there is an error."""
        best = prediction.predictions[0] if prediction else None
        top = prediction.to_json()["predictions"] if prediction else []
        row = {
            "path": None if scored.path is None else utf8(scored.path),
            "label": None if best is None else utf8(best.label),
            "index": None if best is None else best.index,
            "probability": None if best is None else best.probability,
            "error": None if scored.error is None else utf8(scored.error),
            "top": [one | {"label": utf8(one["label"])} for one in top],
        }
        if self.logits:
            row["logits"] = None if scored.logits is None else [float(value) for value in scored.logits]
        if self.features:
            row["features"] = None if scored.features is None else [float(value) for value in scored.features]
        return row


class Format(Protocol):
    """How answers lie in a file."""

    suffix: str
    kind: Kind  # how a file of ours is known

    def part(self, rows: Sequence[Row], columns: Columns) -> bytes:
        """A part of the file."""

    def merge(self, parts: Sequence[Path], target: Path, columns: Columns) -> None:
        """All parts in their order as one file."""


class _Lines:
    """JSON Lines: an object a line, lists as lists."""

    suffix = ".jsonl"
    kind = Kind("file of answers", lambda start, end: start.startswith(b'{"path": '))

    def part(self, rows: Sequence[Row], columns: Columns) -> bytes:
        """As `Format` says; so is the next."""
        return "".join(json.dumps(finite(row), ensure_ascii=False, allow_nan=False) + "\n" for row in rows).encode()

    def merge(self, parts: Sequence[Path], target: Path, columns: Columns) -> None:
        _joined(b"", parts, target)


class _Cells:
    """CSV with a header; lists are JSON in a cell, and what is not there is an empty cell."""

    suffix = ".csv"
    kind = Kind("file of answers", lambda start, end: start.startswith(",".join(COLUMNS).encode()))

    def part(self, rows: Sequence[Row], columns: Columns) -> bytes:
        """As `Format` says; so is the next."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        for row in rows:
            writer.writerow(
                json.dumps(finite(cell), ensure_ascii=False, allow_nan=False) if isinstance(cell, list) else cell
                for cell in row.values()
            )
        return text.getvalue().encode()

    def merge(self, parts: Sequence[Path], target: Path, columns: Columns) -> None:
        _joined(",".join(columns.names).encode() + b"\n", parts, target)


class _Parquet:
    """Parquet, by pyarrow: `top` is a list of (label, index, probability)."""

    suffix = ".parquet"
    kind = Kind("file of answers", lambda start, end: start[:4] == b"PAR1" and MARK.encode() in end)

    def part(self, rows: Sequence[Row], columns: Columns) -> bytes:
        """As `Format` says; so is the next."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        target = io.BytesIO()
        table = pa.Table.from_pylist(list(rows), schema=self._schema(columns))
        pq.write_table(table, target, store_schema=False)
        return target.getvalue()

    def merge(self, parts: Sequence[Path], target: Path, columns: Columns) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = self._schema(columns)
        with pq.ParquetWriter(target, schema, store_schema=False) as writer:
            waiting: list[Any] = []
            for path in parts:
                waiting.append(pq.read_table(path).cast(schema))
                if sum(table.nbytes for table in waiting) >= GROUP:
                    writer.write_table(pa.concat_tables(waiting))
                    waiting = []
            if waiting:
                writer.write_table(pa.concat_tables(waiting))
            writer.add_key_value_metadata({MARK: "1"})  # those of the schema go with `store_schema=False`

    @staticmethod
    def _schema(columns: Columns) -> Any:
        import pyarrow as pa

        one = pa.struct([("label", pa.string()), ("index", pa.int64()), ("probability", pa.float64())])
        types = {"index": pa.int64(), "probability": pa.float64(), "top": pa.list_(one)}
        types |= dict.fromkeys(("logits", "features"), pa.list_(pa.float32()))
        return pa.schema([(name, types.get(name, pa.string())) for name in columns.names])


FORMATS: tuple[Format, ...] = (_Parquet(), _Cells(), _Lines())


def format_of(path: Path) -> Format:
    """By the file's suffix. Raises `UserError` for another, and for Parquet where pyarrow is not installed."""
    found = next((one for one in FORMATS if one.suffix == path.suffix.lower()), None)
    if found is None:
        raise UserError(f"-o {path}: answers are written to .parquet, .csv or .jsonl; give the file such a suffix")
    if isinstance(found, _Parquet):
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise UserError(
                f"-o {path}: Parquet needs pyarrow, which is not installed; run: pip install pyarrow, or write .csv"
            ) from None
    return found


def _joined(head: bytes, parts: Sequence[Path], target: Path) -> None:
    with open(target, "wb") as file:
        file.write(head)
        for path in parts:
            with open_regular(path) as part:
                shutil.copyfileobj(part, file, 1 << 20)
