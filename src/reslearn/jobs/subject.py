"""Which pictures a model is to be scored on: `--split` of the run's own data, or of data as it declares itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from ..data.dataset import Dataset
from ..data.memory import Subset
from ..data.parts.key_table import stamp_of
from ..data.sources import open_data
from ..data.table import as_pictures
from ..engine.models import Model
from ..measure.evaluate import chosen_part
from ..runtime.container import FILE_NAME
from ..runtime.notes import note, note_once
from ..runtime.replacing import RECORDS
from ..spec.choices import OnBadFile
from ..spec.errors import UserError
from ..train.records.belonging import belongs, fingerprints
from ..train.records.crossval import RECORD, CrossvalRecord
from ..train.records.crossval import read_record as read_crossval
from ..train.records.run import RunRecord, Split, read_record

Data = Dataset | str | os.PathLike[str]


@dataclass(frozen=True)
class Training:
    """What a folder of training says about the pictures it has seen: a run's `run.json`, or a `crossval.json`."""

    fingerprint: str | None
    split: Split
    on_bad_file: OnBadFile = "stop"
    selects: bool = False  # something was chosen on the validation pictures
    fingerprints: frozenset[str] = frozenset()  # of the data, also where it was before it moved
    from_scratch: bool = True  # it did not start from weights that have seen who knows what


@dataclass(frozen=True, eq=False)
class Subject:
    """Pictures to score, and how they are called in the result."""

    pictures: Dataset
    split: str  # "all" where the data declares no splits
    own: bool  # the data is the one that the run was trained on

    @property
    def unseen(self) -> bool:
        """Whether these pictures were kept from training and selection, so that looking at them is recorded."""
        return not (self.own and self.split in ("train", "val"))


def run_folder(loaded: Model) -> Path | None:
    """The folder of the run or cross-validation whose sealed file this is; None for a file on its own."""
    return None if training_of(loaded) is None else loaded.path.parent


def cache_folder(loaded: Model, wanted: str | os.PathLike[str] | None) -> str | os.PathLike[str] | None:
    """Where scores of a model are kept: `auto` is a folder of its run, and nowhere for a file on its own."""
    if wanted != "auto":
        return wanted
    folder = run_folder(loaded)
    return folder / "predictions" if folder is not None and os.access(folder, os.W_OK) else None


def training_of(loaded: Model) -> Training | None:
    """What the folder of a sealed file says of its training; None for a file on its own, wherever it lies."""
    folder = loaded.path.parent
    record = next((folder / name for name in RECORDS if (folder / name).exists()), None)
    if record is None:
        return None
    found = _read_training(record, stamp_of(str(record)))
    names = found.split.train, found.split.val
    if belongs(loaded.path, loaded.bundle.data, found.fingerprints, *names):
        return found
    if loaded.path.name == FILE_NAME:
        note_once(f"{loaded.path}: not the model that {record.name} beside it tells of; taken as a file on its own")
    return None


@lru_cache(maxsize=16)  # a command asks for it again and again, and the names of a million pictures take seconds
def _read_training(record: Path, stamp: tuple[int, ...]) -> Training:
    return as_training(read_training(record.parent))


def read_training(folder: Path) -> RunRecord | CrossvalRecord:
    """The record of the run, or of the cross-validation, in `folder`. Raises `UserError` where there is none."""
    folds = (folder / RECORD).exists() and not (folder / "run.json").exists()
    return read_crossval(folder) if folds else read_record(folder)


def as_training(record: RunRecord | CrossvalRecord) -> Training:
    """The pictures of a run, or of all folds together."""
    all_folds = isinstance(record, CrossvalRecord)
    return Training(
        record.data.get("fingerprint"),
        Split(tuple(record.folds), (), record.split_seed) if isinstance(record, CrossvalRecord) else record.split,
        record.on_bad_file,
        selects=not all_folds and bool(record.recipe.decides_on_validation),
        fingerprints=fingerprints(record.data, record.moved),
        from_scratch=record.weights is None,
    )


def open_for(models: Sequence[Model], data: Data) -> Dataset:
    """Open DATA as the runs among `models` opened it: own data of a run that skips files that are no pictures lists
    those on standard error and leaves them out; any other data must be sound. What else it remarks is said, too.
    """
    if not isinstance(data, (str, os.PathLike)):
        return data
    known = [training for training in map(training_of, models) if training is not None]
    lenient = {training.fingerprint for training in known if training.on_bad_file == "skip"}
    dataset = open_data(data, on_bad_file="skip") if lenient else open_data(data)
    if lenient and dataset.fingerprint() not in lenient:
        dataset = open_data(data)
    for text in as_pictures(dataset).notes:
        note(text)
    return dataset


def subject_of(training: Training | None, dataset: Dataset, split: str | None, *, anyway: bool = False) -> Subject:
    """Which pictures `--split` means for this data, given what a model has seen in training (None: unknown).

    Without `split`, of the model's own data, it is `test`; `anyway`, where there is none, all of it.
    """
    if training is None or dataset.fingerprint() != training.fingerprint:
        return Subject(chosen_part(dataset, split), split or ("test" if dataset.splits else "all"), own=False)
    name = split or ("all" if anyway and "test" not in dataset.splits else "test")
    if not isinstance(name, str):
        raise UserError(f"split is {name!r}; it must be a name, such as test")
    if name == "all":  # with what was trained on among them, of which `Watched` says what to do
        return Subject(chosen_part(dataset, name), name, own=True)
    if name in ("train", "val"):
        return Subject(Subset(dataset, _find(training.split, dataset, name)), name, own=True)
    if name not in dataset.splits:
        own = [part for part in ("train", "val") if getattr(training.split, part)]
        have = list(dict.fromkeys([*own, *dataset.splits]))
        near = get_close_matches(name, [*have, "all"], n=1, cutoff=0.7) if split else []
        hint = f"did you mean {near[0]}?" if near else "name one with --split, or give data it was not trained on"
        if split is None:
            count, trained = len(dataset), len(training.split.train)
            hint += (
                f"; its run trained on {trained:,} of all {count:,}: --allow-seen scores all, --only-unseen the unseen"
            )
        raise UserError(f"{dataset.path}: the model's own data has no {name} split, but {', '.join(have)}; {hint}")
    return Subject(Subset(dataset, dataset.splits[name]), name, own=True)


def _find(split: Split, dataset: Dataset, name: str) -> list[int]:
    wanted = split.train if name == "train" else split.val
    if not wanted:
        raise UserError(f"the model was trained without {name} pictures of its own; name another split with --split")
    place = {identity: index for index, identity in enumerate(dataset.ids)}
    left = [place[identity] for identity in wanted if identity in place]
    report_excluded(dataset, name, len(wanted) - len(left), len(wanted))
    return left


def report_excluded(dataset: Dataset, name: str, gone: int, count: int) -> None:
    """Say how many of a run's `count` pictures of `name` the data's manifest now leaves out; `UserError` for all."""
    if not gone:
        return
    by = f"{as_pictures(dataset).table.manifest or dataset.path} excludes"
    if gone == count:
        raise UserError(f"{by} all {count} {name} pictures of the run, so none is left to score; make it anew")
    note(f"{by} {gone} of the run's {count} {name} pictures; scored are the {count - gone} that are left")
