"""Pictures in files of their own: a folder of class folders, and whatever else names files below a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ...runtime.opening import open_regular
from ...spec.errors import UserError
from ..dataset import Image, Indices
from ..layout.class_folders import read_tree
from ..layout.found import Found
from ..layout.listing import HEAD, is_clutter
from ..layout.other_sources import other_sources
from ..layout.tree import Branch, NoPictures, join
from ..memory import identity_digest
from ..pictures.decode import decode_bytes, read_bytes
from ..strings import StringTable


class FileDataset(Found):
    """Pictures in files below `root`; `ids` are their relative paths."""

    sealed = False

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


class DiskTree:
    """The files and folders below one on a disk; links are followed."""

    sealed = False

    def __init__(self, path: str) -> None:
        self.path = path

    def folders(self, at: str) -> list[str]:
        """Lexical names of the folders directly in `at`, without clutter."""
        return sorted(entry.name for entry in _entries(self._place(at)) if entry.is_dir())

    def loose(self, at: str) -> list[str]:
        """Lexical paths of the files directly in `at`, without clutter."""
        return sorted(join(at, entry.name) for entry in _entries(self._place(at)) if not entry.is_dir())

    def files(self, at: str, depth: int = 0) -> Iterator[str]:
        """Paths of the files anywhere below `at`, without clutter."""
        for entry in _entries(self._place(at)):
            if not entry.is_dir():
                yield join(at, entry.name)
            elif depth > 20:
                raise UserError(f"{self._place(at)}: nested more than 20 deep (a link to itself?)")
            else:
                yield from self.files(join(at, entry.name), depth + 1)

    def head(self, file: str) -> bytes:
        """The first bytes of a file; none of one that cannot be read, or that is a pipe or device."""
        try:
            with open_regular(self._place(file)) as opened:
                return opened.read(HEAD)
        except (OSError, UserError):
            return b""

    def _place(self, at: str) -> str:
        return os.path.join(self.path, at) if at else self.path


def open_folder(path: str) -> FileDataset:
    """List a folder of class folders. What training refuses it for is in `problems`, files that are none in `strays`.

    Raises `UserError` for a folder without pictures and for one that cannot be listed.
    """
    try:
        found = read_tree(DiskTree(path))
    except NoPictures as error:
        others = other_sources(path)
        raise UserError(f"{error}; {others}" if others else str(error)) from None
    labels = np.array(found.labels, dtype=np.int64)
    splits = {name: np.arange(part.start, part.stop, dtype=np.int64) for name, part in found.splits.items()}
    data = FileDataset(path, found.names, labels, classes=found.classes, splits=splits, notes=found.notes)
    data.strays, data.problems = tuple(found.strays), tuple(found.problems)
    return data


def refuse_among_pictures(folder: str | os.PathLike[str], data: str, where: str) -> None:
    """Raise `UserError` if a picture of ours in `folder` would be one of a class of DATA, the path `data`.

    `where`, such as `--out`, opens the message. Anything but a folder of class folders is no matter.
    """
    if not os.path.isdir(data):
        return
    top = os.path.relpath(os.path.realpath(folder), os.path.realpath(data)).split(os.sep)[0]
    inside = top not in {os.curdir, os.pardir} and os.path.isdir(os.path.join(data, top))
    if inside and Branch(DiskTree(data), top).pictures:
        raise UserError(
            f"{where}: what is written to {os.fspath(folder)} would be taken for a picture of {data}; "
            "name another folder"
        )


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """What lies directly in a folder, without clutter."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not is_clutter(entry.name)]
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed ({error.strerror})") from None
