"""`data split`: a manifest that says which split each picture belongs to, kept when the data grows."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...spec.codec import fields_to_json
from ...spec.errors import UserError, some
from ..dataset import Dataset, Indices, Progress
from ..memory import Subset
from ..parts.keyed import located
from ..parts.keys import content_hash
from ..parts.manifest import (
    Manifest,
    carried,
    described,
    hashed_at,
    manifest_path,
    own_manifest,
    places,
    relative,
    write_manifest,
)
from ..parts.splits import assign, check_count, check_folds, check_parts
from ..sources import open_data
from ..statistics import split_names
from ..table import Pictures, as_pictures
from ..workers import map_chunks

DEFAULT_NAMES = {1: ("train",), 2: ("train", "val"), 3: ("train", "val", "test")}


@dataclass(frozen=True)
class Achieved:
    """One split as it came out. `fraction` of the pictures that were divided; None for one that was declared."""

    pictures: int
    fraction: float | None
    wanted: float | None
    classes: dict[str, int]


@dataclass(frozen=True)
class SplitResult:
    """What `split_data` did; `known` samples kept the split they had."""

    manifest: str
    splits: dict[str, Achieved]
    identity: str
    known: int
    groups: int | None
    notes: tuple[str, ...] = ()  # of the source

    def __repr__(self) -> str:
        parts = ", ".join(f"{name} {part.pictures:,}" for name, part in self.splits.items())
        return f"SplitResult({self.manifest}: {parts})"

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return fields_to_json(self)


def split_data(
    path: str,
    *,
    ratio: str | None = None,
    folds: int | None = None,
    seed: int = 0,
    group_regex: str | None = None,
    manifest: str | None = None,
    hashing: bool = True,
    workers: int = 0,
    progress: Progress | None = None,
) -> SplitResult:
    """Write a manifest that splits DATA by `ratio` (`6:2:2`, train:val:test) or into `folds`.

    A manifest that is there is extended: known samples keep their split, new ones go where their class is short. What
    the data's own manifest leaves out is left out of one that is written elsewhere, too. A
    declared `test` stays as it is and the ratio, then of two numbers, divides the rest. `group_regex`'s first group,
    found in the identity, names the group that must not be torn apart. Raises `UserError` for anything contradictory.
    """
    path, target, before = places(path, manifest)
    own = own_manifest(path, target)
    found = ((own, manifest_path(path)), (before, target))
    earlier = [(manifest, hashed_at(manifest, where)) for manifest, where in found if manifest is not None]
    excluded = {name: why for manifest, _ in earlier for name, why in manifest.excluded.items()}
    now = time.time_ns()
    dataset = open_data(path, manifest=False, on_bad_file="skip" if earlier else "stop")
    fractions = _fractions(ratio, folds, dataset)
    hashes = _hashes(dataset, earlier, workers, progress) if hashing else []
    groups = named_groups(dataset, group_regex)
    base = replace(
        described(dataset),
        data=relative(path, target),
        sha256=tuple(hashes),
        groups=tuple(groups or ()),
        excluded=excluded,
        settings={"ratio": ratio, "folds": folds, "seed": seed, "identity": "content" if hashes else "path"}
        | ({"hashed_at": now} if hashes else {}),
    )
    known = _known(before, base, list(fractions), dataset)
    where = np.full(len(dataset), -1, np.int64)
    left_out = np.array([name in base.excluded for name in dataset.ids], dtype=bool)
    stays = np.array([name == "test" and name not in fractions for name in known], dtype=bool)
    free = np.flatnonzero(~left_out & ~stays)
    fixed = np.array([list(fractions).index(n) if n in fractions else -1 for n in known], dtype=np.int64)
    chosen = Subset(dataset, free)
    if folds is not None:
        check_folds(chosen, folds)
    where[free] = assign(
        chosen,
        fractions,
        seed=seed,
        known=fixed[free],
        groups=[groups[int(i)] for i in free] if groups is not None else None,
        hashes=[hashes[int(i)] for i in free] if hashes else None,
    )
    if folds is not None:
        check_parts(chosen, where[free], list(fractions))
    names = np.array([*fractions, "test"])[where]  # -1 is a declared test
    names[left_out] = ""
    write_manifest(target, replace(base, split=tuple(str(n) for n in names)))
    return SplitResult(
        manifest=target,
        splits=_achieved(dataset, names, fractions),
        identity="content" if hashes else "path",
        known=int((fixed[free] >= 0).sum()),
        groups=len(set(groups)) if groups is not None else None,
        notes=dataset.notes,
    )


def _fractions(ratio: str | None, folds: int | None, dataset: Dataset) -> dict[str, float]:
    if (ratio is None) == (folds is None):
        raise UserError("give --ratio (such as 6:2:2) or --folds K, one of them")
    if folds is not None:
        check_count(folds, len(dataset))
        return {f"fold{k}": 1 / folds for k in range(folds)}
    try:
        parts = [float(text) for text in str(ratio).split(":")]
    except ValueError:
        parts = []
    shares = [part / sum(parts) for part in parts] if sum(parts) else []
    if not 2 <= len(shares) <= 3 or not all(0 < share < 1 for share in shares):
        raise UserError(f"--ratio is '{ratio}'; it must be two or three positive numbers, such as 9:1 or 7:1.5:1.5")
    if len(parts) == 3 and "test" in dataset.splits:
        raise UserError(f"{dataset.path}: it declares its test split; give --ratio train:val, such as 9:1")
    return dict(zip(DEFAULT_NAMES[len(parts)], shares, strict=True))


def _hashes(
    dataset: Dataset, earlier: Sequence[tuple[Manifest, int]], workers: int, progress: Progress | None
) -> list[str]:
    """Content hashes: those that a pack or an earlier manifest holds for unchanged files, the others computed."""
    pictures = as_pictures(dataset)
    known = pictures.table.hashes
    if known is not None and all(known):
        return list(known)
    changed = located(pictures)[1][:, 1:3].max(axis=1, initial=-1)
    hashes = [""] * len(dataset)
    for manifest, when in earlier:
        rows = zip(manifest.ids, manifest.sizes, manifest.sha256, strict=True) if manifest.sha256 else ()
        old = {(name, size): digest for name, size, digest in rows if size >= 0 and digest}
        for i, what in enumerate(zip(dataset.ids, pictures.sizes.tolist(), strict=True)):
            if changed[i] <= when:
                hashes[i] = old.get(what, hashes[i])
    left_out = {name for manifest, _ in earlier for name in manifest.excluded}  # maybe not even its bytes can be read
    todo = np.array(
        [i for i, (name, h) in enumerate(zip(dataset.ids, hashes, strict=True)) if not h and name not in left_out],
        dtype=np.int64,
    )
    parts = map_chunks(partial(_hashed, pictures), todo, workers, progress=progress)
    for i, digest in zip(todo, (digest for part in parts for digest in part), strict=True):
        hashes[int(i)] = digest
    return hashes


def _hashed(pictures: Pictures, chunk: Indices) -> list[str]:
    raws = ((int(i), pictures.raw(int(i))) for i in chunk)
    return [content_hash(pictures.read(i)[0] if raw is None else raw) for i, raw in raws]


def named_groups(dataset: Dataset, regex: str | None, option: str = "--group-regex") -> list[str] | None:
    """One group name per picture: what `regex`'s first group finds in its name, else what the data declares.

    Raises `UserError`, which calls the pattern as the command's `option` does, where it cannot name every group.
    """
    if regex is None:
        declared = as_pictures(dataset).table.groups
        return list(declared) if declared is not None else None
    try:
        pattern = re.compile(regex)
    except re.error as error:
        raise UserError(f"{option} '{regex}': {error}") from None
    if pattern.groups < 1:
        raise UserError(f"{option} '{regex}': put parentheses around the part that names the group")
    found = []
    for name in dataset.ids:
        match = pattern.search(name)
        if match is None:
            raise UserError(f"{option} '{regex}' does not match {name}; every picture needs a group")
        found.append(match.group(1) or "")
    return found


def _known(before: Manifest | None, now: Manifest, names: Sequence[str], dataset: Dataset) -> list[str]:
    """The split that each sample has already: by the earlier manifest (by content where both know it), or declared."""
    declared = [name if name == "test" else "" for name in split_names(dataset)]
    if before is None or not before.split:
        return declared
    there = set(before.split) - {""}  # what is left out has none
    if there - set(names) - {"test"}:
        raise UserError(
            f"the manifest that is there has splits {some(sorted(there))}, not {some(names)}; "
            "remove it, or write another with -o"
        )
    return [d or c for d, c in zip(declared, carried(before, now), strict=True)]


def _achieved(dataset: Dataset, names: NDArray[np.str_], fractions: dict[str, float]) -> dict[str, Achieved]:
    out = {}
    divided = int(np.isin(names, list(fractions)).sum())
    for name in dict.fromkeys([*fractions, *sorted(set(names.tolist()) - {""})]):
        here = names == name
        counts = np.bincount(dataset.labels[here], minlength=len(dataset.classes))
        out[name] = Achieved(
            pictures=int(here.sum()),
            fraction=round(float(here.sum()) / max(divided, 1), 6) if name in fractions else None,
            wanted=round(fractions[name], 6) if name in fractions else None,
            classes={c: int(n) for c, n in zip(dataset.classes, counts, strict=True)},
        )
    return out
