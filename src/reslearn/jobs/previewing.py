"""`data preview`: a contact sheet by the recipe and at the size that `train` would take, where they are not named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..data.care.preview import Preview, write_preview
from ..data.dataset import Dataset
from ..data.memory import Subset
from ..data.parts.splits import choose_splits
from ..data.sources import open_data
from ..runtime.notes import say_notes
from ..spec.catalogue import get_spec
from ..spec.errors import UserError
from ..spec.preprocess import check_image_size
from ..spec.recipe import Recipe
from ..spec.recipes import get_recipe
from ..spec.voice import COMMAND, Voice
from ..train.origin import starting_preprocess
from .choosing import Choice
from .resolve import BEST_KNOWN, TrainRequest, asked_recipe, check_asked, complete


@dataclass(frozen=True)
class Previewed:
    """A contact sheet, and what of it nobody named."""

    sheet: Preview
    choice: Choice

    def __repr__(self) -> str:
        sheet = self.sheet
        return f"Previewed({sheet.path}: {len(sheet.pictures)} pictures at {sheet.image_size}, recipe {sheet.recipe})"

    def to_json(self) -> dict[str, Any]:
        """The sheet's keys, and what was chosen."""
        return self.sheet.to_json() | {"chosen": self.choice.to_json()}


def preview_data(
    path: str,
    out: Path,
    *,
    recipe: str | Recipe | None = None,
    changes: Mapping[str, str] | None = None,
    size: int | None = None,
    split: str | None = None,
    seed: int = 0,
    rows: int = 8,
    columns: int = 8,
    voice: Voice = COMMAND,
) -> Previewed:
    """Write the contact sheet of DATA, the path `path`, to `out` (PNG), as `train` with these options would see it.

    `changes` are `--set` assignments. Without `split` it shows `train` where there is one. Raises `UserError` as
    `train` does for the options, and as `write_preview` does.
    """
    check_image_size(size)
    weights = BEST_KNOWN if recipe is not None and get_recipe(recipe).unfreeze else None
    request = TrainRequest(path, recipe=recipe, changes=changes or {}, image_size=size, weights=weights)
    if request.changes_to("settings"):
        raise UserError("--set settings.*: a preview computes nothing that they decide; leave them out")
    check_asked(request)
    data = open_data(path)
    say_notes(data.notes)
    request, choice = complete(request, _trained_on(data))
    choice = replace(choice, model=None, changes={}, seconds=None)  # of which a sheet shows nothing
    choice = choice if choice.recipe or choice.image_size else Choice()
    choice.tell(voice)
    asked = asked_recipe(request)
    preprocess = starting_preprocess(asked, get_spec(request.model or ""), None, request.changes_to("preprocess"))
    sheet = write_preview(data, out, asked, preprocess, split=split, seed=seed, rows=rows, columns=columns)
    return Previewed(sheet, choice)


def _trained_on(data: Dataset) -> Dataset:
    """What `train` would train on; all of data that it could not train on."""
    try:
        return Subset(data, choose_splits(data)["train"])
    except UserError:
        return data
