"""Several models on the same pictures: those that none of them was trained on."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ..bundle.file import Loaded, load
from ..data.dataset import Dataset, Indices
from ..data.memory import Subset
from ..measure.evaluation import Evaluation
from ..measure.scoring import Scoring
from ..spec.errors import UserError
from .evaluation import check_protocol, evaluate_subject
from .subject import Subject, report_excluded, subject_of, training_of
from .unseen import Watched

OF_RUNS = Scoring(cache="auto")  # scores are kept in the run that each model is of


def load_all(models: Sequence[str | os.PathLike[str]], scoring: Scoring) -> list[Loaded]:
    """Open every model. Raises `UserError` for the same one twice, and for a protocol that one cannot be scored by."""
    loaded = [load(model, device=scoring.device or "cpu") for model in models]
    seen: dict[str, str] = {}
    for model, one in zip(models, loaded, strict=True):
        identity = one.identity()
        if identity in seen:
            raise UserError(f"{model} is the same model as {seen[identity]}; name it once")
        seen[identity] = str(model)
        check_protocol(scoring.protocol, one)
    return loaded


def common_pictures(models: Sequence[Loaded], dataset: Dataset, split: str | None) -> Subject:
    """The pictures of `split` for every model; of `val`, those that each run among them has held out.

    A sealed file without a run folder does not say what it was trained on and restricts nothing, as long as some run
    or the data itself says what `val` is.
    """
    known = [training for training in map(training_of, models) if training is not None]
    own = [t for t in known if t.fingerprint == dataset.fingerprint()]
    if split != "val" or not own:
        subjects = [subject_of(training, dataset, split) for training in own]  # each refuses what it was trained on
        return subjects[0] if subjects else subject_of(None, dataset, split)
    held: set[str] = set(own[0].split.val)
    for training in own:
        held &= set(training.split.val)
    if not held:
        raise UserError(
            "no picture was held out by all of these runs, so none is fair to all; train them with one --split-seed, "
            "or name another --split"
        )
    indices: Indices = np.array([i for i, identity in enumerate(dataset.ids) if identity in held], dtype=np.int64)
    report_excluded(dataset, "val", len(held) - len(indices), len(held))
    return Subject(Subset(dataset, indices), "val", own=True)


def score_all(models: Sequence[Loaded], watch: Watched, dataset: Dataset, scoring: Scoring) -> list[Evaluation]:
    """Each model's scores on the same pictures, from its run's kept scores where they are there."""
    return [evaluate_subject(one, watch, dataset, scoring) for one in models]
