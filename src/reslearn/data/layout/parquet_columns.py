"""What the columns of Parquet files say: which holds the pictures, which the labels, and which rows count."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...runtime.opening import descriptor_path, open_regular
from ...spec.errors import UserError, some
from ...spec.text import counted, is_text
from ..dataset import Indices
from .columns import COLUMNS
from .labels import LABELS, ONE_EACH, class_order, listed_classes, one_label
from .listing import in_clutter, split_of

_LABELS = tuple(dict.fromkeys(("label", "labels", "fine_label", "class", "target", *LABELS)))  # the first one counts
_IMAGES = ("image", "img", "picture", "photo", "pixels")  # of several image columns, the first of these
_TEXT = ("string", "large_string", "dictionary<values=string", "dictionary<values=large_string")
Columns = tuple[str, str, list[str] | None]  # of the pictures, of the labels, and the classes' names if it lists them


def open_parquet(file: str, path: str) -> Any:
    """A `pyarrow.parquet.ParquetFile`. Raises `UserError` without pyarrow, and for a damaged file."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise UserError(f"{path}: reading Parquet needs pyarrow; run: pip install pyarrow") from None
    try:
        with open_regular(file) as opened:
            return pyarrow.parquet.ParquetFile(descriptor_path(opened, file))
    except UserError:
        raise
    except Exception as error:  # pyarrow raises its own kinds
        raise UserError(f"{file}: not a readable Parquet file ({error})") from None


def read_group(file: str, path: str, group: int, column: str, table: Any = None) -> Any:
    """One column of a row group, of the opened `table` if there is one. Raises `UserError` where it is damaged."""
    table = table if table is not None else open_parquet(file, path)
    try:
        return table.read_row_group(group, columns=[column])
    except Exception as error:  # pyarrow raises its own kinds
        raise UserError(f"{file}: not a readable Parquet file (row group {group}: {error})") from None


def image_column(files: Sequence[str], path: str, asked: Mapping[str, str]) -> str:
    """What a pack of these files must be of where they leave a choice; empty where they do not."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return ""  # a pack that is there can be read without
    image, label, _ = choose_columns(files, path, asked)
    candidates = sum(map(len, _image_columns(open_parquet(files[0], path).schema_arrow)))
    beside = beside_columns(files, path, label)
    choice = [image, label] if asked or candidates > 1 else []
    return "|".join(choice + [f"{kind}={name}" for kind, name in beside.items()])


def choose_columns(files: Sequence[str], path: str, asked: Mapping[str, str]) -> Columns:
    """The columns to read, which must be the same in all files, as must the classes of those that list them.

    Raises `UserError` where they are not, and where they leave a choice.
    """
    found = {file: _columns(open_parquet(file, path).schema_arrow, file, asked) for file in files}
    first, (image, label, names) = next(iter(found.items()))
    for file, columns in found.items():
        if columns[:2] != (image, label):
            raise UserError(f"{file}: it has {columns[0]}, {columns[1]} where {first} has {image}, {label}")
        if names and columns[2] and columns[2] != names:
            mine, others = some(columns[2]), some(names)
            raise UserError(f"{file}: its classes are {mine}, those of {first} {others}; they are not one set")
        names = names or columns[2]
    listed = isinstance(names, list) and all(isinstance(name, str) and is_text(name) for name in names)
    return image, label, names if listed else None


def beside_columns(files: Sequence[str], path: str, label: str) -> dict[str, str]:
    """The columns that all files have for `split` and `group`, as a table has them (`columns.COLUMNS`)."""
    schemas = [open_parquet(file, path).schema_arrow for file in files]
    found: dict[str, str] = {}
    for kind, types in (("split", _TEXT), ("group", (*_TEXT, "int"))):
        for name in reversed(COLUMNS[kind]):
            there = [str(schema.field(name).type) for schema in schemas if schema.names.count(name) == 1]
            if name != label and len(there) == len(files) and all(one.startswith(types) for one in there):
                found[kind] = name
    return found


def row_splits(
    by_file: Sequence[str | None], cells: Sequence[Any] | None, column: str, path: str
) -> tuple[list[str | None], list[str]]:
    """The split of each row: what its file's name says, else its cell; and a line where there are cells that do not
    count."""
    if cells is None or not any(cells):
        return list(by_file), []
    said = [split_of(cell) if isinstance(cell, str) else None for cell in cells]
    if any(by_file):
        differ = sum(a != b for a, b in zip(by_file, said, strict=True))
        rows = counted(differ, "row")
        line = f"{path}: the splits are those of the files' names; in {rows} the column '{column}' differs"
        return list(by_file), [line] if differ else []
    strange = next((cell for cell, split in zip(cells, said, strict=True) if split is None), None)
    if None in said:
        return list(by_file), [f"{path}: the column '{column}' holds {strange!r}, which is no split, so it is not read"]
    return said, []


def other_labels(file: str, path: str, label: str) -> list[str]:
    """A line that says which column is the label, where others could be."""
    there = open_parquet(file, path).schema_arrow.names
    others = [name for name in _LABELS if name in there and name != label]
    return [f"{path}: the label is the column '{label}', and not {some(others)}"] if others else []


def _image_columns(schema: Any) -> tuple[list[str], list[str]]:
    """Columns that can hold encoded pictures: structs with `bytes`, and bare bytes."""
    structs = [f.name for f in schema if str(f.type).startswith("struct") and f.type.get_field_index("bytes") >= 0]
    return structs, [f.name for f in schema if str(f.type) in {"binary", "large_binary"}]


def _columns(schema: Any, file: str, asked: Mapping[str, str]) -> Columns:
    """The columns of one file, by name, by Hugging Face's metadata, or as the only ones of their kind."""
    features = _features(schema)
    structs, bare = _image_columns(schema)
    images = structs + bare
    labels = [name for name in _LABELS if name in schema.names]
    for kind, name in asked.items():
        among = {"image": images, "label": schema.names}.get(kind)
        if among is None or name not in among:
            raise UserError(f"{file}: no {kind} column '{name}'; it has {some(among or schema.names, 20)}")
    label = asked.get("label") or (labels[0] if labels else None)
    if not images or label is None:
        text = [f.name for f in schema if f.name in _IMAGES and str(f.type) in {"string", "large_string"}]
        raise UserError(
            f"{file}: needs an image column (a struct with 'bytes') and a label column ({', '.join(_LABELS[:5])}); "
            f"it has {some(schema.names, 20)}"
            + (f"; give {file}#label=NAME" if images else "")
            + (f"; '{text[0]}' holds text, such as paths or addresses, not the pictures' bytes" if text else "")
        )
    declared = [name for name in images if features.get(name, {}).get("_type") == "Image"]
    called = [name for name in _IMAGES if name in images]
    sole = [group[0] for group in (declared, structs, images) if len(group) == 1]
    image = asked.get("image") or next(iter(called + sole), None)
    if image is None:
        raise UserError(f"{file}: several image columns ({some(images, 20)}); choose one: {file}#image={images[0]}")
    kind = str(schema.field(label).type)
    if kind.startswith(("list", "large_list", "fixed_size_list", "struct", "map")):
        raise UserError(f"{file}: the labels in '{label}' are of type {kind}; {ONE_EACH}")
    names = features.get(label, {}).get("names")
    return (
        image,
        label,
        names if isinstance(names, list) and all(isinstance(n, str) and is_text(n) for n in names) else None,
    )


def _features(schema: Any) -> dict[str, Any]:
    """What Hugging Face's metadata says of each column."""
    try:
        found = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {name: about for name, about in found.items() if isinstance(about, dict)} if isinstance(found, dict) else {}


def kept_rows(
    labels: Sequence[Any],
    paths: Sequence[str | None],
    splits: Sequence[str | None],
    names: Sequence[str] | None,
    path: str,
) -> tuple[list[int], list[str]]:
    """The rows that are pictures with a label, and what is said of the others.

    A split that has no labels at all (a contest's test part; -1 in Hugging Face's sets) is left out whole.
    """
    none = {None, -1}
    of_split: dict[str | None, set[Any]] = {}
    for split, label in zip(splits, labels, strict=True):
        of_split.setdefault(split, set()).add(label)
    bare = [split for split, found in of_split.items() if split is not None and found <= none]
    if len(bare) == len(of_split) or (names is None and any(-1 in of_split[s] for s in of_split if s not in bare)):
        bare = []  # -1 may well be a class
    notes = [f"{path}: {split} has no labels, so it is not read" for split in bare]
    hidden = {i for i, name in enumerate(paths) if name and in_clutter(name.replace("\\", "/"))}
    if hidden:
        shown = some([str(paths[i]) for i in sorted(hidden)])
        notes.append(f"{path}: {counted(len(hidden), 'row')} with hidden or system files, left out: {shown}")
    kept = [i for i, split in enumerate(splits) if split not in bare and i not in hidden]
    for i in kept:
        if labels[i] is None or (labels[i] == -1 and names is not None):
            raise UserError(f"{path}: row {i} has no label{'' if labels[i] is None else ' (-1)'}; give it its class")
    return kept, notes


def row_classes(
    labels: Sequence[Any], rows: Sequence[int], names: Sequence[str] | None, path: str
) -> tuple[tuple[str, ...], Indices]:
    """Class names and the label of each of the kept rows; Hugging Face's metadata brings an order of its own."""
    if names is None or any(isinstance(label, str) for label in labels):
        texts = [one_label(label, f"{path}: row {row}") for label, row in zip(labels, rows, strict=True)]
        return class_order(texts) if names is None else listed_classes(names, texts, path, "its metadata")
    if strange := [label for label in labels if not isinstance(label, int)]:
        raise UserError(f"{path}: label {strange[0]!r} is no whole number, as its metadata list {len(names)} names")
    strange = [label for label in labels if not 0 <= label < len(names)]
    if strange:
        raise UserError(f"{path}: label {max(strange)} has no class name")
    return tuple(names), np.asarray(labels, dtype=np.int64)
