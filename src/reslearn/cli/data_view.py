"""What the `data` commands print for people."""

from __future__ import annotations

from typing import Any

from .output import put, put_table


def _table(columns: list[str], rows: list[list[Any]]) -> None:
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    put_table(columns, cells, pad_edge=False)


def print_check(value: dict[str, Any]) -> None:
    """The findings of `data check`."""
    put(f"{value['pictures']:,} pictures, {value['clean']:,} without a fault")
    for line in value["problems"]:
        put("", f"training refuses this: {line}")
    listed = {row["id"] for row in value["faults"].get("undecodable", ())}
    for line in value["notes"]:
        if not any(line.endswith(f"{name}: not an image, left out") for name in listed):  # these are listed below
            put("", f"note: {line}")
    for kind, rows in value["faults"].items():
        put("", f"{kind} ({len(rows):,})")
        for row in rows[:10]:
            put(f"  {row['id']}  {row['detail']}")
        if len(rows) > 10:
            put(f"  and {len(rows) - 10:,} more (--json or --html has all)")
    for name, title in (
        ("exact", "exact duplicates"),
        ("near", "near duplicates"),
        ("crossing", "duplicates across splits"),
        ("conflicts", "duplicates under different labels"),
    ):
        if value[name]:
            put("", f"{title} ({len(value[name]):,} groups)")
            for group in value[name][:5]:
                put(f"  {'  '.join(group[:6])}{' ...' if len(group) > 6 else ''}")
    put()
    parts = list(next(iter(value["classes"].values())))
    first = list(value["classes"].items())[:40]
    _table(["class", *parts], [[name, *(row[p] for p in parts)] for name, row in first])
    if len(value["classes"]) > len(first):
        put(f"and {len(value['classes']) - len(first)} more classes")
    for part, names in value["missing"].items():
        put(f"{part} has no picture of: {', '.join(names)}")
    if value["imbalance"] >= 10:
        put(f"imbalance: the largest class has {value['imbalance']:.1f} times the pictures of the smallest")
    if value["manifest"]:
        put("", f"{value['manifest']}: {len(value['excluded']):,} pictures are left out of training")


def print_stats(value: dict[str, Any]) -> None:
    """The numbers of `data stats`."""
    parts = list(next(iter(value["classes"].values())))
    _table(["class", *parts], [[name, *(row[p] for p in parts)] for name, row in value["classes"].items()])
    put("", f"width     {value['width'][0]} to {value['width'][2]}, median {value['width'][1]}")
    put(f"height    {value['height'][0]} to {value['height'][2]}, median {value['height'][1]}")
    for name in ("mean", "std"):
        put(f"{name:9} {', '.join(f'{v:.4f}' for v in value[name])}  (RGB in 0..1, {value['measured']:,} pictures)")
    put(f"imbalance {value['imbalance']:.2f}")


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.2f} %"


def print_split(value: dict[str, Any]) -> None:
    """The splits that were made, and how near to what was asked."""
    rows = [
        [
            name,
            part["pictures"],
            *(f"{100 * part[k]:.2f} %" if part[k] is not None else "-" for k in ("fraction", "wanted")),
        ]
        for name, part in value["splits"].items()
    ]
    _table(["split", "pictures", "achieved", "wanted"], rows)
    if value["known"]:
        put(f"{value['known']:,} pictures kept the split they had")
    put(f"{value['manifest']}: pictures are known by {value['identity']}")
