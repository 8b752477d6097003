"""`ensemble`: average several models, choose members on validation, measure the gain, seal the result as one file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from ..bundle.ensemble import check_fit, reordering, seal_ensemble
from ..bundle.file import Loaded
from ..data.dataset import Dataset
from ..data.parts.known import Known
from ..engine.scorer import Logits
from ..measure.ensemble import Gain, check_weights, combine_members, gain_over, select_greedily
from ..measure.evaluation import Evaluation, score
from ..measure.protocols import parse_protocol
from ..measure.scoring import Scoring
from ..runtime.container import sealed_in
from ..runtime.notes import note
from ..runtime.replacing import sealed_target
from ..spec.choices import Combine
from ..spec.codec import fields_to_json
from ..spec.errors import UserError, check_choice
from ..spec.text import counted
from .members import OF_RUNS, common_pictures, load_all, score_all
from .subject import Data, open_for
from .unseen import Watched, watched


@dataclass(frozen=True)
class Weighted:
    """A member, as it was named, and its own score."""

    model: str
    weight: float
    score: Evaluation


@dataclass(frozen=True)
class Ensembled:
    """What `ensemble` chose, its scores, and what it gains over the best member."""

    combine: Combine
    selected_on: str | None  # the split that members were chosen on; None where nothing was chosen
    scored_on: str
    images: int
    ensemble: Evaluation
    members: tuple[Weighted, ...]
    gain: Gain
    mean_member_loss: float  # of those that have a weight
    model: Path | None = None  # the sealed file, if one was asked for

    def __fspath__(self) -> str:
        """The sealed file, so that this goes wherever a model's path goes."""
        if self.model is None:
            raise UserError("this ensemble was sealed in no file; name one with --out")
        return str(self.model)

    def __repr__(self) -> str:
        right = f"{100 * self.ensemble.top1:.2f} % of {counted(self.images, 'picture')} of {self.scored_on} right"
        return f"Ensembled({self.model or 'in memory'}: {right}, by {counted(len(self.members), 'member')})"

    def to_json(self) -> dict[str, Any]:
        """The contract's keys."""
        return fields_to_json(self)


def ensemble_models(
    models: Sequence[str | os.PathLike[str]],
    data: Data,
    *,
    combine: Combine = "softmax",
    weights: Sequence[float] | None = None,
    greedy: bool = False,
    score_split: str | None = None,
    out: str | os.PathLike[str] | None = None,
    forget_pictures: bool = False,
    scoring: Scoring = OF_RUNS,
) -> Ensembled:
    """Average `models` with equal, given or greedily chosen weights.

    Members are chosen, and the best one is named, on the split of `scoring` (`val` if it names none); everything is
    scored on `score_split` (the same if not given). `out` seals the ensemble, which recognises all that its members
    have seen and what they were chosen on, unless `forget_pictures` leaves that out. Raises `UserError` where classes
    or preprocessing do not fit each other, and for pictures that a member was trained on, unless `scoring` says what
    becomes of them.
    """
    check_choice("combine", combine, get_args(Combine))
    if out is not None:
        sealed_target(out, inputs=map(sealed_in, models))
    if len(models) < 2:
        raise UserError("an ensemble needs at least two models")
    if weights is not None:  # before anything is scored
        if greedy:
            raise UserError("give weights or --greedy, not both")
        if len(weights) != len(models):
            raise UserError(f"{len(weights)} weights for {len(models)} models")
        check_weights(weights)
    loaded = load_all(models, scoring)
    for model, one in zip(models[1:], loaded[1:], strict=True):
        check_fit(str(models[0]), loaded[0].bundle, str(model), one.bundle)
    dataset = open_for(loaded, data)
    split = scoring.split or "val"
    subjects = [common_pictures(loaded, dataset, split)]
    if score_split not in (None, split):
        subjects.append(common_pictures(loaded, dataset, score_split))

    def scored(watches: Sequence[Watched]) -> tuple[_Choice, Ensembled]:
        choice = _choose(loaded, watches[0], dataset, weights, greedy, combine, scoring)
        results = choice.scores if len(watches) == 1 else score_all(loaded, watches[1], dataset, scoring)
        return choice, _together(models, loaded, watches[-1], results, choice, combine)

    choice, done = watched(loaded, subjects, dataset, scoring, scored)
    if out is None:
        return done
    seal_ensemble(
        out,
        models,
        weights=choice.weights,
        combine=combine,
        selected=choice.selected,
        forget=forget_pictures,
        data={
            "members": [str(model) for model in models],
            "path": dataset.path,
            "fingerprint": dataset.fingerprint(),
            "selected_on": "test" if done.ensemble.selected_on_test else done.selected_on,
        },
        scores={done.scored_on: done.ensemble.to_json()} if _same_when_sealed(loaded, combine, scoring) else {},
    )
    return replace(done, model=Path(out))


def _same_when_sealed(loaded: Sequence[Loaded], combine: Combine, scoring: Scoring) -> bool:
    """Whether the sealed ensemble scores as its members' scores do together; a line says so where it does not.

    It combines its members on each view. That is the same for one view, and where views are averaged as members are.
    """
    plan = parse_protocol(scoring.protocol, loaded[0].bundle.preprocess)
    same = len(plan.views) == 1 or plan.average == combine
    if not same:
        note(
            f"{plan.name} averages {plan.average} over views, the sealed ensemble {combine} over members on each view "
            "first: its own score differs a little from this one, so the file keeps none"
        )
    return same


@dataclass(frozen=True)
class _Choice:
    """How the members were weighted, and on which pictures."""

    weights: list[float]
    scores: list[Evaluation]  # of each member, on the pictures that they were or could be chosen on
    split: str | None  # that they were chosen on; None where nothing was chosen
    selected: Known  # recognises those pictures

    @property
    def best(self) -> int:
        """The member with the highest accuracy, of equal ones that of the least loss."""
        return min(range(len(self.scores)), key=lambda i: (-self.scores[i].top1, self.scores[i].loss))


def _choose(
    loaded: Sequence[Loaded],
    watch: Watched,
    dataset: Dataset,
    weights: Sequence[float] | None,
    greedy: bool,
    combine: Combine,
    scoring: Scoring,
) -> _Choice:
    scores = score_all(loaded, watch, dataset, scoring)
    if not greedy:
        equal = [1.0] * len(loaded)
        return _Choice(equal if weights is None else list(map(float, weights)), scores, None, Known())
    taken = select_greedily(aligned(scores, loaded), scores[0].labels, combine)
    selected = Known().with_pictures(selected=watch.lookout.pictures.rows)
    return _Choice([float(n) for n in taken], scores, watch.subject.split, selected)


def _together(
    models: Sequence[str | os.PathLike[str]],
    loaded: Sequence[Loaded],
    watch: Watched,
    results: Sequence[Evaluation],
    choice: _Choice,
    combine: Combine,
) -> Ensembled:
    """The members' answers as one, scored, and what that gains over the best of them."""
    logits = aligned(results, loaded)
    together = combine_members(logits, choice.weights, combine)
    taken = [result for result, weight in zip(results, choice.weights, strict=True) if weight > 0]
    whole = score(
        together.astype(np.float32),
        results[0].labels,
        loaded[0].bundle.preprocess,
        protocol=results[0].protocol,
        cost=sum(result.cost for result in taken),
        precision=results[0].precision,
        engine=results[0].engine,
        selected_on_test=choice.split == "test" or any(result.selected_on_test for result in results),
        seen=watch.lookout.seen(*watch.lookout.recognisers, choice.selected),
    )
    return Ensembled(
        combine=combine,
        selected_on=choice.split,
        scored_on=watch.subject.split,
        images=whole.images,
        ensemble=whole,
        members=tuple(map(Weighted, map(str, models), choice.weights, results)),
        gain=gain_over(together, logits, whole.labels, choice.best),
        mean_member_loss=float(np.mean([result.loss for result in taken])),
    )


def aligned(results: Sequence[Evaluation], loaded: Sequence[Loaded]) -> list[Logits]:
    """The members' logits with their classes in the first member's order."""
    orders = [reordering(loaded[0].bundle.classes, one.bundle.classes) for one in loaded]
    return [r.logits if order is None else r.logits[:, order] for r, order in zip(results, orders, strict=True)]
