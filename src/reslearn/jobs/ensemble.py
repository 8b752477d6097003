"""`ensemble`: average several models, choose members on validation, measure the gain, seal the result as one file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..bundle.ensemble import check_fit, class_order, seal_ensemble
from ..bundle.file import Loaded
from ..measure.ensemble import Combine, check_weights, combine_members, gain_over, select_greedily
from ..measure.evaluate import Evaluation, score
from ..runtime.container import sealed_in
from ..runtime.replacing import sealed_target
from ..spec.errors import UserError, check_choice
from .evaluation import Data, open_for
from .members import Options, common_pictures, load_all, score_all


def ensemble_models(
    models: Sequence[str | os.PathLike[str]],
    data: Data,
    *,
    combine: Combine = "softmax",
    weights: Sequence[float] | None = None,
    greedy: bool = False,
    split: str = "val",
    score_split: str | None = None,
    out: str | os.PathLike[str] | None = None,
    options: Options | None = None,
) -> dict[str, Any]:
    """Average `models` with equal, given or greedily chosen weights; returns scores, weights and the gain.

    Members are chosen, and the best one is named, on `split`; everything is scored on `score_split` (the same if not
    given). `out` seals the ensemble. Raises `UserError` where classes or preprocessing do not fit each other.
    """
    check_choice("combine", combine, ("softmax", "logits"))
    if out is not None:
        sealed_target(out, inputs=map(sealed_in, models))
    if len(models) < 2:
        raise UserError("an ensemble needs at least two models")
    if weights is not None and greedy:
        raise UserError("give weights or --greedy, not both")
    if weights is not None and len(weights) != len(models):
        raise UserError(f"{len(weights)} weights for {len(models)} models")
    if weights is not None:
        check_weights(weights)  # before anything is scored
    options = options or Options()
    loaded = load_all(models, options.device)
    for model, one in zip(models[1:], loaded[1:], strict=True):
        check_fit(str(models[0]), loaded[0].bundle, str(model), one.bundle)
    dataset = open_for(loaded, data)
    subject = common_pictures(loaded, dataset, split)
    selection = score_all(loaded, subject, dataset, options)
    chosen = _weights(selection, loaded, weights, greedy, combine)
    best = min(range(len(loaded)), key=lambda i: (-selection[i].top1, selection[i].loss))
    scored = subject if score_split in (None, split) else common_pictures(loaded, dataset, score_split)
    results = selection if scored is subject else score_all(loaded, scored, dataset, options)
    logits = aligned(results, loaded)
    together = combine_members(logits, chosen, combine)
    labels = results[0].labels
    on_test = (greedy and subject.split == "test") or any(result.selected_on_test for result in results)
    whole = score(
        together.astype(np.float32),
        labels,
        loaded[0].bundle.preprocess,
        protocol=results[0].protocol,
        cost=sum(result.cost for result, weight in zip(results, chosen, strict=True) if weight > 0),
        precision=results[0].precision,
        selected_on_test=on_test,
    )
    value = {
        "combine": combine,
        "selected_on": subject.split if greedy else None,
        "scored_on": scored.split,
        "images": whole.images,
        "ensemble": whole.to_json(),
        "members": [
            {"model": str(model), "weight": weight, "score": result.to_json()}
            for model, weight, result in zip(models, chosen, results, strict=True)
        ],
        "gain": asdict(gain_over(together, logits, labels, best)),
        "mean_member_loss": float(np.mean([r.loss for r, w in zip(results, chosen, strict=True) if w > 0])),
        "model": None,
    }
    if out is not None:
        about: dict[str, Any] = {
            "members": [str(model) for model in models],
            "path": dataset.path,
            "fingerprint": dataset.fingerprint(),
            "selected_on": "test" if on_test else value["selected_on"],
        }
        scores = {scored.split: whole.to_json()}
        seal_ensemble(out, models, weights=chosen, combine=combine, data=about, scores=scores)
        value["model"] = str(out)
    return value


def aligned(results: Sequence[Evaluation], loaded: Sequence[Loaded]) -> list[Any]:
    """The members' logits with their classes in the first member's order."""
    orders = [class_order(loaded[0].bundle.classes, one.bundle.classes) for one in loaded]
    return [r.logits if order is None else r.logits[:, order] for r, order in zip(results, orders, strict=True)]


def _weights(
    selection: Sequence[Evaluation],
    loaded: Sequence[Loaded],
    weights: Sequence[float] | None,
    greedy: bool,
    combine: Combine,
) -> list[float]:
    if weights is not None:
        return [float(weight) for weight in weights]
    if not greedy:
        return [1.0] * len(loaded)
    return [float(n) for n in select_greedily(aligned(selection, loaded), selection[0].labels, combine)]
