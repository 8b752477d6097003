"""What the `data` commands print for people."""

from __future__ import annotations

from typing import Any


def _table(columns: list[str], rows: list[list[Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
    Console().print(table)


def print_check(value: dict[str, Any]) -> None:
    """The findings of `data check`."""
    print(f"{value['pictures']:,} pictures, {value['clean']:,} without a fault")
    for line in value["problems"]:
        print(f"\ntraining refuses this: {line}")
    listed = {row["id"] for row in value["faults"].get("undecodable", ())}
    for line in value["notes"]:
        if not any(line.endswith(f"{name}: not an image, left out") for name in listed):  # these are listed below
            print(f"\nnote: {line}")
    for kind, rows in value["faults"].items():
        print(f"\n{kind} ({len(rows):,})")
        for row in rows[:10]:
            print(f"  {row['id']}  {row['detail']}")
        if len(rows) > 10:
            print(f"  and {len(rows) - 10:,} more (--json or --html has all)")
    for name, title in (
        ("exact", "exact duplicates"),
        ("near", "near duplicates"),
        ("crossing", "duplicates across splits"),
        ("conflicts", "duplicates under different labels"),
    ):
        if value[name]:
            print(f"\n{title} ({len(value[name]):,} groups)")
            for group in value[name][:5]:
                print(f"  {'  '.join(group[:6])}{' ...' if len(group) > 6 else ''}")
    print()
    parts = list(next(iter(value["classes"].values())))
    shown = list(value["classes"].items())[:40]
    _table(["class", *parts], [[name, *(row[p] for p in parts)] for name, row in shown])
    if len(value["classes"]) > len(shown):
        print(f"and {len(value['classes']) - len(shown)} more classes")
    for part, names in value["missing"].items():
        print(f"{part} has no picture of: {', '.join(names)}")
    if value["imbalance"] >= 10:
        print(f"imbalance: the largest class has {value['imbalance']:.1f} times the pictures of the smallest")
    if value["manifest"]:
        print(f"\n{value['manifest']}: {len(value['excluded']):,} pictures are left out of training")


def print_stats(value: dict[str, Any]) -> None:
    """The numbers of `data stats`."""
    parts = list(next(iter(value["classes"].values())))
    _table(["class", *parts], [[name, *(row[p] for p in parts)] for name, row in value["classes"].items()])
    print(f"\nwidth     {value['width'][0]} to {value['width'][2]}, median {value['width'][1]}")
    print(f"height    {value['height'][0]} to {value['height'][2]}, median {value['height'][1]}")
    for name in ("mean", "std"):
        print(f"{name:9} {', '.join(f'{v:.4f}' for v in value[name])}  (RGB in 0..1, {value['measured']:,} pictures)")
    print(f"imbalance {value['imbalance']:.2f}")


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
        print(f"{value['known']:,} pictures kept the split they had")
    print(f"{value['manifest']}: pictures are known by {value['identity']}")
