"""The check's findings as one HTML page that needs nothing else, with thumbnails of what it talks about."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2

from ...report import figures
from ...report.words import templates
from ...spec.errors import UserError
from ...spec.text import counted
from ..dataset import Dataset
from .check import IMBALANCE, KINDS, CheckReport

SHOWN = 48  # thumbnails per kind, groups per section
TITLES = {
    "empty": ("Empty files", "0 bytes. Left out of training."),
    "truncated": ("Truncated", "The file ends too early. Left out of training."),
    "undecodable": ("Not readable", "No image, or too damaged to decode. Left out of training."),
    "altered": ("Altered in the pack", "Other bytes than were packed. Left out of training; pack the data again."),
    "bomb": ("Decompression bombs", "More pixels than any real picture, found in the header. Left out of training."),
    "repaired": ("Repaired by the decoder", "Damaged JPEG data that decodes with a warning; look at the picture."),
    "wrong-extension": ("Wrong extension", "Read by content, so nothing is wrong for training."),
    "cmyk": ("CMYK", "Converted to RGB; colours may differ from a colour-managed viewer."),
    "16-bit": ("More than 8 bits per channel", "Scaled to 8 bits."),
    "alpha": ("Transparency", "Dropped: what is behind transparent places shows."),
    "animated": ("Animated", "Only the first frame is used."),
    "exif-rotated": ("Rotated by EXIF", "Turned upright when read; programs that ignore the tag see them lying."),
    "tiny": ("Tiny", "Far smaller than the other pictures."),
    "odd-size": ("Far from the usual size", "Resized, they are sharper or blurred in a way that the others are not."),
    "extreme-aspect": ("Extreme aspect ratio", "A centre crop shows a small part of them."),
}
GROUPS = (
    ("conflicts", "Label conflicts", "The same picture under different labels; at least one of them is wrong."),
    ("crossing", "Duplicates across splits", "Pictures that are in two splits: the score on the second is too good."),
    ("exact", "Exact duplicates", "Byte for byte the same file."),
    ("near", "Near duplicates", "The same picture resized or compressed anew, by a perceptual hash."),
)


def render_check(report: CheckReport, dataset: Dataset) -> str:
    """The page; thumbnails are read from `dataset`, the one that was checked."""
    place = {name: i for i, name in enumerate(dataset.ids)}
    style = (Path(figures.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")

    def entry(name: str, detail: str) -> dict[str, str]:
        return {"id": name, "detail": detail, "thumb": _thumbnail(dataset, place[name]) if name in place else ""}

    def label(name: str) -> str:
        return dataset.classes[int(dataset.labels[place[name]])]

    faults = [
        _section(kind, TITLES[kind], report.faults[kind], lambda row: entry(row["id"], row["detail"]))
        for kind in KINDS
        if kind in report.faults
    ]
    groups = [
        _section(kind, titles, rows, lambda group: [entry(name, label(name)) for name in group[:SHOWN]])
        for kind, *titles in GROUPS
        if (rows := getattr(report, kind))
    ]
    parts = list(next(iter(report.classes.values()))) if report.classes else []
    return (
        templates(Path(__file__).parent)
        .get_template("check.html.jinja")
        .render(
            report=report,
            css=style,
            verdict=verdict(report),
            facts=_facts(report),
            faults=faults,
            groups=groups,
            parts=parts,
            largest={part: max((row[part] for row in report.classes.values()), default=0) for part in parts},
        )
    )


def verdict(report: CheckReport) -> str:
    """One sentence for people, which counts all that was found."""
    out, found = len(report.excluded), report.found_in_words()
    first = (
        f"{out:,} of {counted(report.pictures, 'picture')} {'is' if out == 1 else 'are'} left out of training"
        if out
        else (f"All {report.pictures:,} pictures decode")
    )
    if not found:
        return f"{first}, and nothing was found."
    return f"{first}. Found: {found}."


def _facts(report: CheckReport) -> list[tuple[str, str, str]]:
    missing, same = sum(len(names) for names in report.missing.values()), len(report.exact) + len(report.near)
    return [
        ("pictures", f"{report.pictures:,}", f"{report.clean:,} without a fault"),
        ("left out", f"{len(report.excluded):,}", "by the manifest"),
        ("duplicates", f"{same:,}", f"{_groups(same)}; {len(report.crossing)} across splits"),
        ("label conflicts", f"{len(report.conflicts):,}", _groups(len(report.conflicts))),
        (
            "imbalance",
            f"{report.imbalance:.1f}",
            "largest class over smallest" + (", high" if report.imbalance >= IMBALANCE else ""),
        ),
        ("missing", f"{missing}", "classes without pictures in a split"),
    ]


def _groups(number: int) -> str:
    return "group" if number == 1 else "groups"


def _section(kind: str, titles: Sequence[str], rows: Sequence[Any], shown: Callable[[Any], Any]) -> dict[str, Any]:
    entries = [shown(row) for row in rows[:SHOWN]]
    return {"kind": kind, "title": titles[0], "lead": titles[1], "count": len(rows), "entries": entries}


def _thumbnail(dataset: Dataset, i: int) -> str:
    """A picture at most 128 pixels wide and high, JPEG in base64; empty if it cannot be read."""
    try:
        image, _ = dataset.read(i)
    except UserError:
        return ""
    factor = min(128 / max(image.shape[:2]), 1.0)
    size = (max(round(image.shape[1] * factor), 1), max(round(image.shape[0] * factor), 1))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return base64.b64encode(data.tobytes()).decode()
