"""MODEL on DATA from the command line: which pictures that means, the scores, and the line in the run's ledger."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bundle.file import Build, Loaded, load
from ..data.dataset import Dataset
from ..data.memory import Subset
from ..data.sources import open_data
from ..measure.evaluate import Evaluation, chosen_part, evaluate
from ..spec.errors import UserError
from ..train import ledger
from ..train.record import RunRecord, read_record


@dataclass(frozen=True)
class Subject:
    """Pictures to score, and how they are called in the result."""

    pictures: Dataset
    split: str  # "all" where the data declares no splits
    own: bool  # the data is the one that the run was trained on

    @property
    def unseen(self) -> bool:
        """Whether these pictures were kept from training and selection, so that looking at them is recorded."""
        return not (self.own and self.split in ("train", "val"))


def evaluate_model(
    model: str | os.PathLike[str],
    data: Dataset | str | os.PathLike[str],
    *,
    split: str | None = None,
    build: Build | None = None,
    **options: Any,
) -> Evaluation:
    """Score a run folder or sealed file on `data`; `options` are those of `measure.evaluate.evaluate`.

    A run's own data is split as the run split it; other data as it declares itself. Scoring pictures that were kept
    from training adds a line to the run's ledger.
    """
    loaded = load(model, build=build)
    dataset = open_data(data) if isinstance(data, (str, os.PathLike)) else data
    run = run_folder(loaded)
    subject = subject_of(read_record(run) if run else None, dataset, split)
    evaluation = evaluate(loaded, subject.pictures, **options)
    if run is not None and subject.unseen:
        scores = evaluation.to_json()
        ledger.enter(run, data=dataset.path, fingerprint=dataset.fingerprint(), split=subject.split, **scores)
    return evaluation


def run_folder(loaded: Loaded) -> Path | None:
    """The run folder that a sealed file lies in; None for a file on its own."""
    folder = loaded.path.parent
    return folder if (folder / "run.json").exists() else None


def subject_of(record: RunRecord | None, dataset: Dataset, split: str | None) -> Subject:
    """Which pictures `--split` means for a run (or a file without one) and this data."""
    if record is None or dataset.fingerprint() != record.data.get("fingerprint"):
        return Subject(chosen_part(dataset, split), split or ("test" if dataset.splits else "all"), own=False)
    name = split or "test"
    if name in ("train", "val"):
        return Subject(Subset(dataset, _find(record, dataset, name)), name, own=True)
    if name not in dataset.splits:
        raise UserError(
            f"{dataset.path}: the run's own data has no {name} split; name one of train, val with --split, "
            "or give data it was not trained on"
        )
    return Subject(Subset(dataset, dataset.splits[name]), name, own=True)


def _find(record: RunRecord, dataset: Dataset, name: str) -> list[int]:
    wanted = record.split.train if name == "train" else record.split.val
    if not wanted:
        raise UserError(f"the run holds no {name} pictures (--val-fraction 0?); name another with --split")
    place = {identity: index for index, identity in enumerate(dataset.ids)}
    return [place[identity] for identity in wanted]
