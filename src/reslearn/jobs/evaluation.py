"""MODEL on DATA from the command line: which pictures that means, the scores, and the line in the run's ledger."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..data.anything import Range, as_dataset
from ..data.dataset import Dataset
from ..engine.models import Model, open_model
from ..measure.classes import names_of
from ..measure.evaluate import evaluate
from ..measure.evaluation import Evaluation
from ..measure.predictions import Predictions, write_predictions
from ..measure.protocols import parse_protocol
from ..measure.scoring import Scoring
from ..measure.summary import Summary, summarise
from ..runtime.device import present
from ..runtime.notes import warn
from ..runtime.process_group import joined
from ..spec.choices import Engine, Width
from ..spec.errors import UserError
from ..train.records import ledger
from .known_classes import only_known
from .subject import Data, Subject, cache_folder, open_for, run_folder, subject_of, training_of
from .unseen import Watched, recogniser, watched


def evaluate_model(
    model: Model | str | os.PathLike[str],
    data: object,
    *,
    split: str | None = None,
    protocol: str = "1-crop",
    precision: Width | None = None,
    device: str | None = None,
    workers: int = 0,
    batch_size: int = 256,
    cache: str | os.PathLike[str] | None = None,
    allow_seen: bool = False,
    only_unseen: bool = False,
    engine: Engine | None = None,
    known_classes: bool = False,
    value_range: Range | None = None,
) -> Evaluation:
    """Score a run folder, sealed or exported file, opened or named, on `data`: `reslearn.evaluate`.

    Without `split`: `test` where the data declares one, all of it where it declares none. `protocol` is a text of
    `measure/protocols.py`; `cache` a folder where scores are kept and found again; `device` is where the network is
    unless given. `engine` is torch, or an exported file's own, unless given; `precision` fp32, or that of the file.
    `workers` processes read pictures.

    `data` is a path, a data set of `open_data`, arrays (pictures, labels), or a map-style data set of (picture, label),
    floats with `value_range`; `known_classes` leaves out pictures of classes that the model does not know. Labels that
    are numbers, of data without names, are the model's classes.

    A run's own data is split as the run split it; other data as it declares itself. Scoring pictures that were kept
    from training adds a line to the run's ledger. Raises `UserError` for pictures that the model was trained on,
    outside the split `train`: `allow_seen` scores them and says so in `seen`, `only_unseen` scores the others.
    """
    scoring = Scoring(split, protocol, precision, device, workers, batch_size, cache, allow_seen, only_unseen, engine)
    loaded = _model(model, device)
    if not isinstance(data, (str, os.PathLike)):
        data = as_dataset(data, value_range, classes=loaded.bundle.classes)
    done = evaluate_protocols(loaded, data, [protocol], scoring, known_classes=known_classes)
    return done.results[0].evaluation


def _model(model: object, device: str | None) -> Model:
    if isinstance(model, Model):
        return model
    if isinstance(model, (str, os.PathLike)):
        return open_model(os.fspath(model), device="cpu" if device is None else present(device))
    raise UserError(
        f"a model is a run folder, a sealed file, or what reslearn.load returned; found {type(model).__name__} "
        "(seal a network of your own with reslearn.save)"
    )


def evaluate_subject(loaded: Model, watch: Watched, dataset: Dataset, scoring: Scoring) -> Evaluation:
    """Score watched pictures of `dataset`, and enter it in the ledger where they were kept from training."""
    subject, lookout = watch.subject, watch.lookout
    known = recogniser(loaded, dataset)
    how = replace(scoring, split=None, cache=cache_folder(loaded, scoring.cache))  # the split's pictures are these
    evaluation = evaluate(loaded, subject.pictures, how, lookout=lookout, recogniser=known)
    folder = run_folder(loaded)
    if folder is not None and subject.unseen and joined().first:
        lookout.writes(lambda: _enter(folder, loaded, dataset, subject, evaluation))
    return evaluation


def _enter(folder: Path, loaded: Model, dataset: Dataset, subject: Subject, evaluation: Evaluation) -> None:
    about = {"data": dataset.path, "fingerprint": dataset.fingerprint(), "model_digest": loaded.identity()}
    try:
        ledger.enter(folder, **about, split=subject.split, **evaluation.to_json())
    except OSError as error:
        warn(f"{folder}: no line in the ledger ({error.strerror})")


@dataclass(frozen=True)
class Result:
    """One protocol's scores, how long they took, and the details if asked for."""

    evaluation: Evaluation
    seconds: float
    details: Summary | None = None

    def to_json(self) -> dict[str, Any]:
        """The contract's keys, and `details` where they were asked for."""
        return self.evaluation.to_json() | ({"details": self.details.to_json()} if self.details else {})


@dataclass(frozen=True)
class Evaluated:
    """The outcome of `evaluate MODEL DATA`."""

    results: tuple[Result, ...]  # one per protocol
    subject: Subject
    dataset: Dataset
    loaded: Model
    left_out: int | None = None  # pictures of classes that the model does not know; None where nobody asked for that

    @property
    def stale(self) -> Path | None:
        """The run's folder where its page is of before these scores, which it would show."""
        folder = run_folder(self.loaded) if self.subject.unseen else None
        return folder if folder is not None and (folder / "report.html").exists() else None

    def to_json(self) -> dict[str, Any] | list[dict[str, Any]]:
        """The scores of the one protocol, or a list where there are several."""
        more: dict[str, Any] = {"split": self.subject.split}
        more |= {} if self.left_out is None else {"left_out": self.left_out}
        values = [result.to_json() | more for result in self.results]
        return values if len(values) > 1 else values[0]


def evaluate_protocols(
    model: Model | str | os.PathLike[str],
    data: Data,
    protocols: Sequence[str],
    scoring: Scoring,
    *,
    details: bool = False,
    predictions: Path | None = None,
    known_classes: bool = False,
) -> Evaluated:
    """Score a model by several protocols, in place of that of `scoring`, on the same pictures.

    `predictions` is a file for the last one's logits. `known_classes` leaves out pictures of classes that the model
    does not know.
    """
    where = scoring.device or "cpu"
    loaded = open_model(model, device=where) if isinstance(model, (str, os.PathLike)) else model
    dataset = open_for([loaded], data)
    subject = subject_of(training_of(loaded), dataset, scoring.split, anyway=scoring.anyway)
    subject, left_out = only_known(subject, loaded.bundle) if known_classes else (subject, None)
    for text in protocols:
        check_protocol(text, loaded)  # a misspelt one fails before the first is scored
    names = names_of(loaded.bundle.classes, loaded.bundle.num_classes)

    def result(watch: Watched, text: str) -> Result:
        start = time.perf_counter()
        scores = evaluate_subject(loaded, watch, dataset, replace(scoring, protocol=text))
        seconds, temperature = time.perf_counter() - start, loaded.bundle.temperature or 1.0
        inside = summarise(scores.logits, scores.labels, names, temperature=temperature) if details else None
        return Result(scores, seconds, inside)

    def scored(watches: Sequence[Watched]) -> Evaluated:
        [watch] = watches
        results = tuple(result(watch, text) for text in protocols)
        return Evaluated(results, watch.subject, dataset, loaded, left_out)

    done = watched([loaded], [subject], dataset, scoring, scored)
    if predictions is not None and joined().first:
        last, ids = done.results[-1].evaluation, tuple(done.subject.pictures.ids)
        write_predictions(predictions, Predictions(ids, last.labels, last.logits, tuple(names)))
    return done


def check_protocol(text: str, loaded: Model) -> None:
    """Raise `UserError`, which names the option, for a protocol that cannot be used with this network."""
    try:
        parse_protocol(text, loaded.bundle.preprocess)
    except UserError as error:
        raise UserError(f"--protocol {text}: {error}") from None
