"""What the `data` commands print for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..spec.text import counted
from .output import put, put_table

if TYPE_CHECKING:
    from ..data.care.check import CheckReport
    from ..data.care.packing import Packed
    from ..data.care.preview import Preview
    from ..data.care.splitting import SplitResult
    from ..data.statistics import Statistics


def print_check(found: CheckReport, manifest: str | None) -> None:
    """The findings of `data check`, and where its manifest is."""
    put(f"{counted(found.pictures, 'picture')}, {found.clean:,} without a fault")
    if findings := found.found_in_words():
        put(f"found     {findings}")
    for line in found.problems:
        put("", f"training refuses this: {line}")
    listed = {row["id"] for row in found.faults.get("undecodable", ())}
    for line in found.notes:
        if not any(line.endswith(f"{name}: not an image, left out") for name in listed):  # these are listed below
            put("", f"note: {line}")
    for kind, rows in found.faults.items():
        put("", f"{kind} ({len(rows):,})")
        for row in rows[:10]:
            put(f"  {row['id']}  {row['detail']}")
        if len(rows) > 10:
            put(f"  and {len(rows) - 10:,} more (--json or --html has all)")
    for title, groups in (
        ("exact duplicates", found.exact),
        ("near duplicates", found.near),
        ("duplicates across splits", found.crossing),
        ("duplicates under different labels", found.conflicts),
    ):
        if groups:
            put("", f"{title} ({counted(len(groups), 'group')})")
            for group in groups[:5]:
                put(f"  {'  '.join(group[:6])}{' ...' if len(group) > 6 else ''}")
    put()
    _put_classes(found.classes, most=40)
    for part, names in found.missing.items():
        put(f"{part} has no picture of: {', '.join(names)}")
    if found.imbalance >= 10:
        put(f"imbalance: the largest class has {found.imbalance:.1f} times the pictures of the smallest")
    if manifest:
        put("", f"{manifest}: {counted(len(found.excluded), 'picture')} left out of training")


def print_preview(made: Preview) -> None:
    """What the rows of a contact sheet are."""
    put(
        f"{made.path}: one picture per row; first the evaluation view, then training's "
        f"(recipe {made.recipe}, {made.image_size} pixels)"
    )
    for number, row in enumerate(made.pictures, 1):
        put(f"row {number:<3} {row.cls}  {row.id}")


def print_stats(found: Statistics) -> None:
    """The numbers of `data stats`."""
    _put_classes(found.classes, most=len(found.classes))
    put()
    for name, (least, median, most) in (("width", found.width), ("height", found.height)):
        put(f"{name:9} {least} to {most}, median {median}")
    for name, values in (("mean", found.mean), ("std", found.std)):
        put(f"{name:9} {', '.join(f'{v:.4f}' for v in values)}  (RGB in 0..1, {counted(found.measured, 'picture')})")
    put(f"imbalance {found.imbalance:.2f}")


def print_split(result: SplitResult) -> None:
    """The splits that were made, and how near to what was asked."""
    rows = [
        [name, f"{part.pictures:,}", *("-" if x is None else f"{100 * x:.2f} %" for x in (part.fraction, part.wanted))]
        for name, part in result.splits.items()
    ]
    put_table(["split", "pictures", "achieved", "wanted"], rows, pad_edge=False)
    if result.known:
        put(f"{counted(result.known, 'picture')} kept the split they had")
    put(f"{result.manifest}: pictures are known by {result.identity}")


def print_pack(done: Packed) -> None:
    """What `data pack` wrote."""
    pictures, size = counted(done.pictures, "picture"), f"{done.bytes / 1e6:,.1f} MB"
    if done.shards is None:
        put(f"{done.path}: {pictures}, {size}, {done.encoding}")
    else:
        put(f"{done.path}: {pictures} in {counted(len(done.shards), 'shard')}, {size}")


def _put_classes(classes: dict[str, dict[str, int]], *, most: int) -> None:
    """Pictures by class and split, of the first `most` classes."""
    parts = list(next(iter(classes.values())))
    rows = [[name, *(f"{row[part]:,}" for part in parts)] for name, row in list(classes.items())[:most]]
    put_table(["class", *parts], rows, pad_edge=False)
    if len(classes) > most:
        put(f"and {len(classes) - most} more classes")
