"""A contact sheet of what the network will see: each row one picture, each column one epoch's augmentation of it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from ...runtime.files import write_atomic
from ...runtime.notes import say
from ...runtime.replacing import FIGURE, replaceable
from ...spec.codec import fields_to_json
from ...spec.errors import UserError
from ...spec.preprocess import Preprocess
from ...spec.recipe import Augment, Recipe
from ..dataset import Dataset, Image
from ..formats.folders import refuse_among_pictures, refuse_in_a_class
from ..loaders import train_loader
from ..memory import Subset, part
from ..preprocess import Normalise, apply
from ..table import Pictures

GAP, GROUND = 4, 255
LARGEST = 10**8  # pixels of a sheet


@dataclass(frozen=True)
class Row:
    """A picture of a sheet, and its class."""

    id: str
    cls: str

    def to_json(self) -> dict[str, str]:
        """Its name and its class."""
        return {"id": self.id, "class": self.cls}


@dataclass(frozen=True)
class Preview:
    """What a contact sheet shows, from its top."""

    path: str
    recipe: str
    image_size: int
    split: str | None
    pictures: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """The contract's keys."""
        return fields_to_json(self)


def write_preview(
    dataset: Pictures,
    out: Path,
    recipe: Recipe,
    preprocess: Preprocess,
    *,
    split: str | None = None,
    seed: int = 0,
    rows: int = 8,
    columns: int = 8,
) -> Preview:
    """Write the contact sheet of `dataset`, by this recipe, to `out` (PNG), and return what it shows.

    Without `split` it shows `train` where there is one. Raises `UserError` where the sheet would be taken for a picture
    of the data, and where `out` is a file of another kind.
    """
    refuse_among_pictures(out.parent, dataset.root.path or "", "--out")
    refuse_in_a_class(out.parent, "--out")
    if split is None and "train" in dataset.splits:
        split = "train"
    shown = dataset if split is None else part(dataset, split)
    sheet = contact_sheet(shown, preprocess, recipe.augment, seed=seed, rows=rows, columns=columns)
    if out.exists():
        say(f"replaces {out}")
    write_atomic(replaceable(out, FIGURE, "--out"), sheet)
    rows_of = shown_rows(shown, recipe.augment, rows)
    pictures = tuple(Row(shown.ids[i], shown.classes[int(shown.labels[i])]) for i in rows_of)
    return Preview(str(out), recipe.name, preprocess.size, split, pictures)


def shown_rows(dataset: Dataset, augment: Augment, rows: int) -> list[int]:
    """Which pictures a sheet shows, from its top: evenly over the classes."""
    rows += rows % 2 if augment.mixup or augment.cutmix else 0  # mixing pairs neighbours
    return _spread(dataset, rows)


def contact_sheet(
    dataset: Dataset, preprocess: Preprocess, augment: Augment, *, seed: int = 0, rows: int = 8, columns: int = 8
) -> bytes:
    """PNG bytes: the first column is the evaluation view, the others the batches of the first epochs, normalised and
    turned back into pixels. Pictures are drawn evenly over the classes. Small ones are enlarged, pixel by pixel."""
    if rows < 1 or columns < 2:
        raise UserError(f"a contact sheet needs a row and two columns; {rows} x {columns} were asked for")
    chosen = Subset(dataset, shown_rows(dataset, augment, rows))
    rows = len(chosen)
    if rows * columns * (preprocess.size * _zoom(preprocess.size)) ** 2 > LARGEST:
        raise UserError(f"a contact sheet of {rows} x {columns} pictures is too large; give fewer --rows or --columns")
    cells = np.full((rows, columns, preprocess.size, preprocess.size, 3), GROUND, np.uint8)
    for row in range(rows):
        cells[row, 0] = apply(chosen.read(row)[0], preprocess)
    normalise = Normalise(preprocess)
    loader = train_loader(chosen, normalise=normalise, augment=augment, batch_size=rows, seed=seed, kind="streaming")
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (preprocess.mean, preprocess.std))
    for column, batch in enumerate(loader.batches(0, columns - 1), 1):
        pixels = ((batch.images * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
        for picture, sample in zip(pixels.permute(0, 2, 3, 1).numpy(), batch.samples, strict=True):
            cells[int(sample), column] = picture
    return _sheet(cells)


def _spread(dataset: Dataset, count: int) -> list[int]:
    """Indices that go round the classes, the first picture of each, then the second, ..."""
    labels = dataset.labels
    turn = np.zeros(len(labels), np.int64)
    for c in np.unique(labels):
        members = np.flatnonzero(labels == c)
        turn[members] = np.arange(len(members))
    return [int(i) for i in np.lexsort((labels, turn))[:count]]


def _zoom(size: int) -> int:
    return max(96 // size, 1)


def _sheet(cells: Image) -> bytes:
    rows, columns, size = cells.shape[:3]
    zoom = _zoom(size)
    cells = cells.repeat(zoom, 2).repeat(zoom, 3)
    side = size * zoom + GAP
    cells = np.pad(cells, ((0, 0), (0, 0), (GAP, 0), (GAP, 0), (0, 0)), constant_values=GROUND)
    sheet = cells.swapaxes(1, 2).reshape(rows * side, columns * side, 3)
    sheet = np.pad(sheet, ((0, GAP), (0, GAP), (0, 0)), constant_values=GROUND)
    out = io.BytesIO()
    made_by = PngInfo()
    made_by.add_text("Software", "reslearn")  # so that it may be replaced by another
    Pillow.fromarray(sheet).save(out, "PNG", pnginfo=made_by)
    return out.getvalue()
