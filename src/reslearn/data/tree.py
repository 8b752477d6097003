"""A tree of class folders read as a set of pictures, the same way on a disk and in a tar.

`[train|val|test/]class/.../picture`: which folders are splits and classes, which files are pictures, and a line for
everything that is neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from ..spec.errors import UserError
from ..spec.names import spellings
from .listing import Stray, is_picture, is_run, is_written, some, split_of

LAYOUT = "DATA is a folder with one folder of pictures per class"
_ORDER = ("train", "val", "test")


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
    """The files below one folder: `pictures`, `strays` (neither pictures nor a run's), and whether `ours` is all."""

    def __init__(self, tree: Tree, at: str) -> None:
        files = list(tree.files(at))
        runs = [f.rpartition("/")[0] + "/" for f in files if is_run(_base(f), partial(tree.head, f))]
        rest = [f for f in files if not f.startswith(tuple(runs))] if runs else files
        self.pictures: list[str] = []
        self.strays: list[str] = []
        for file in rest:
            (self.pictures if is_picture(file, partial(tree.head, file)) else self.strays).append(file)
        written = (is_written(_base(f), partial(tree.head, f)) for f in self.strays)
        self.ours = bool(files) and not self.pictures and all(written)


def read_tree(tree: Tree) -> Listing:
    """List a tree. Classes are in lexical order of their names; a name spelled in two ways is one class.

    Raises `UserError` where no class folder holds a picture, and for two folders that mean one split.
    """
    if any(is_run(_base(file), partial(tree.head, file)) for file in tree.loose("")):
        raise UserError(f"{tree.path}: the folder of a run, not pictures; {LAYOUT}")
    at, found = _top(tree), Listing()
    parts = _splits(tree, at)
    places = parts or {"": at}
    inside = {
        (split, name): Branch(tree, join(place, name))
        for split, place in places.items()
        for name in tree.folders(place)
    }
    if not parts:
        _leave_out(tree, found, inside)
    one = spellings(name for _, name in inside)
    found.classes = _classes(tree, parts, one, inside, found)
    label = {cls: i for i, cls in enumerate(found.classes)}
    for split in places:
        start = len(found.names)
        mine: list[tuple[str, Branch]] = [(one[name], inside[s, name]) for s, name in inside if s == split]
        rows = [(label[cls], picture) for cls, branch in mine if cls in label for picture in branch.pictures]
        rows.sort()
        found.names += [picture for _, picture in rows]
        found.labels += [y for y, _ in rows]
        found.strays += [Stray(name, cls, split) for cls, branch in mine for name in branch.strays]
        if split:
            found.splits[split] = range(start, len(found.names))
    _account(tree, at, parts, found)
    return found


def _top(tree: Tree) -> str:
    """Where the classes or splits begin: an archive may hold all in a folder of its own."""
    at = ""
    while tree.sealed:
        tops = [name for name in tree.folders(at) if _pictures(tree, tree.files(join(at, name)), 1)]
        inner = join(at, tops[0]) if len(tops) == 1 else ""
        folders = tree.folders(inner) if inner and not split_of(tops[0]) else []
        if not folders or (_pictures(tree, tree.loose(inner), 1) and not any(map(split_of, folders))):
            break
        at = inner
    return at


def _splits(tree: Tree, at: str) -> dict[str, str]:
    """Split -> its folder, in the order train, val, test. `test_set/test_set` is one folder in another's name."""
    found: dict[str, str] = {}
    for name in tree.folders(at):
        split, place = split_of(name), join(at, name)
        inner = tree.folders(place) if split else []
        if len(inner) == 1 and split_of(inner[0]) == split and tree.folders(join(place, inner[0])):
            place = join(place, inner[0])
        if split and inner:
            if split in found:
                both = f"{found[split]} and {place}"
                raise UserError(f"{tree.path}: {both} mean the same split; keep one of them")
            found[split] = place
    return {split: found[split] for split in _ORDER if split in found}


def _leave_out(tree: Tree, found: Listing, inside: dict[tuple[str, str], Branch]) -> None:
    """Take what this package wrote into the data's folder out of the classes."""
    ours = [key for key, branch in inside.items() if branch.ours]
    if ours:
        found.notes.append(f"{tree.path}: written by reslearn, so no class: {some([name for _, name in ours])}")
    for key in ours:
        del inside[key]


def _classes(
    tree: Tree,
    parts: Mapping[str, str],
    one: Mapping[str, str],
    inside: Mapping[tuple[str, str], Branch],
    found: Listing,
) -> list[str]:
    """Lexical class names: of `train` where there is one, and then no other split may bring a new one."""
    there = dict.fromkeys(sorted(one.values()), False)
    for (_, name), branch in inside.items():
        there[one[name]] |= bool(branch.pictures)
    learned = {one[name] for split, name in inside if split == "train"}
    strange: list[str] = []
    for (split, name), branch in inside.items():
        any_file = branch.pictures or (branch.strays and not tree.sealed)
        if learned and any_file and one[name] not in {*learned, *strange}:
            strange.append(one[name])
            found.problems.append(
                f"{tree.path}/{parts[split]}/{name}: class '{name}' is not in {parts['train']}/, so no network could "
                f"have learned it; add pictures to {parts['train']}/{name}, or rename or remove the folder"
            )
    classes = [cls for cls in there if not learned or cls in learned] + sorted(strange)
    empty = [cls for cls in classes if not there[cls]]
    if empty and tree.sealed:
        found.notes.append(
            f"{_hollow(tree, empty)}, so {'it is no class' if len(empty) == 1 else 'they are no classes'}"
        )
        classes = [cls for cls in classes if there[cls]]
    elif empty:
        remedy = "add some or remove the folder" if len(empty) == 1 else "add some or remove the folders"
        found.problems.append(f"{_hollow(tree, empty)}; {remedy}")
    if len(classes) == 1:
        found.problems.insert(
            0, f"{tree.path}: only one class ('{classes[0]}'); a classifier needs at least two class folders"
        )
    return classes


def _hollow(tree: Tree, empty: Sequence[str]) -> str:
    if len(empty) == 1:
        return f"{tree.path}: the class folder '{empty[0]}' holds no pictures"
    names = some([f"'{cls}'" for cls in empty], 8)
    return f"{tree.path}: {len(empty)} class folders hold no pictures: {names}"


def _account(tree: Tree, at: str, parts: Mapping[str, str], found: Listing) -> None:
    """Refuse a set without pictures; say what is not read, by name or number."""
    places = list(parts.values()) or [at]
    loose = [file for place in dict.fromkeys([at, *places]) for file in _pictures(tree, tree.loose(place))]
    if not found.names:
        if found.strays:
            raise UserError(f"{tree.path}/{found.strays[0].name}: not an image, and {tree.path} holds none")
        beside = f", only {len(loose)} outside class folders" if loose else ""
        raise UserError(f"{tree.path}: no pictures found in class folders{beside}; {LAYOUT}")
    if loose:
        found.notes.append(f"{tree.path}: {len(loose)} picture(s) in no class folder, not read: {some(loose)}")
    for split, members in found.splits.items():
        if not members:
            instead = " and a part of train is held out instead" if split == "val" else ""
            found.notes.append(f"{tree.path}/{parts[split]}: holds no pictures{instead}; fill it or remove it")
    if parts:
        read = {place.removeprefix(f"{at}/" if at else "").split("/")[0] for place in parts.values()}
        others = [name for name in tree.folders(at) if name not in read]
        hollow = [name for name in others if split_of(name) and split_of(name) not in parts]
        for name in hollow:
            found.notes.append(f"{tree.path}/{join(at, name)}: holds no class folders, so it is no split and not read")
        others = [name for name in others if name not in hollow]
        if others:
            beside = f"beside {', '.join(sorted(read))}"
            found.notes.append(f"{tree.path}: {beside}, these folders are not read: {', '.join(others)}")
    if (
        not tree.sealed
        and all(c.isdecimal() for c in found.classes)
        and found.classes != sorted(found.classes, key=int)
    ):
        shown = ", ".join(found.classes[:4])
        found.notes.append(
            f"{tree.path}: class folders are numbers, in lexical order ({shown}, ...): label 2 is not folder '2'"
        )


def _pictures(tree: Tree, files: Iterable[str], most: int | None = None) -> list[str]:
    """Those (or the first `most`) of `files` that are pictures."""
    found: list[str] = []
    for file in files:
        if len(found) == most:
            break
        if is_picture(file, partial(tree.head, file)):
            found.append(file)
    return found


def join(at: str, name: str) -> str:
    """A path below `at`, which is empty for the root."""
    return f"{at}/{name}" if at else name


def _base(file: str) -> str:
    return file.rpartition("/")[2]
