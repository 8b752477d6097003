"""A tree of files, on a disk or in a tar: which of them are pictures, which are neither pictures nor a run's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Protocol

from ...spec.errors import UserError
from ..table import Stray
from .listing import is_picture, is_run, is_written

LAYOUT = "DATA is a folder with one folder of pictures per class"


class NoPictures(UserError):
    """A tree without a file in class folders."""


class Tree(Protocol):
    """What a disk and a tar have in common. Paths have `/` and start at the root; clutter is out."""

    path: str  # as messages call it
    sealed: bool  # an archive: what is no picture in it cannot well be removed, so it is noted and not refused

    def folders(self, at: str) -> list[str]:
        """Names of the folders directly in `at`, in lexical order."""
        ...

    def loose(self, at: str) -> Iterable[str]:
        """Paths of the files directly in `at`."""
        ...

    def files(self, at: str) -> Iterable[str]:
        """Paths of all files anywhere below `at`."""
        ...

    def head(self, file: str) -> bytes:
        """The first bytes of a file; none of one that cannot be read."""
        ...


@dataclass
class Listing:
    """Pictures in the order of split, class and path. `problems` are lines for which training refuses the set."""

    classes: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    splits: dict[str, range] = field(default_factory=dict)
    strays: list[Stray] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Branch:
    """The files below one folder that this package did not write: `pictures` and `strays`; `ours` if that leaves none.

    Figures of ours are told from pictures where a folder has nothing else: to look into each would cost too much, and
    so none is written among pictures (`refuse_among_pictures`).
    """

    def __init__(self, tree: Tree, at: str) -> None:
        files = list(tree.files(at))
        runs = [f.rpartition("/")[0] + "/" for f in files if is_run(base_name(f), partial(tree.head, f))]
        rest = [f for f in files if not f.startswith(tuple(runs))] if runs else files
        self.pictures: list[str] = []
        self.strays: list[str] = []

        def written(file: str) -> bool:
            return is_written(base_name(file), partial(tree.head, file))

        for file in rest:
            if is_picture(file, partial(tree.head, file)):
                self.pictures.append(file)
            elif not written(file):
                self.strays.append(file)
        if all(map(written, self.pictures)):
            self.pictures = []
        self.ours = bool(files) and not (self.pictures or self.strays)


def pictures(tree: Tree, files: Iterable[str], most: int | None = None) -> list[str]:
    """Those (or the first `most`) of `files` that are pictures."""
    return list(islice((file for file in files if is_picture(file, partial(tree.head, file))), most))


def join(at: str, name: str) -> str:
    """A path below `at`, which is empty for the root."""
    return f"{at}/{name}" if at else name


def base_name(file: str) -> str:
    return file.rpartition("/")[2]
