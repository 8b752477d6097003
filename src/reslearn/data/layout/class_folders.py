"""Which folders of a tree are splits and classes: `[train|val|test/]class/.../picture`, on a disk or in a tar."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ...spec.errors import UserError, some
from ...spec.names import spellings
from ..table import Stray
from .listing import is_run, split_of
from .tree import LAYOUT, Branch, Listing, Tree, base_name, join, pictures
from .tree_remarks import account, bare_splits, hollow, lonely, looks_like_split

_ORDER = ("train", "val", "test")


def read_tree(tree: Tree) -> Listing:
    """List a tree. Classes are in lexical order of their names; a name spelled in two ways is one class.

    Raises `UserError` where no class folder holds a picture, and for two folders that mean one split.
    """
    if any(is_run(base_name(file), partial(tree.head, file)) for file in tree.loose("")):
        raise UserError(f"{tree.path}: the folder of a run, not pictures; {LAYOUT}")
    at, found = _top(tree), Listing()
    parts = _splits(tree, at)
    places = parts or {"": at}
    inside = {
        (split, name): Branch(tree, join(place, name))
        for split, place in places.items()
        for name in tree.folders(place)
    }
    ours = [key for key, branch in inside.items() if branch.ours]  # what this package wrote into the data's folder
    if ours:
        found.notes.append(f"{tree.path}: written by reslearn, so no class: {some([name for _, name in ours])}")
        inside = {key: branch for key, branch in inside.items() if not branch.ours}
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
    if at:
        found.notes.append(f"{tree.path}: the set is the folder {at} in it")
    account(tree, at, parts, found)
    return found


def _top(tree: Tree) -> str:
    """Where the classes or splits begin: an archive may hold all in a folder of its own."""
    at = ""
    while tree.sealed:
        tops = [name for name in tree.folders(at) if pictures(tree, tree.files(join(at, name)), 1)]
        inner = join(at, tops[0]) if len(tops) == 1 else ""
        folders = tree.folders(inner) if inner and not split_of(tops[0]) else []
        if not folders or (pictures(tree, tree.loose(inner), 1) and not any(map(split_of, folders))):
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
            f"{hollow(tree, empty)}, so {'it is no class' if len(empty) == 1 else 'they are no classes'}"
        )
        classes = [cls for cls in classes if there[cls]]
    elif empty:
        remedy = "add some or remove the folder" if len(empty) == 1 else "add some or remove the folders"
        found.problems.append(f"{hollow(tree, empty)}; {remedy}")
    if len(classes) > 1 and all(map(looks_like_split, classes)):
        found.problems.insert(0, bare_splits(tree, parts, classes))
    elif len(classes) == 1:
        found.problems.insert(0, lonely(tree, parts, classes[0]))
    return classes
