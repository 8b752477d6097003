"""Nothing is scored in silence on pictures that a model was trained on: refused, marked, or left out, as asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np

from ..data.dataset import Dataset, Indices
from ..data.memory import Subset
from ..data.parts.known import Named, Recogniser
from ..engine.models import Model
from ..measure.lookout import Lookout, Writes
from ..measure.scoring import Scoring
from ..runtime.notes import note
from ..spec.errors import UserError
from .subject import Subject, training_of

T = TypeVar("T")
TOLERATED = 0.01  # of a declared test split: so few are scored, with the count beside the score


@dataclass(frozen=True)
class Watched:
    """Pictures to score, and the lookout over them."""

    subject: Subject
    lookout: Lookout


class _Fewer(Exception):
    """Only these pictures of a subject were not trained on."""

    def __init__(self, subject: Subject, unseen: Indices) -> None:
        super().__init__(f"{len(unseen)} pictures")
        self.subject, self.unseen = subject, unseen


def watched(
    models: Sequence[Model],
    subjects: Sequence[Subject],
    dataset: Dataset,
    scoring: Scoring,
    score: Callable[[Sequence[Watched]], T],
) -> T:
    """What `score` returns, which scores all `subjects` of `dataset` with `models`, each watched.

    Raises `UserError` for pictures that any model was trained on, unless `scoring` says what becomes of them. What
    `score` has written through its lookouts' `writes` appears only after all pictures are looked up.
    """
    recognisers = [recogniser(model, dataset) for model in models]
    subjects, before = list(subjects), [len(subject.pictures) for subject in subjects]
    while True:
        writes = Writes(len(set(subjects)))
        of: dict[Subject, Lookout] = {}
        for subject in dict.fromkeys(subjects):
            rule = partial(_rule, subject, dataset, scoring)
            of[subject] = Lookout(subject.pictures, recognisers, rule=rule, writes=writes)
        try:
            for lookout in of.values():
                lookout.before()
            done = score([Watched(subject, of[subject]) for subject in subjects])
        except _Fewer as fewer:  # found by file keys as a rule; by pixel keys what was scored is scored once more
            less = replace(fewer.subject, pictures=Subset(fewer.subject.pictures, fewer.unseen))
            subjects = [less if subject is fewer.subject else subject for subject in subjects]
            continue
        for count, subject in dict.fromkeys(zip(before, subjects, strict=True)):
            left_out = count - len(subject.pictures)
            if left_out:
                note(f"scored are {len(subject.pictures):,} pictures; {left_out:,} that were trained on are left out")
        return done


def recogniser(loaded: Model, dataset: Dataset) -> Recogniser:
    """What recognises the pictures that a model has seen: its file, or the names in its run's folder."""
    training, known = training_of(loaded), loaded.known
    if not loaded.as_sealed:  # its file does not say what it was trained on since
        known = replace(known, known_by="nothing")
    if training is None or len(known.trained) or training.fingerprint != dataset.fingerprint():
        return known
    selected = training.split.val if training.selects else ()
    fitted = known.forgotten and loaded.bundle.temperature is not None  # on pictures that were forgotten, too
    sure = training.from_scratch and loaded.as_sealed and not fitted
    return Named(training.split.train, selected, "names" if sure else "nothing", known)


def _rule(subject: Subject, dataset: Dataset, scoring: Scoring, lookout: Lookout) -> None:
    if scoring.allow_seen:
        return
    trained = lookout.trained()
    seen, count = int(trained.sum()), len(trained)
    if not seen:
        return
    if scoring.only_unseen and seen < count:
        raise _Fewer(subject, np.flatnonzero(~trained))
    if subject.split == "train" and not scoring.only_unseen:
        return
    if subject.split == "test" and "test" in dataset.splits and seen <= TOLERATED * count and not scoring.only_unseen:
        return
    where = f"{dataset.path or 'the data'}: "
    if seen == count:
        raise UserError(
            f"{where}all {count:,} pictures of {subject.split} were trained on, so a score on them says nothing of new "
            "ones; give other pictures, or --allow-seen to score them, marked"
        )
    raise UserError(
        f"{where}{seen:,} of {count:,} pictures of {subject.split} were trained on, so a score on them promises too "
        "much; --allow-seen scores all and marks it, "
        f"--only-unseen the other {count - seen:,}"
    )
