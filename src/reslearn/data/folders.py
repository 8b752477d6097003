"""A folder of class folders, with or without `train`, `val` (`valid`, `validation`) and `test` above them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..spec.errors import UserError
from .dataset import Image, Indices
from .decode import EXTENSIONS, decode_bytes, read_bytes
from .memory import identity_digest
from .strings import StringTable

SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
CLUTTER = frozenset({"thumbs.db", "desktop.ini"})  # what operating systems leave in folders; so is any dot file
CLUTTER_FOLDERS = frozenset({"__macosx", "__pycache__"})  # what unpacking and Python leave


class FileDataset:
    """Pictures in files below `root`; `ids` are their relative paths."""

    def __init__(
        self,
        root: str,
        ids: Sequence[str],
        labels: Indices,
        *,
        classes: Sequence[str],
        splits: Mapping[str, Indices] | None = None,
        path: str | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self.root = root
        self.ids: Sequence[str] = ids if isinstance(ids, StringTable) else StringTable(ids)
        self.labels = np.asarray(labels, dtype=np.int64)
        self.classes = tuple(classes)
        self.splits: Mapping[str, Indices] = dict(splits or {})
        self.path = os.path.abspath(path if path is not None else root)
        self.notes = tuple(notes)
        self.strays: tuple[str, ...] = ()  # files among the pictures that are no images
        self._sizes: Indices | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def file(self, i: int) -> str:
        """The path of picture `i`."""
        return os.path.join(self.root, self.ids[i])

    def raw(self, i: int) -> bytes:
        """The encoded bytes of picture `i`."""
        return read_bytes(self.file(i))

    def read(self, i: int) -> tuple[Image, int]:
        """Decode picture `i`; an unreadable one is a `UserError` naming its file."""
        return self.decode(i, self.raw(i)), int(self.labels[i])

    def decode(self, i: int, raw: bytes) -> Image:
        """The pixels of picture `i`, given its bytes."""
        return decode_bytes(raw, self.file(i))

    def locate(self, indices: Indices) -> tuple[list[str], list[str]]:
        """For each picture of `indices` a name of its place in this source, and the file it lies in."""
        names = [self.ids[int(i)] for i in indices]
        return names, [os.path.join(self.root, name) for name in names]

    @property
    def sizes(self) -> Indices:
        """(len,) int64 file sizes in bytes, asked of the file system once; -1 for a file that is gone."""
        if self._sizes is None:
            self._sizes = np.fromiter((_size(self.file(i)) for i in range(len(self))), np.int64, len(self))
        return self._sizes

    def fingerprint(self) -> str:
        """Digest of relative paths, labels, class names and file sizes."""
        digest = hashlib.sha256(identity_digest(self.ids, self.labels, self.classes))
        digest.update(self.sizes.astype("<i8").tobytes())
        return digest.hexdigest()[:32]


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1


@dataclass
class _Listing:
    paths: list[str] = field(default_factory=list)  # relative to the root
    labels: list[int] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)  # no picture, going by name and first bytes


def open_folder(
    path: str, *, on_bad_file: Literal["stop", "skip"] = "stop", excluded: Collection[str] = ()
) -> FileDataset:
    """List a folder of class folders. Classes are in lexical order of their names.

    Raises `UserError` for an empty folder, fewer than two classes, a class without pictures, a class of `val` or
    `test` that `train` lacks, and a file among the pictures that is none: a note instead with `skip`, and
    nothing at all if it is one of `excluded`.
    """
    tops = _folders(path)
    parts = {name: SPLIT_NAMES[name.lower()] for name in tops if name.lower() in SPLIT_NAMES}
    parts = {name: split for name, split in parts.items() if _folders(os.path.join(path, name))}
    if len(set(parts.values())) < len(parts):
        raise UserError(f"{path}: {' and '.join(sorted(parts))} mean the same split; keep one of them")
    notes = []
    if parts:
        others = [name for name in tops if name not in parts]
        if others:
            notes.append(f"{path}: beside {', '.join(sorted(parts))}, these folders are not read: {', '.join(others)}")
    classes = _class_names(path, parts, tops)
    listing, splits, counts = _Listing(), {}, np.zeros(len(classes), np.int64)
    for name, split in sorted(parts.items(), key=lambda item: ("train", "val", "test").index(item[1])) or [("", "")]:
        start = len(listing.paths)
        for label, cls in enumerate(classes):
            before = len(listing.paths)
            _list_class(path, f"{name}/{cls}" if name else cls, label, listing)
            counts[label] += len(listing.paths) - before
        if split:
            splits[split] = np.arange(start, len(listing.paths), dtype=np.int64)
    _check(path, classes, counts, listing)
    strays = tuple(listing.strays)
    listing.strays = [stray for stray in strays if stray not in excluded]
    notes += _strays(path, listing, on_bad_file) + _numeric_names(path, classes)
    labels = np.array(listing.labels, dtype=np.int64)
    data = FileDataset(path, listing.paths, labels, classes=classes, splits=splits, notes=notes)
    data.strays = strays
    return data


def _class_names(path: str, parts: Mapping[str, str], tops: list[str]) -> list[str]:
    """Lexical class names: of `train` where there is one, and then no other split may bring a new one."""
    if not parts:
        return tops
    found = {split: _folders(os.path.join(path, name)) for name, split in parts.items()}
    if "train" not in found:
        return sorted(set().union(*found.values()))
    for name, split in parts.items():
        for cls in found[split]:
            if cls not in found["train"] and any(_files(os.path.join(path, name, cls))):
                raise UserError(
                    f"{os.path.join(path, name, cls)}: class '{cls}' is not in train/, so no network could have "
                    f"learned it; add pictures to train/{cls}, or rename or remove the folder"
                )
    return found["train"]


def _check(path: str, classes: Sequence[str], counts: Indices, listing: _Listing) -> None:
    if not len(listing.paths):
        if listing.strays:
            raise UserError(f"{os.path.join(path, listing.strays[0])}: not an image, and {path} holds none")
        raise UserError(f"{path}: no pictures found; DATA is a folder with one folder of pictures per class")
    if len(classes) < 2:
        raise UserError(f"{path}: only one class ('{classes[0]}'); a classifier needs at least two class folders")
    for cls, count in zip(classes, counts, strict=True):
        if not count:
            raise UserError(f"{path}: the class folder '{cls}' holds no pictures; add some or remove the folder")


def _strays(path: str, listing: _Listing, on_bad_file: str) -> list[str]:
    if listing.strays and on_bad_file == "stop":
        more = f" (and {len(listing.strays) - 1} more)" if len(listing.strays) > 1 else ""
        raise UserError(
            f"{os.path.join(path, listing.strays[0])}: not an image{more}; remove it, run `reslearn data check` "
            "whose manifest leaves it out, or train with --on-bad-file skip"
        )
    return [f"{os.path.join(path, stray)}: not an image, left out" for stray in listing.strays]


def _numeric_names(path: str, classes: Sequence[str]) -> list[str]:
    if all(c.isdecimal() for c in classes) and list(classes) != sorted(classes, key=int):
        shown = ", ".join(classes[:4])
        return [f"{path}: class folders are numbers, in lexical order ({shown}, ...): label 2 is not folder '2'"]
    return []


def _list_class(root: str, folder: str, label: int, listing: _Listing) -> None:
    """Append the pictures below one class folder, in lexical order of their relative paths."""
    found = []
    for relative in _files(os.path.join(root, folder)):
        if os.path.splitext(relative)[1].lower() in EXTENSIONS or _looks_like_image(
            os.path.join(root, folder, relative)
        ):
            found.append(f"{folder}/{relative}")
        else:
            listing.strays.append(f"{folder}/{relative}")
    found.sort()
    listing.paths += found
    listing.labels += [label] * len(found)


def _files(folder: str, prefix: str = "", depth: int = 0) -> Iterator[str]:
    """Relative paths of the files below a folder, without the clutter of operating systems."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed ({error.strerror})") from None
    for entry in entries:
        if entry.name[0] == "." or entry.name.lower() in CLUTTER:
            continue
        if entry.is_dir():
            if depth > 20:
                raise UserError(f"{folder}: nested more than 20 deep (a link to itself?)")
            yield from _files(entry.path, f"{prefix}{entry.name}/", depth + 1)
        else:
            yield prefix + entry.name


def _folders(path: str) -> list[str]:
    """Lexical names of the folders in a folder, without hidden ones and the clutter of operating systems."""
    try:
        with os.scandir(path) as entries:
            named = (e for e in entries if e.name[0] != "." and e.name.lower() not in CLUTTER_FOLDERS)
            return sorted(e.name for e in named if e.is_dir())
    except OSError as error:
        raise UserError(f"{path}: cannot be listed ({error.strerror})") from None


def _looks_like_image(path: str) -> bool:
    """A file without a known extension is judged by its first bytes."""
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError:
        return False
    magics = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")
    return head.startswith(magics) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
