"""How a model is scored, and on which pictures: one value from the command line to the scores."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..spec.choices import Engine, Width
from ..spec.errors import UserError, check_at_least, path_text


@dataclass(frozen=True)
class Scoring:
    """What a score depends on beside model and data. Raises `UserError` for what contradicts itself.

    Without `split`: `test` where the data declares one, all of it where it declares none. `protocol` is a text of
    `protocols.py`. Pictures that were trained on, in a part that was not asked for as `train`, are a `UserError`:
    `allow_seen` scores them and marks the score, `only_unseen` scores the others.
    """

    split: str | None = None
    protocol: str = "1-crop"
    precision: Width | None = None  # fp32, or what an exported file has
    device: str | None = None  # where the network is unless given
    workers: int = 0  # processes that read pictures
    batch_size: int = 256
    cache: str | os.PathLike[str] | None = None  # a folder where scores are kept; for jobs `auto`: that of a run
    allow_seen: bool = False
    only_unseen: bool = False
    engine: Engine | None = None  # torch, or the exported file's own

    def __post_init__(self) -> None:
        check_at_least("--batch-size", self.batch_size, 1)
        check_at_least("--workers", self.workers, 0)
        check_cache(self.cache)
        if self.allow_seen and self.only_unseen:
            raise UserError("--allow-seen scores what was trained on and --only-unseen leaves it out; give one of them")

    @property
    def anyway(self) -> bool:
        """Whether it was said what becomes of pictures that were trained on."""
        return self.allow_seen or self.only_unseen


def check_cache(cache: str | os.PathLike[str] | None) -> None:
    """Raise `UserError` where a file stands in the place of the folder of kept scores. A full one is done without."""
    if cache is None or cache == "auto":
        return
    place = Path(path_text(cache, "--cache is a folder"))
    holder = next((at for at in (place, *place.absolute().parents) if os.path.lexists(at)), place)
    if not holder.is_dir():
        raise UserError(f"--cache {place}: {holder} is a file, not a folder; name another place")
