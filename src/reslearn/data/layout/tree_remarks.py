"""What is said of a tree of class folders: what is not read, and what it may have been meant to be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...spec.errors import UserError, some
from ...spec.text import counted
from .listing import split_of
from .tree import LAYOUT, Listing, NoPictures, Tree, join, pictures


def lonely(tree: Tree, parts: Mapping[str, str], cls: str) -> str:
    """Why a set of one class is none, and what may have been meant."""
    line = f"{tree.path}: only one class ('{cls}'); a classifier needs at least two class folders"
    if parts:
        return f"{line}, and only {', '.join(parts.values())} are read, as splits"
    if tables := tables_in(tree, cls):
        return f"{line}, or give {tree.path}/{tables[0]}"
    inner = [name for name in tree.folders(cls) if pictures(tree, tree.files(join(cls, name)), 1)]
    if len(inner) < 2:
        return line
    remedy = f"pack what is in {cls}" if tree.sealed else f"give {tree.path}/{cls}"
    return f"{line}; if {some(inner)} are the classes, {remedy}"


def tables_in(tree: Tree, at: str) -> list[str]:
    """The tables in a folder of a disk: they may be what its pictures' labels are in."""
    return [] if tree.sealed else [file for file in tree.loose(at) if file.lower().endswith((".csv", ".tsv"))]


def looks_like_split(name: str) -> bool:
    """Whether a folder is called as a split, with a number or year behind it, too: `train2017`, `test_1`."""
    return split_of(re.sub(r"[-_ ]?\d+$", "", name)) is not None


def bare_splits(tree: Tree, parts: Mapping[str, str], classes: Sequence[str]) -> str:
    """Why a set whose only classes are called as splits is none."""
    place = f"{parts[next(iter(parts))]}/" if parts else ""
    inner = tree.folders(f"{place}{classes[-1]}")
    if inner and parts:
        remedy = f"give {tree.path}/{place.rstrip('/')}"
    elif inner:
        remedy = "call them train, val and test"
    else:
        remedy = f"put the pictures of each class into a folder of its own: {place}{classes[-1]}/CLASS"
    return f"{tree.path}: the only classes are {some(classes)}, which are called as splits; {remedy}"


def hollow(tree: Tree, empty: Sequence[str]) -> str:
    if len(empty) == 1:
        return f"{tree.path}: the class folder '{empty[0]}' holds no pictures"
    names = some([f"'{cls}'" for cls in empty], 8)
    return f"{tree.path}: {len(empty)} class folders hold no pictures: {names}"


def account(tree: Tree, at: str, parts: Mapping[str, str], found: Listing) -> None:
    """Refuse a set without pictures; say what is not read, by name or number."""
    places = list(parts.values()) or [at]
    loose = [file for place in dict.fromkeys([at, *places]) for file in pictures(tree, tree.loose(place))]
    if not found.names:
        if found.strays:
            raise UserError(f"{tree.path}/{found.strays[0].name}: not an image, and {tree.path} holds none")
        beside = f", only {len(loose)} outside class folders" if loose else ""
        remedy = f", or give {tree.path}/{tables[0]}" if loose and (tables := tables_in(tree, at)) else ""
        raise NoPictures(f"{tree.path}: no pictures found in class folders{beside}; {LAYOUT}{remedy}")
    if loose:
        found.notes.append(f"{tree.path}: {counted(len(loose), 'picture')} in no class folder, not read: {some(loose)}")
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
    _same_inside(tree, parts or {"": at}, found)


def _same_inside(tree: Tree, places: Mapping[str, str], found: Listing) -> None:
    """Classes whose pictures all lie in folders of the same names may be splits with a name that is not known."""
    inside: dict[int, set[str]] = {}
    for split, place in places.items():
        for i in found.splits.get(split, range(len(found.names))):
            inner = found.names[i][len(join(place, "x")) - 1 :].split("/")[1:-1]
            inside.setdefault(found.labels[i], set()).add(inner[0] if inner else "")
    names = max(inside.values(), key=len)
    if len(inside) > 1 and len(names) > 1 and all(other <= names - {""} for other in inside.values()):
        classes, inner_names = some(found.classes), some(sorted(names - {""}))
        if not all(map(split_of, names - {""})) and "" not in places:
            return  # known splits have classes in them
        if all(map(split_of, names - {""})):
            line = (
                f"hold folders {inner_names}, which are no splits there, so all are learned from; if they are meant as "
            )
            line += f"splits, put the classes into them: {min(names - {''})}/{found.classes[0]}"
        else:
            line = f"hold the same folders, {inner_names}; if these are the classes, "
            line += "name the others train, val and test, or give one of them"
        found.notes.append(f"{tree.path}: the classes {classes} {line}")
