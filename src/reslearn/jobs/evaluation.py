"""MODEL on DATA from the command line: which pictures that means, the scores, and the line in the run's ledger."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from ..bundle.file import Build, Loaded, load
from ..data.dataset import Dataset
from ..data.memory import Subset
from ..data.sources import open_data
from ..measure.evaluate import Evaluation, chosen_part, evaluate
from ..measure.predictions import Predictions, write_predictions
from ..measure.protocols import parse_protocol
from ..measure.summary import summarise
from ..runtime.files import read_json
from ..runtime.notes import note, warn
from ..runtime.process_group import joined
from ..spec.errors import UserError
from ..train import ledger
from ..train.record import RunRecord, Split, read_record

Data = Dataset | str | os.PathLike[str]


@dataclass(frozen=True)
class Training:
    """What a folder of training says about the pictures it has seen: a run's `run.json`, or a `crossval.json`."""

    fingerprint: str | None
    split: Split
    on_bad_file: Literal["stop", "skip"] = "stop"


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
    model: Loaded | str | os.PathLike[str],
    data: Data,
    *,
    split: str | None = None,
    build: Build | None = None,
    cache: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Evaluation:
    """Score a run folder or sealed file, opened or named, on `data`: `reslearn.evaluate`.

    `options` are those of `measure.evaluate.evaluate`: protocol, precision, cache (a folder), batch_size, ...

    A run's own data is split as the run split it; other data as it declares itself. Scoring pictures that were kept
    from training adds a line to the run's ledger.
    """
    loaded = model if isinstance(model, Loaded) else load(model, build=build)
    dataset = open_for([loaded], data)
    return evaluate_subject(loaded, subject_of(training_of(loaded), dataset, split), dataset, cache=cache, **options)


def evaluate_subject(loaded: Loaded, subject: Subject, dataset: Dataset, **options: Any) -> Evaluation:
    """Score the pictures that `subject_of` found in `dataset`, and enter it in the ledger where they were unseen."""
    evaluation = evaluate(loaded, subject.pictures, **options)
    folder = run_folder(loaded)
    if folder is not None and subject.unseen and joined().first:
        scores = evaluation.to_json()
        try:
            ledger.enter(folder, data=dataset.path, fingerprint=dataset.fingerprint(), split=subject.split, **scores)
        except OSError as error:
            warn(f"{folder}: no line in the ledger ({error.strerror})")
    return evaluation


def run_folder(loaded: Loaded) -> Path | None:
    """The folder of the run or cross-validation that a sealed file lies in; None for a file on its own."""
    folder = loaded.path.parent
    return folder if any((folder / name).exists() for name in ("run.json", "crossval.json")) else None


def training_of(loaded: Loaded) -> Training | None:
    """What the folder of a sealed file says of its training; None for a file on its own."""
    folder = run_folder(loaded)
    if folder is None:
        return None
    if (folder / "run.json").exists():
        return as_training(read_record(folder))
    whole = read_json(folder / "crossval.json")
    return Training(whole["data"]["fingerprint"], Split(tuple(whole["folds"]), (), whole["split_seed"]))


def as_training(record: RunRecord) -> Training:
    """The pictures of a run."""
    return Training(record.data.get("fingerprint"), record.split, record.on_bad_file)


def open_for(models: Sequence[Loaded], data: Data) -> Dataset:
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
    for text in getattr(dataset, "notes", ()):
        note(text)
    return dataset


def subject_of(seen: Training | RunRecord | None, dataset: Dataset, split: str | None) -> Subject:
    """Which pictures `--split` means for this data, given what a model has seen in training (None: unknown)."""
    training = as_training(seen) if isinstance(seen, RunRecord) else seen
    if training is None or dataset.fingerprint() != training.fingerprint:
        return Subject(chosen_part(dataset, split), split or ("test" if dataset.splits else "all"), own=False)
    name = split or "test"
    if name in ("train", "val"):
        return Subject(Subset(dataset, _find(training.split, dataset, name)), name, own=True)
    if name not in dataset.splits:
        own = [part for part in ("train", "val") if getattr(training.split, part)]
        have = list(dict.fromkeys([*own, *dataset.splits]))
        near = get_close_matches(name, have, n=1) if split else []
        hint = f"did you mean {near[0]}?" if near else "name one with --split, or give data it was not trained on"
        raise UserError(f"{dataset.path}: the model's own data has no {name} split, but {', '.join(have)}; {hint}")
    pictures = Subset(dataset, dataset.splits[name])
    used = {*training.split.train, *training.split.val}.intersection(pictures.ids)
    if used:
        raise UserError(f"{dataset.path}: {len(used)} pictures of {name} were trained or selected on, e.g. {min(used)}")
    return Subject(pictures, name, own=True)


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
    by = f"{getattr(dataset, 'manifest', dataset.path)} excludes"
    if gone == count:
        raise UserError(f"{by} all {count} {name} pictures of the run, so none is left to score; make it anew")
    note(f"{by} {gone} of the run's {count} {name} pictures; scored are the {count - gone} that are left")


@dataclass(frozen=True)
class Request:
    """One `evaluate` command; `cache` is a folder, `auto` (RUN/predictions of a run), or None for none."""

    model: str
    data: str
    split: str | None = None
    precision: str = "fp32"
    batch_size: int = 256
    device: str = "cpu"
    workers: int = 0
    cache: str | os.PathLike[str] | None = None


@dataclass(frozen=True)
class Result:
    """One protocol's scores, how long they took, and the details if asked for."""

    evaluation: Evaluation
    seconds: float
    details: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The contract's keys, and `details` where they were asked for."""
        return self.evaluation.to_json() | ({"details": self.details} if self.details else {})


def evaluate_protocols(
    request: Request,
    protocols: list[str],
    *,
    details: bool = False,
    predictions: Path | None = None,
    report: Path | None = None,
) -> list[Result]:
    """Score a model by several protocols on the same pictures.

    `predictions` is a file for the last one's logits, `report` one for a page about all of them.
    """
    loaded = load(request.model, device=request.device)
    dataset = open_for([loaded], request.data)
    subject = subject_of(training_of(loaded), dataset, request.split)
    for text in protocols:
        check_protocol(text, loaded)  # a misspelt one fails before the first is scored
    names = loaded.bundle.classes or tuple(map(str, range(loaded.bundle.num_classes)))
    temperature = loaded.bundle.temperature or 1.0
    results = []
    for text in protocols:
        start = time.perf_counter()
        scores = evaluate_subject(
            loaded,
            subject,
            dataset,
            protocol=text,
            precision=request.precision,
            cache=cache_folder(loaded, request.cache),
            batch_size=request.batch_size,
            device=request.device,
            workers=request.workers,
        )
        seconds = time.perf_counter() - start
        inside = summarise(scores.logits, scores.labels, names, temperature=temperature) if details else None
        results.append(Result(scores, seconds, inside))
    if predictions is not None and joined().first:
        write_predictions(
            predictions, Predictions(tuple(subject.pictures.ids), scores.labels, scores.logits, tuple(names))
        )
    if report is not None and joined().first:
        from .evaluation_report import write_evaluation_report  # which builds on this module

        write_evaluation_report(report, [result.evaluation for result in results], subject, dataset, loaded)
    return results


def check_protocol(text: str, loaded: Loaded) -> None:
    """Raise `UserError`, which names the option, for a protocol that cannot be used with this network."""
    try:
        parse_protocol(text, loaded.bundle.preprocess)
    except UserError as error:
        raise UserError(f"--protocol {text}: {error}") from None


def cache_folder(loaded: Loaded, wanted: str | os.PathLike[str] | None) -> str | os.PathLike[str] | None:
    """Where scores of a model are kept: `auto` is a folder of its run, and nowhere for a file on its own."""
    if wanted != "auto":
        return wanted
    folder = run_folder(loaded)
    return folder / "predictions" if folder is not None and os.access(folder, os.W_OK) else None
