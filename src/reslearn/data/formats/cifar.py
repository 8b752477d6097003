"""CIFAR-10 and CIFAR-100 as their author distributes them: python pickles or binary records, packed or unpacked.

A pickle can run any code, so these go through an unpickler that builds numpy arrays and plain containers only. Archives
may hold fewer records than the originals.
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.opening import check_size, open_regular, read_regular
from ...spec.errors import UserError
from ..memory import ArrayDataset
from .tar_index import open_tar

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCH = 1 << 30  # bytes: a member of the archive has at most a fifth of that
_TRAIN10 = tuple(f"data_batch_{i}" for i in range(1, 6))
_BATCHES = (*_TRAIN10, "test_batch", "train", "test")
_META = ("batches.meta", "meta", "batches.meta.txt", "fine_label_names.txt")
_KNOWN = frozenset([*_BATCHES, *(f"{name}.bin" for name in _BATCHES), *_META])


class _Refused(pickle.UnpicklingError):
    """A pickle asks for something that could act."""


class _ArraysOnly(pickle.Unpickler):
    """Allows what a CIFAR batch is made of and nothing that could act."""

    _ALLOWED = frozenset(
        [
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        ]
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise _Refused(f"{module}.{name} is not allowed in a CIFAR archive")
        if name == "_reconstruct":
            from numpy._core.multiarray import _reconstruct

            return _reconstruct
        return super().find_class(module, name)


def unpickle_arrays(raw: bytes, name: str) -> Any:
    """Unpickle numpy arrays and plain containers; anything else is a `UserError` naming the file."""
    try:
        return _ArraysOnly(io.BytesIO(raw), encoding="bytes").load()
    except _Refused as error:
        raise UserError(f"{name}: refused ({error})") from None
    except Exception as error:  # a damaged pickle raises nearly anything
        raise UserError(f"{name}: not a CIFAR batch ({type(error).__name__}: {error})") from None


def is_cifar_folder(path: str) -> bool:
    """Whether a folder holds an unpacked CIFAR archive."""
    return _is_cifar({e.name for e in os.scandir(path) if e.is_file()})


def _is_cifar(names: set[str]) -> bool:
    return bool(names & {"data_batch_1", "data_batch_1.bin", "test_batch", "test_batch.bin"}) or bool(
        names & {"train.bin", "meta"} and names & {"train", "test", "train.bin", "test.bin"}
    )


def open_cifar_folder(path: str) -> ArrayDataset:
    """An unpacked `cifar-10-batches-py`, `cifar-10-batches-bin`, `cifar-100-python` or `cifar-100-binary`."""
    files = [e for e in os.scandir(path) if e.is_file() and e.name in _KNOWN]
    return _open({e.name: read_regular(e.path, BATCH) for e in files}, path)


def open_cifar_archive(path: str) -> ArrayDataset | None:
    """A packed archive (tar, plain or compressed), read without unpacking; None if it holds no CIFAR files."""
    contents: dict[str, bytes] = {}
    with open_regular(path) as opened, open_tar(opened) as tar:
        for seen, member in enumerate(tar):
            name = os.path.basename(member.name)
            file = tar.extractfile(member) if member.isfile() and name in _KNOWN else None
            if file is not None:
                check_size(f"{path}: {name}", member.size, BATCH)
                contents[name] = file.read()
            elif seen > 20 and not contents:
                return None
    if not _is_cifar(set(contents)):
        return None
    return _open(contents, path)


def _open(files: Mapping[str, bytes], path: str) -> ArrayDataset:
    binary = any(name.endswith(".bin") for name in files)
    hundred = bool(set(files) & {"train", "train.bin"}) or "meta" in files or "fine_label_names.txt" in files
    suffix = ".bin" if binary else ""
    names = {"train": ("train",) if hundred else _TRAIN10, "test": ("test",) if hundred else ("test_batch",)}
    parse = (lambda raw, name: _parse_binary(raw, name, hundred)) if binary else _parse_python
    images, labels, ids, splits, at = [], [], [], {}, 0
    for split, batches in names.items():
        start = at
        for batch in batches:
            if batch + suffix in files:
                x, y = parse(files[batch + suffix], f"{path}: {batch}{suffix}")
                images.append(x)
                labels.append(y)
                ids += [f"{batch}{suffix}:{i}" for i in range(len(y))]
                at += len(y)
        if at > start:
            splits[split] = np.arange(start, at, dtype=np.int64)
    classes = _class_names(files, hundred, path)
    y = np.concatenate(labels)
    if len(y) and not 0 <= y.min() <= y.max() < len(classes):
        raise UserError(f"{path}: label {int(y.max())} but only {len(classes)} class names")
    return ArrayDataset(np.concatenate(images), y, classes=classes, ids=ids, splits=splits, path=os.path.abspath(path))


def _class_names(files: Mapping[str, bytes], hundred: bool, path: str) -> tuple[str, ...]:
    for name, entry in (("batches.meta", "label_names"), ("meta", "fine_label_names")):
        if name in files:
            meta = _text_keys(unpickle_arrays(files[name], f"{path}: {name}"))
            if entry not in meta:
                raise UserError(f"{path}: {name}: no '{entry}' in it; this is no CIFAR archive")
            return tuple(n.decode() if isinstance(n, bytes) else str(n) for n in meta[entry])
    for name in ("batches.meta.txt", "fine_label_names.txt"):
        if name in files:
            return tuple(files[name].decode().split())
    return tuple(f"{i:03d}" for i in range(100)) if hundred else CIFAR10_CLASSES


def _parse_python(raw: bytes, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    data = _text_keys(unpickle_arrays(raw, name))
    try:
        rows = np.asarray(data["data"], dtype=np.uint8)
        labels = np.asarray(data["fine_labels"] if "fine_labels" in data else data["labels"], dtype=np.int64)
        planes = rows.reshape(len(labels), 3, 32, 32)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{name}: not a CIFAR batch ({error})") from None
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels


def _text_keys(data: Any) -> dict[str, Any]:
    """Keys are bytes in batches pickled by Python 2 and text in ones pickled by Python 3."""
    if not isinstance(data, dict):
        return {}
    return {key.decode() if isinstance(key, bytes) else str(key): value for key, value in data.items()}


def _parse_binary(raw: bytes, name: str, hundred: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Records of 1 label byte (CIFAR-100: coarse, then fine) and 3,072 pixel bytes, planes R, G, B."""
    head = 2 if hundred else 1
    if not raw or len(raw) % (head + 3072):
        raise UserError(f"{name}: {len(raw)} bytes are no whole number of {head + 3072}-byte records (truncated?)")
    rows = np.frombuffer(raw, np.uint8).reshape(-1, head + 3072)
    planes = rows[:, head:].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), rows[:, head - 1].astype(np.int64)
