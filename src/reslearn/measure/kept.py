"""Which kept scores belong to a model and a set of pictures: those of the same content, and no others."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from ..data.contents import Contents
from ..data.dataset import Dataset
from ..engine.models import Model
from ..engine.scorer import Logits
from ..runtime.notes import note
from ..spec.choices import Engine, Width
from ..spec.errors import UserError
from ..spec.preprocess import Preprocess
from .cache import CacheKey, add_to_cache, read_cache
from .protocols import View


class Kept:
    """The kept scores of one model on one set of pictures, as both are when this is made."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        loaded: Model,
        pictures: Dataset,
        preprocess: Preprocess,
        precision: Width,
        engine: Engine = "torch",
    ) -> None:
        self.folder, self.contents = folder, Contents(pictures)
        self.key = CacheKey(
            model=loaded.identity(),
            pictures=self.contents.digest,
            preprocess=preprocess.hash(),
            precision=precision,
            engine=engine,
            images=len(pictures),
            classes=loaded.bundle.num_classes,
        )

    def read(self, views: Sequence[View]) -> dict[str, Logits]:
        """Of these views, the scores that are kept."""
        there = read_cache(self.folder, self.key)
        return {view.name: there[stored_name(view)] for view in views if stored_name(view) in there}

    def add(self, views: Sequence[View], found: Mapping[str, Logits]) -> None:
        """Keep scores; not of pictures that were replaced while they were scored. A line says why none are kept."""
        if not self.contents.unchanged():
            note("pictures were changed while they were scored; the scores are not kept")
            return
        try:
            add_to_cache(self.folder, self.key, {stored_name(view): found[view.name] for view in views})
        except (OSError, UserError) as error:  # what was scored is right all the same
            why = error.strerror if isinstance(error, OSError) else error
            note(f"{self.folder}: the scores are not kept ({why})")


def stored_name(view: View) -> str:
    """What a view's scores are stored under: which piece it is, and of which picture it is cut."""
    return f"{view.name}@{view.preprocess.hash()}"
