"""Pictures as a table of what is said of them, and a reader that fetches them from where they lie.

A user's own data set, which has the members of `Dataset` and no more, is one more reader: `as_pictures`.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ..spec.preprocess import Preprocess
from ..spec.text import counted
from .dataset import Dataset, Image, Indices
from .strings import StringTable


class Stray(NamedTuple):
    """A file in a class folder that is no picture, with the class and the split (or an empty string) it lies in."""

    name: str
    cls: str
    split: str = ""


@dataclass(frozen=True)
class Found:
    """What opening a source found beside its pictures: `open_data` refuses or notes it, `data check` reports it."""

    sealed: bool = True  # an archive or table: a stray in it is noted. False where it can be removed, and so is refused
    strays: tuple[Stray, ...] = ()
    problems: tuple[str, ...] = ()  # lines for which training refuses the set
    missing: Mapping[str, str] = field(default_factory=dict)  # picture whose file is not there -> the line to say so


@dataclass(frozen=True, eq=False)
class Table:
    """What is said of N pictures, a row each, and of them all; None where nothing is."""

    ids: Sequence[str]
    labels: Indices
    classes: tuple[str, ...]
    splits: Mapping[str, Indices] = field(default_factory=dict)
    path: str | None = None
    groups: Sequence[str] | None = None  # pictures of one must not be torn apart by a split; an empty name is none
    hashes: Sequence[str] | None = None  # `keys.content_hash` of each, empty where it is not known
    hashed_at: int | None = None  # when a manifest's pictures were last surely as they were hashed, as in `manifest`
    notes: tuple[str, ...] = ()  # lines for people
    found: Found | None = None  # None: not on a disk
    manifest: str | None = None  # the one that is obeyed
    excluded: Mapping[str, str] = field(default_factory=dict)  # what that leaves out -> why

    def picked(self, indices: Indices) -> Table:
        """The rows at `indices`, which belong to no split."""
        return replace(
            self,
            ids=Picked(self.ids, indices),
            labels=self.labels[indices],
            splits={},
            groups=None if self.groups is None else Picked(self.groups, indices),
            hashes=None if self.hashes is None else Picked(self.hashes, indices),
        )


Ahead = Callable[[Indices, threading.Event], None]


class Reader:
    """Fetches pictures by their row. Reading is pure: the same row gives the same bytes in any process."""

    encoded = False  # whether `raw` gives the bytes of a file
    ours = True  # whether these bytes say what is read: not if somebody else's class changes them on the way
    images: NDArray[np.uint8] | None = None  # (all, H, W, 3), where they lie in memory
    prepared: Preprocess | None = None  # what the images have gone through
    sizes: Indices | None = None  # (all,) bytes of each; -1 where its file is gone
    shards: Indices | None = None  # (all,) which piece of which larger file each lies in; None: in none
    ahead: Ahead | None = None  # fetches what rows lie in, where that is elsewhere and can be kept
    threads: int = 0  # that read at once, where a read waits for somebody else; 0: as many as there are cores
    keys: NDArray[np.uint8] | None = None  # (all, 48) as in `keys`: of the originals, as far as a pack knows them
    notes: tuple[str, ...] = ()  # what was come across in reading

    def raw(self, row: int) -> bytes | None:
        """The encoded bytes of a picture, None for bare pixels."""
        return None

    def decode(self, row: int, raw: bytes | None) -> Image:
        """The pixels of a picture, of which `raw` gave the bytes. An unreadable one is a `UserError` naming it."""
        raise NotImplementedError

    def locate(self, rows: Indices) -> tuple[list[str], list[str]] | None:
        """For each row a name of its place in the source, and the file it lies in; None: in no file."""
        return None

    def stamp(self, file: str) -> tuple[int, int, int, int] | None:
        """What changes with a file that `locate` names; None: ask the disk."""
        return None

    def altered(self, row: int) -> bool:
        """Whether the bytes of a picture are other ones than were packed, as far as can be told."""
        return False

    def seal(self) -> bytes:
        """What changes with the pictures, beside their names and labels: the sizes."""
        return np.asarray(self.sizes, "<i8").tobytes()


class Pictures:
    """Picture `i` is row `where[i]` of the reader, and the table says what is known of it."""

    def __init__(self, table: Table, reader: Reader, where: Indices | None = None) -> None:
        self.table, self.reader = table, reader
        self.where: Indices = np.arange(len(table.labels), dtype=np.int64) if where is None else where

    def __len__(self) -> int:
        return len(self.table.labels)

    def __getitem__(self, i: int) -> tuple[Image, int]:
        """`read`, counting from the end where `i` is negative: torch's loaders take it as it is."""
        count = len(self)
        if not -count <= i < count:
            raise IndexError(f"picture {i}; there are {count:,}")
        return self.read(int(i) % count)

    def __repr__(self) -> str:
        parts = ", ".join(f"{name} {len(rows):,}" for name, rows in self.splits.items())
        names = ", ".join(self.classes[:4]) + (", ..." if len(self.classes) > 4 else "")
        where = self.path or "in memory"
        return (
            f"{type(self).__name__}({where}: {counted(len(self), 'picture')}{f' ({parts})' if parts else ''}, "
            f"{len(self.classes)} classes: {names})"
        )

    @property
    def path(self) -> str | None:
        """As `Dataset` says; so are the next four."""
        return self.table.path

    @property
    def classes(self) -> tuple[str, ...]:
        return self.table.classes

    @property
    def ids(self) -> Sequence[str]:
        return self.table.ids

    @property
    def labels(self) -> Indices:
        return self.table.labels

    @property
    def splits(self) -> Mapping[str, Indices]:
        return self.table.splits

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines for people."""
        return (*self.table.notes, *self.reader.notes)

    @property
    def root(self) -> Pictures:
        """The source that these are a part or a view of."""
        return self

    @property
    def sizes(self) -> Indices:
        """(len,) bytes of each picture; -1 where it is in no file, or that is gone."""
        sizes = self.reader.sizes
        return np.full(len(self), -1, np.int64) if sizes is None else np.asarray(sizes, np.int64)[self.where]

    def told(self, **columns: Any) -> Self:
        """These with other columns."""
        other = copy.copy(self)
        other.table = replace(self.table, **columns)
        return other

    def raw(self, i: int) -> bytes | None:
        """The encoded bytes of picture `i` as they lie in the source; None for bare pixels."""
        return self.reader.raw(int(self.where[i]))

    def decode(self, i: int, raw: bytes | None) -> Image:
        """The pixels of picture `i`, of which `raw` gave the bytes."""
        return self.reader.decode(int(self.where[i]), raw)

    def read(self, i: int) -> tuple[Image, int]:
        """Picture `i` and its label; an unreadable one is a `UserError` naming it."""
        return self.decode(i, self.raw(i)), int(self.labels[i])

    def fingerprint(self) -> str:
        """Digest of class names, identities, labels, and what the reader seals: sizes, hashes or pixels."""
        known = identity_digest(self.ids, self.labels, self.classes)
        return hashlib.sha256(known + self.reader.seal()).hexdigest()[:32]


def as_pictures(dataset: Dataset) -> Pictures:
    """`dataset` itself where it is of this package, else one that reads somebody else's data set."""
    own = isinstance(dataset, Pictures) and type(dataset).__module__.partition(".")[0] == __name__.partition(".")[0]
    return dataset if isinstance(dataset, Pictures) and own and "read" not in vars(dataset) else _Foreign(dataset)


class _Foreign(Pictures):
    """Somebody else's data set. What it says beside the members of `Dataset` is heard as far as it is a column."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(
            Table(
                dataset.ids,
                np.asarray(dataset.labels, np.int64),
                tuple(dataset.classes),
                dataset.splits,
                dataset.path,
                groups=getattr(dataset, "groups", None),
                hashes=getattr(dataset, "hashes", None),
                notes=tuple(getattr(dataset, "notes", ())),
            ),
            _Asking(dataset),
        )
        self._dataset = dataset

    def fingerprint(self) -> str:
        return self._dataset.fingerprint()


class _Asking(Reader):
    ours = False

    def __init__(self, dataset: Dataset) -> None:
        self._dataset, self.sizes = dataset, getattr(dataset, "sizes", None)

    def decode(self, row: int, raw: bytes | None) -> Image:
        return np.asarray(self._dataset.read(row)[0])


class Picked(Sequence[str]):
    """Strings picked by index when asked for: a subset of a million samples costs no copies."""

    def __init__(self, strings: Sequence[str], indices: Indices) -> None:
        self._strings, self._indices = strings, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, i: int) -> str:  # type: ignore[override]
        return self._strings[int(self._indices[i])]


def identity_digest(ids: Iterable[str], labels: Indices, classes: Sequence[str]) -> bytes:
    """sha256 of class names, identities and labels: what every fingerprint starts from."""
    digest = hashlib.sha256("\0".join(classes).encode(errors="surrogateescape"))
    digest.update(np.asarray(labels, dtype="<i8").tobytes())
    ends, blob = (ids if isinstance(ids, StringTable) else StringTable(ids)).blob
    digest.update(ends.astype("<i8").tobytes() + blob)
    return digest.digest()
