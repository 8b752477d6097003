"""`data check`: every picture decoded in full, duplicates found, classes counted; manifest and page written."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from ...runtime.replacing import write_page
from ...spec.codec import fields_to_json
from ...spec.errors import check_choice
from ...spec.text import counted
from ..dataset import Dataset, Progress
from ..parts.manifest import Manifest, carried, described, places, relative, under, write_manifest
from ..sources import open_data
from ..statistics import class_counts, imbalance, split_names
from ..table import Found, Stray, as_pictures
from ..workers import map_chunks
from .duplicates import clusters, exact_groups, near_groups
from .inspect import ADVICE, FATAL, Facts, inspect_all

KINDS = (*FATAL, *ADVICE)
IMBALANCE = 10.0  # largest class over smallest from which a note is made


@dataclass(frozen=True)
class CheckReport:
    """What was found. Groups of duplicates list identities; `crossing` ones have members in two splits (a leak)."""

    data: str
    pictures: int
    faults: dict[str, list[dict[str, str]]]  # kind -> [{"id", "detail"}]
    exact: list[list[str]]
    near: list[list[str]]
    crossing: list[list[str]]
    conflicts: list[list[str]]  # duplicates under different labels
    classes: dict[str, dict[str, int]]  # class -> split (or "all") -> pictures
    missing: dict[str, list[str]]  # split -> classes it has no picture of
    imbalance: float  # largest class over smallest, of the training part
    excluded: dict[str, str]  # identity -> why training leaves it out
    problems: list[str] = field(default_factory=list)  # for which training refuses the set as it is
    notes: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return (
            f"CheckReport({self.data}: {counted(self.pictures, 'picture')}, {self.found_in_words() or 'nothing amiss'})"
        )

    @property
    def clean(self) -> int:
        """Pictures without any fault of their own."""
        return self.pictures - len({row["id"] for rows in self.faults.values() for row in rows})

    def findings(self) -> dict[str, int]:
        """What was found and how often, in words: faults, groups of duplicates, classes that lack pictures."""
        found = {kind: len(rows) for kind, rows in self.faults.items() if rows}
        groups: dict[str, list[Any]] = {
            "groups of exact duplicates": self.exact,
            "groups of near duplicates": self.near,
            "groups across splits": self.crossing,
            "groups with conflicting labels": self.conflicts,
            "problems that training refuses": self.problems,
        }
        found |= {what: len(rows) for what, rows in groups.items() if rows}
        missing = sum(map(len, self.missing.values()))
        if missing:
            found["classes missing from a split"] = missing
        if self.imbalance >= IMBALANCE:
            found["imbalance"] = 1
        return found

    def found_in_words(self) -> str:
        """The findings for a sentence; an empty text where there is none."""
        told = []
        for what, count in self.findings().items():
            first, space, rest = what.partition(" ")
            one = {"groups": "group", "classes": "class", "problems": "problem"}.get(first, first)
            told.append(f"{count:,} {(one if count == 1 else first) + space + rest}")
        return ", ".join(told)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {"clean": self.clean, **fields_to_json(self)}


def check_data(
    path: str,
    *,
    manifest: str | None = None,
    html: str | None = None,
    exclude: Sequence[str] = (),
    workers: int | None = None,
    write: bool = True,
    progress: Progress | None = None,
) -> tuple[CheckReport, str | None]:
    """Check DATA, write its manifest (keeping the splits of one that is there) and, if asked, the HTML page.

    Returns the report and the manifest's path (None with `write=False`).
    """
    for kind in exclude:
        check_choice("--exclude", kind, ("duplicates", "conflicts", *ADVICE))
    path, target, before = places(path, manifest)
    dataset = open_data(path, on_bad_file="skip", manifest=False, strict=False)
    if before is not None and before.split:
        dataset = under(dataset, replace(before, excluded={}), target)  # duplicates may cross its splits
    now = time.time_ns()
    report, found = check(dataset, workers=workers, exclude=exclude, progress=progress)
    if write:
        found = replace(found, settings={"hashed_at": now})
        if before is not None:
            found = replace(found, split=carried(before, found), settings=before.settings | found.settings)
        write_manifest(target, replace(found, data=relative(path, target)))
    if html is not None:
        from .check_page import render_check

        write_page(html, render_check(report, dataset))
    return report, target if write else None


def check(
    dataset: Dataset,
    *,
    workers: int | None = None,
    exclude: Sequence[str] = (),
    progress: Progress | None = None,
) -> tuple[CheckReport, Manifest]:
    """Look at every picture of `dataset` (opened with `on_bad_file="skip"`, `manifest=False`).

    Returns the report and the manifest that training obeys: it leaves out what cannot be read and, of the further
    kinds in `exclude` (`duplicates`, `conflicts`, or any fault), those too. `workers` None: one per core.
    """
    facts = _inspect_all(dataset, os.cpu_count() or 1 if workers is None else workers, progress)
    faults: dict[str, list[dict[str, str]]] = {kind: [] for kind in KINDS}
    pictures = as_pictures(dataset)
    beside = pictures.table.found or Found()
    strays = beside.strays
    faults["undecodable"] += [{"id": stray.name, "detail": "not an image"} for stray in strays]
    for fact in facts:
        for kind, detail in fact.faults:
            faults[kind].append({"id": dataset.ids[fact.index], "detail": detail})
    for kind, found in (("tiny", _tiny(facts)), ("odd-size", _odd_sizes(facts))):
        faults[kind] = [{"id": dataset.ids[f.index], "detail": f"{f.width}x{f.height}"} for f in found]
    hashes = [fact.sha256 for fact in facts]
    fatal = {fact.index for fact in facts for kind, _ in fact.faults if kind in FATAL}
    exact = exact_groups(["" if i in fatal else one for i, one in enumerate(hashes)])  # two empty files are no picture
    near = near_groups([fact.look for fact in facts], hashes)
    alike = clusters([*exact, *near])
    split = split_names(dataset)
    labels = dataset.labels
    conflicts = [group for group in alike if len({int(labels[i]) for i in group}) > 1]
    excluded = _excluded(dataset, faults, exact, conflicts, exclude)
    counts = class_counts(dataset)
    missing = {part: [c for c, row in counts.items() if not row[part]] for part in list(dataset.splits) or ["all"]}
    report = CheckReport(
        data=dataset.path or "",
        pictures=len(dataset) + len(strays),
        faults={kind: rows for kind, rows in faults.items() if rows},
        exact=_named(dataset, exact),
        near=_named(dataset, near),
        crossing=_named(dataset, [g for g in alike if len({split[i] for i in g} - {""}) > 1]),
        conflicts=_named(dataset, conflicts),
        classes=_with_strays(counts, strays),
        missing={part: names for part, names in missing.items() if names},
        imbalance=imbalance(dataset),
        excluded=excluded,
        problems=list(beside.problems),
        notes=list(pictures.notes),
    )
    return report, replace(described(dataset), sha256=tuple(hashes), excluded=excluded)


def _inspect_all(dataset: Dataset, workers: int, progress: Progress | None) -> list[Facts]:
    if len(dataset) < 256:
        workers = 0  # starting processes would take longer
    everything = np.arange(len(dataset), dtype=np.int64)
    parts = map_chunks(partial(inspect_all, as_pictures(dataset)), everything, workers, size=32, progress=progress)
    return [fact for part in parts for fact in part]


def _tiny(facts: Sequence[Facts]) -> list[Facts]:
    """Pictures far smaller than the others: under 32 pixels, or under half of the median where that is less."""
    sides = {fact.index: min(fact.width, fact.height) for fact in facts if fact.look is not None}
    limit = min(32.0, float(np.median(list(sides.values()))) / 2) if sides else 0.0
    return [fact for fact in facts if fact.look is not None and sides[fact.index] < limit]


def _odd_sizes(facts: Sequence[Facts]) -> list[Facts]:
    """Pictures four times as large or small (by the root of their area) as the median one, where that is rare: further
    from it than four times as most are. The tiny ones have a list of their own."""
    readable = [fact for fact in facts if fact.look is not None]
    if len(readable) < 3:
        return []
    octaves = 0.5 * np.log2([max(fact.width * fact.height, 1) for fact in readable])
    away = np.abs(octaves - np.median(octaves))
    tiny = {fact.index for fact in _tiny(facts)}
    limit = max(2.0, 4 * float(np.median(away)))
    return [f for f, far in zip(readable, away, strict=True) if far >= limit and f.index not in tiny]


def _named(dataset: Dataset, groups: Sequence[Sequence[int]]) -> list[list[str]]:
    return [[dataset.ids[i] for i in group] for group in groups]


def _excluded(
    dataset: Dataset,
    faults: Mapping[str, list[dict[str, str]]],
    exact: Sequence[Sequence[int]],
    conflicts: Sequence[Sequence[int]],
    exclude: Sequence[str],
) -> dict[str, str]:
    out = {
        row["id"]: f"{kind}: {row['detail']}" for kind in KINDS if kind in (*FATAL, *exclude) for row in faults[kind]
    }
    if "duplicates" in exclude:
        for group in exact:  # the first stays
            out |= {dataset.ids[i]: f"duplicate of {dataset.ids[group[0]]}" for i in group[1:]}
    if "conflicts" in exclude:
        for group in conflicts:
            out |= {dataset.ids[i]: "the same picture has different labels" for i in group}
    return out


def _with_strays(counts: dict[str, dict[str, int]], strays: Sequence[Stray]) -> dict[str, dict[str, int]]:
    """`counts` with the files that are no pictures, so that they add up to all that was found in class folders."""
    parts = list(next(iter(counts.values()), {"all": 0}))
    for stray in strays:
        row = counts.setdefault(stray.cls, dict.fromkeys(parts, 0))
        part = stray.split if stray.split in row else parts[-1]
        row[part] += 1
    return counts
