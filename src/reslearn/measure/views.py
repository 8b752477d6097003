"""Scores of a protocol's views: pictures are read once, each view is cut from them, each is scored once.

A view's scores are logits, or for a whole picture the average over the positions at which the head was applied (the log
of the mean probability, or mean logits). Averaging views is then arithmetic: `combine_views`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data.dataset import Dataset, Image, Indices
from ..data.preprocess import apply, normalise, to_batch, uncropped
from ..data.workers import parallel_map
from ..nets.resnet import Head
from ..spec.errors import UserError
from ..spec.preprocess import Preprocess
from .metrics import log_softmax
from .protocols import Average, View

Logits = NDArray[np.float32]
CHUNK = 64  # pictures read at once


def score_views(
    net: nn.Module,
    dataset: Dataset,
    views: Sequence[View],
    *,
    size: int,
    batch_size: int = 256,
    device: str = "cpu",
    workers: int = 0,
    mean_image: Tensor | None = None,
) -> dict[str, Logits]:
    """View name -> (N, C) float32 in the data's order. To be called inside `runtime.inference.evaluating`.

    `size` is the side the network was trained at. A forward pass sees at most the pixels of `batch_size` such crops.
    """
    chunks = [np.arange(i, min(i + CHUNK, len(dataset))) for i in range(0, len(dataset), CHUNK)]
    rows: dict[str, list[Logits]] = {view.name: [] for view in views}
    for cut in parallel_map(ViewReader(dataset, tuple(views)), chunks, workers):
        for view, pictures in zip(views, cut, strict=True):
            scores: dict[int, Logits] = {}
            for at, batch in _batches(pictures, batch_size * size**2):
                shaped = mean_for(mean_image, batch.shape[-2], batch.shape[-1])
                x = normalise(batch.to(device), view.preprocess, shaped).to(memory_format=torch.channels_last)
                y = net(x) if view.place != "whole" else dense_scores(net, x, size, view.average)
                scores |= dict(zip(at, y.float().cpu().numpy(), strict=True))
            rows[view.name].append(np.stack([scores[i] for i in range(len(pictures))]))
    return {name: np.concatenate(parts) for name, parts in rows.items()}


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


def _batches(pictures: list[Image], pixels: int) -> Iterator[tuple[list[int], Tensor]]:
    """Pictures of equal shape together, at most `pixels` at a time: (their places, uint8 (b, 3, H, W))."""
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i, picture in enumerate(pictures):
        by_shape[picture.shape].append(i)
    for (height, width, _), places in by_shape.items():
        step = max(pixels // (height * width), 1)
        for start in range(0, len(places), step):
            at = places[start : start + step]
            yield at, to_batch([pictures[i] for i in at])


def mean_for(mean_image: Tensor | None, height: int, width: int) -> Tensor | None:
    """The mean image for pictures of this shape; for any but its own, its mean colour."""
    if mean_image is None or mean_image.shape[1:] == (height, width):
        return mean_image
    return mean_image.mean(dim=(1, 2), keepdim=True).expand(-1, height, width)


def dense_scores(net: nn.Module, images: Tensor, size: int, average: Average) -> Tensor:
    """(B, C): the head applied at every position of the last map, as if cut to the map of a `size` picture, averaged.

    A picture of the training size has one position, and scores as it does in one crop (up to a constant per picture
    under `softmax`). Raises `UserError` for a network without a convolutional map, or a picture smaller than `size`.
    """
    if hasattr(net, "members"):
        ensemble = cast(Any, net)
        combined: Tensor = ensemble.combined([dense_scores(m, images, size, average) for m in ensemble.members])
        return combined
    if not hasattr(net, "stage_maps"):
        raise UserError(f"multi-scale needs a network of the catalogue; {type(net).__name__} has no stage maps")
    whole = cast(Any, net)
    window = whole.stage_maps(images.new_zeros(1, images.shape[1], size, size))[-1].shape[-1]
    last: Tensor = whole.stage_maps(images)[-1]
    if min(last.shape[-2:]) < window:
        raise UserError(f"a picture of {tuple(images.shape[-2:])} pixels is smaller than the training size {size}")
    logits = head_everywhere(whole.head, last, window).float()
    if average == "logits":
        return logits.mean(1)
    return logits.log_softmax(2).logsumexp(1) - float(np.log(logits.shape[1]))


def head_everywhere(head: nn.Module, last: Tensor, window: int) -> Tensor:
    """(B, C, H, W) -> (B, positions, classes): `head` on every window x window piece of the map."""
    if isinstance(head, Head):  # a mean and a linear map: pool all windows at once
        pooled: Tensor = head.fc(F.avg_pool2d(last, window, stride=1).flatten(2).transpose(1, 2))
        return pooled
    pieces = last.unfold(2, window, 1).unfold(3, window, 1).permute(0, 2, 3, 1, 4, 5)
    scores: Tensor = head(pieces.reshape(-1, last.shape[1], window, window))
    return scores.view(len(last), -1, scores.shape[1])


def combine_views(scores: Sequence[Logits], average: Average) -> Logits:
    """The views' scores (N, C) as one: the log of the mean probability, or the mean logits. One view stays itself."""
    if len(scores) == 1:
        return scores[0]
    if average == "logits":
        return np.asarray(np.mean(np.asarray(scores, dtype=np.float64), axis=0), dtype=np.float32)
    total = np.zeros(scores[0].shape)
    for part in scores:
        total += np.exp(log_softmax(part))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(total / len(scores)), dtype=np.float32)
