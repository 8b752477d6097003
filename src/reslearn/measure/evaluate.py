"""How good is a network? Every picture is scored once, in fp32 unless told otherwise; the rest is float64 arithmetic.

pictures = the split that is asked for
labels   = the pictures' classes, carried over to the network's by name
logits   = scorer(resize(picture)) of each view, averaged as the protocol says
numbers  = metrics of (logits, labels)

Around it stand two that keep a score honest: a `Lookout` looks before and after whether these pictures are what they
were and which of them were seen in training, and a `Recogniser` is what a model knows its training pictures by.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from ..bundle.file import Loaded
from ..data.dataset import Dataset
from ..data.memory import Subset, part
from ..data.parts.known import Recogniser
from ..data.sources import open_data
from ..engine.models import Model, engine_of, scorer_of, width_of
from ..engine.scorer import Logits, Scorer
from ..runtime.process_group import joined
from ..spec.choices import Width
from ..spec.errors import UserError
from ..spec.preprocess import Preprocess
from . import metrics
from .cache import Kept
from .classes import class_map
from .evaluation import Evaluation, at_temperature, score
from .lookout import Lookout
from .protocols import Protocol, View, parse_protocol
from .scoring import Scoring
from .sharding import Share
from .views import combine_views, score_views


def evaluate(
    loaded: Model,
    data: Dataset | str | os.PathLike[str],
    scoring: Scoring = Scoring(),  # noqa: B008 - a frozen value
    *,
    lookout: Lookout | None = None,
    recogniser: Recogniser | None = None,
) -> Evaluation:
    """Score an opened model on the part of `data` that `scoring` names, as it says.

    `lookout` watches exactly these pictures, where more than this score depends on what was seen of them, and
    `recogniser` knows more of what this model has seen than its file. Inside a process group the pictures are shared
    out and every process returns the same. Raises `UserError` for data that declares other splits only, is empty, or
    has a class that the model does not know, where the network answers with what are no numbers, and what the
    lookout's rule raises.
    """
    precision, engine = width_of(loaded, scoring.precision), engine_of(loaded, scoring.engine)
    if isinstance(loaded, Loaded):
        check_width(loaded.net, precision)
    pictures = chosen_part(open_data(data) if isinstance(data, (str, os.PathLike)) else data, scoring.split)
    to_model = class_map(loaded.bundle.classes, pictures.classes, loaded.bundle.num_classes)
    protocol = parse_protocol(scoring.protocol, loaded.bundle.preprocess)
    recogniser = recogniser or loaded.known
    lookout = lookout or Lookout(pictures, [recogniser])
    lookout.before()
    view_logits, from_cache = score_or_read(loaded, lookout, protocol, scoring)
    logits = combine_views([view_logits[view.name] for view in protocol.views], protocol.average)
    metrics.check_answers(logits, precision)
    lookout.after()
    scored = score(
        logits,
        to_model[pictures.labels],
        protocol.preprocess,
        protocol=protocol.name,
        cost=protocol.cost(loaded.bundle.preprocess.size),
        precision=precision,
        engine=engine,
        selected_on_test=(loaded.bundle.data or {}).get("selected_on") == "test",
        seen=lookout.seen(recogniser),
        kept=from_cache,
    )
    temperature = loaded.bundle.temperature
    calibrated = None if temperature is None else at_temperature(scored.logits, scored.labels, temperature)
    return replace(scored, classes=loaded.bundle.classes, calibrated=calibrated)


def check_width(net: nn.Module, precision: Width) -> None:
    """Raise `UserError` where a score would be called fp32 though the weights have been given another width."""
    other = {p.dtype for p in net.parameters() if p.is_floating_point()} - {torch.float32}
    if other and precision == "fp32":
        width = str(other.pop()).removeprefix("torch.")
        raise UserError(
            f"the network's weights are {width}, so its score is none of fp32; net.float(), or load it again"
        )


def chosen_part(data: Dataset, split: str | None) -> Dataset:
    """The pictures that `split` means; without one, `test`, or the whole of data that declares no splits: its `all`."""
    if split is not None and not data.splits:
        if split == "all":
            return data
        where = data.path or "DATA"
        raise UserError(
            f"{data.path or 'the data'}: it declares no splits, so there is no '{split}'; make some with "
            f"`reslearn data split {where} --ratio 8:1:1`, or take all its pictures with --split all"
        )
    if split is None and data.splits and "test" not in data.splits:
        have = ", ".join(sorted(data.splits))
        raise UserError(f"{data.path or 'the data'}: it declares {have} and no test; name one with --split")
    if split == "all" and "all" not in data.splits:
        return Subset(data, np.arange(len(data)))  # which declares no splits that could be meant
    return part(data, "test" if split is None and data.splits else split)


def score_or_read(
    loaded: Model, lookout: Lookout, protocol: Protocol, scoring: Scoring
) -> tuple[dict[str, Logits], bool]:
    """The logits of each view, from the cache where they are there, else computed by all processes and put there.

    Also whether all were there.
    """
    world, pictures = joined(), lookout.pictures
    kept = None
    if scoring.cache and world.first:
        how = width_of(loaded, scoring.precision), engine_of(loaded, scoring.engine)
        kept = Kept(scoring.cache, loaded, pictures, protocol.preprocess, *how)
    there = world.tell(kept.read(protocol.views) if kept else {})  # all must agree on what is missing
    missing = [view for view in protocol.views if view.name not in there]
    if not missing:
        return there, True
    scorer = scorer_of(
        loaded,
        engine=scoring.engine,
        precision=scoring.precision,
        device=scoring.device,
        batch_size=scoring.batch_size,
    )
    found = shared_scores(scorer, Share.of(pictures), missing, workers=scoring.workers)
    if kept:
        lookout.writes(lambda: kept.add(missing, found))
    return there | found, False


def evaluate_net(scorer: Scorer, dataset: Dataset, preprocess: Preprocess) -> Evaluation:
    """1-crop scores of a network whose classes are the data's own, as training ends with; shared out as `evaluate`.

    Raises `NotFinite` where its answers are no numbers.
    """
    logits = shared_scores(scorer, Share.of(dataset), [View("centre", preprocess)])["centre"]
    metrics.check_answers(logits, scorer.precision)
    return score(logits, np.asarray(dataset.labels), preprocess, precision=scorer.precision, engine=scorer.engine)


def shared_scores(scorer: Scorer, share: Share, views: Sequence[View], *, workers: int = 0) -> dict[str, Logits]:
    """`score_views` of all pictures, of which this process reads its `share`; every process returns all rows."""
    found = {view.name: np.empty((0, 0), np.float32) for view in views}
    if len(share.pictures):  # fewer pictures than processes leave some without
        found = score_views(scorer, share.pictures, views, workers=workers)
    return {name: share.gather(rows) for name, rows in found.items()}
