"""MODEL on DATA from the command line: which pictures that means, the scores, and the line in the run's ledger."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bundle.file import Loaded, load
from ..data.dataset import Dataset
from ..measure.evaluate import Evaluation, evaluate
from ..measure.predictions import Predictions, write_predictions
from ..measure.protocols import parse_protocol
from ..measure.summary import summarise
from ..runtime.notes import warn
from ..runtime.process_group import joined
from ..spec.errors import UserError
from ..train.records import ledger
from .subject import Data, Subject, open_for, run_folder, subject_of, training_of
from .unseen import STRICT, Policy, Watched, recogniser, watched


def evaluate_model(
    model: Loaded | str | os.PathLike[str],
    data: Data,
    *,
    split: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    allow_seen: bool = False,
    only_unseen: bool = False,
    **options: Any,
) -> Evaluation:
    """Score a run folder or sealed file, opened or named, on `data`: `reslearn.evaluate`.

    `options` are those of `measure.evaluate.evaluate`: protocol, precision, cache (a folder), batch_size, ...

    A run's own data is split as the run split it; other data as it declares itself. Scoring pictures that were kept
    from training adds a line to the run's ledger. Raises `UserError` for pictures that the model was trained on,
    outside the split `train`: `allow_seen` scores them and says so in `seen`, `only_unseen` scores the others.
    """
    policy = Policy(allow_seen, only_unseen)
    loaded = model if isinstance(model, Loaded) else load(model)
    dataset = open_for([loaded], data)
    subject = subject_of(training_of(loaded), dataset, split, anyway=policy.anyway)

    def scored(watches: Sequence[Watched]) -> Evaluation:
        return evaluate_subject(loaded, watches[0], dataset, cache=cache, **options)

    return watched([loaded], [subject], dataset, policy, scored)


def evaluate_subject(loaded: Loaded, watch: Watched, dataset: Dataset, **options: Any) -> Evaluation:
    """Score watched pictures of `dataset`, and enter it in the ledger where they were kept from training."""
    subject, lookout = watch.subject, watch.lookout
    known = recogniser(loaded, dataset)
    evaluation = evaluate(loaded, subject.pictures, lookout=lookout, recogniser=known, **options)
    folder = run_folder(loaded)
    if folder is not None and subject.unseen and joined().first:
        lookout.writes(lambda: _enter(folder, loaded, dataset, subject, evaluation))
    return evaluation


def _enter(folder: Path, loaded: Loaded, dataset: Dataset, subject: Subject, evaluation: Evaluation) -> None:
    about = {"data": dataset.path, "fingerprint": dataset.fingerprint(), "model_digest": loaded.identity()}
    try:
        ledger.enter(folder, **about, split=subject.split, **evaluation.to_json())
    except OSError as error:
        warn(f"{folder}: no line in the ledger ({error.strerror})")


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
    policy: Policy = STRICT


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
    subject = subject_of(training_of(loaded), dataset, request.split, anyway=request.policy.anyway)
    for text in protocols:
        check_protocol(text, loaded)  # a misspelt one fails before the first is scored
    return watched(
        [loaded],
        [subject],
        dataset,
        request.policy,
        lambda watches: _scored(loaded, watches[0], dataset, request, protocols, details, predictions, report),
    )


def _scored(
    loaded: Loaded,
    watch: Watched,
    dataset: Dataset,
    request: Request,
    protocols: list[str],
    details: bool,
    predictions: Path | None,
    report: Path | None,
) -> list[Result]:
    """The results, and the files that were asked for, of pictures that are watched."""
    names = loaded.bundle.classes or tuple(map(str, range(loaded.bundle.num_classes)))
    temperature = loaded.bundle.temperature or 1.0
    results = []
    for text in protocols:
        start = time.perf_counter()
        scores = evaluate_subject(
            loaded,
            watch,
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
        ids = tuple(watch.subject.pictures.ids)
        write_predictions(predictions, Predictions(ids, scores.labels, scores.logits, tuple(names)))
    if report is not None and joined().first:
        from .pages.evaluation import write_evaluation_report  # which builds on this module

        write_evaluation_report(report, [result.evaluation for result in results], watch.subject, dataset, loaded)
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
