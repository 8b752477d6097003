"""Scores of a protocol's views: pictures are read once, each view is cut from them, each is scored once.

A view's scores are logits, or for a whole picture the average over the positions at which the head was applied (the log
of the mean probability, or mean logits). Averaging views is then arithmetic: `combine_views`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Dataset, Image, Indices
from ..data.loaders import eval_batches
from ..data.preprocess import apply, to_batch, uncropped
from ..data.workers import parallel_map
from ..engine.scorer import Logits, Scorer, at_once
from ..spec.choices import Combine
from ..spec.errors import UserError
from ..spec.preprocess import Preprocess
from .ensemble import combine_members
from .protocols import View

CHUNK, CHUNK_SIDE = 64, 1024  # pictures read at once, of up to so many pixels a side; fewer of larger ones
WHOLE = 16  # whole pictures read at once: how large they are is not known before


def predict_logits(scorer: Scorer, dataset: Dataset, preprocess: Preprocess, *, workers: int = 0) -> Logits:
    """Logits (N, C) of every picture once, prepared as a whole, in the data's order."""
    if len(dataset) == 0:
        raise UserError(f"{dataset.path or 'the data'}: no pictures to evaluate")
    size = at_once(scorer.batch_size, preprocess.size, preprocess.size)
    with scorer.ready():
        if scorer.prepares == preprocess:
            return _whole_logits(scorer, dataset, workers)
        batches = eval_batches(dataset, preprocess, batch_size=size, workers=workers)
        return np.concatenate([scorer(images) for images in batches])


def _whole_logits(scorer: Scorer, dataset: Dataset, workers: int) -> Logits:
    """Logits of pictures that the engine itself prepares, (N, C)."""
    chunks = [np.arange(i, min(i + WHOLE, len(dataset))) for i in range(0, len(dataset), WHOLE)]
    return np.concatenate([scorer.whole(pictures) for pictures in parallel_map(WholeReader(dataset), chunks, workers)])


class WholeReader:
    """Indices of pictures -> these pictures, as they are; picklable, for worker processes."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __call__(self, chunk: Indices) -> list[Image]:
        return [self.dataset.read(int(i))[0] for i in chunk]


def score_views(scorer: Scorer, dataset: Dataset, views: Sequence[View], *, workers: int = 0) -> dict[str, Logits]:
    """View name -> (N, C) float32 in the data's order."""
    if [view.name for view in views] == ["centre"]:  # as training ends with, to the last bit
        return {"centre": predict_logits(scorer, dataset, views[0].preprocess, workers=workers)}
    side = max(view.preprocess.size for view in views)
    step = at_once(CHUNK, side, side, side=CHUNK_SIDE)
    chunks = [np.arange(i, min(i + step, len(dataset))) for i in range(0, len(dataset), step)]
    rows: dict[str, list[Logits]] = {view.name: [] for view in views}
    with scorer.ready():
        for cut in parallel_map(ViewReader(dataset, tuple(views)), chunks, workers):
            for view, pictures in zip(views, cut, strict=True):
                rows[view.name].append(_scores(scorer, pictures, view))
    return {name: np.concatenate(parts) for name, parts in rows.items()}


def _scores(scorer: Scorer, pictures: list[Image], view: View) -> Logits:
    """(N, C) of one view's pieces: those of equal shape are scored together."""
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i, picture in enumerate(pictures):
        by_shape[picture.shape].append(i)
    scores: dict[int, Logits] = {}
    for places in by_shape.values():
        batch = to_batch([pictures[i] for i in places])
        found = scorer(batch) if view.place != "whole" else scorer.dense(batch, view.average)
        scores |= dict(zip(places, found, strict=True))
    return np.stack([scores[i] for i in range(len(pictures))])


class ViewReader:
    """Indices of pictures -> for each view the uint8 pieces of all of them; picklable, for worker processes."""

    def __init__(self, dataset: Dataset, views: tuple[View, ...]) -> None:
        self.dataset, self.views = dataset, views

    def __call__(self, chunk: Indices) -> list[list[Image]]:
        images = [self.dataset.read(int(i))[0] for i in chunk]
        resized = {p: [_source(image, p) for image in images] for p in {view.preprocess for view in self.views}}
        return [[cut_view(source, view) for source in resized[view.preprocess]] for view in self.views]


def _source(image: Image, preprocess: Preprocess) -> Image:
    """What a view is cut from: the uncropped picture, or the prepared one where the preprocessing does not crop."""
    return uncropped(image, preprocess) if preprocess.mode == "crop" else apply(image, preprocess)


def cut_view(source: Image, view: View) -> Image:
    """The piece of an already resized picture that a view shows, uint8 (H, W, 3)."""
    size = view.preprocess.size
    if view.place != "whole":
        bottom, right = source.shape[0] - size, source.shape[1] - size
        top = {"top": 0, "bottom": bottom}.get(view.place.partition("-")[0], round(bottom / 2))
        left = {"left": 0, "right": right}.get(view.place.partition("-")[2], round(right / 2))
        source = source[top : top + size, left : left + size]
    if view.shift != (0, 0):
        down, along = view.shift
        source = source[_moved(source.shape[0], down)][:, _moved(source.shape[1], along)]
    return source[:, ::-1] if view.flip else source


def _moved(length: int, by: int) -> NDArray[np.int64]:
    """Source rows of a picture moved by `by` pixels; beyond the border it is mirrored, the edge not repeated."""
    at = np.abs(np.arange(length) - by)
    return np.where(at >= length, 2 * (length - 1) - at, at)


def combine_views(scores: Sequence[Logits], average: Combine) -> Logits:
    """The views' scores (N, C) as one: the log of the mean probability, or the mean logits. One view stays itself."""
    if len(scores) == 1:
        return scores[0]
    return combine_members(scores, [1.0] * len(scores), average).astype(np.float32)
