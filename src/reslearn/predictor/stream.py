"""From given pictures to logits: decoded ahead by threads or processes, scored in batches, in order, in bounded memory.

What is in a batch follows from the pictures alone, so that the same pictures get the same bits again.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Image
from ..data.preprocess import apply, to_batch
from ..data.workers import in_threads, parallel_map
from ..engine.graphs import GraphScorer
from ..engine.scorer import SIDE, Logits, Scorer, TorchScorer, at_once
from ..measure.metrics import check_answers
from ..nets.net import as_net
from ..spec.errors import UserError
from ..spec.preprocess import Preprocess
from .given import Given

CHUNK = 8  # pictures that a thread reads at a time


@dataclass(frozen=True, eq=False)
class Scored:
    """A picture's name (None in memory, then `picture` is what was given), and its answer or why it has none."""

    path: str | None
    picture: Any
    logits: NDArray[np.float32] | None  # (classes,)
    features: NDArray[np.float32] | None = None  # (channels,) of the layer that was asked for
    error: str | None = None


@dataclass(frozen=True)
class Reading:
    """Numbers of pictures to their pixels, or to a line that says why not. Picklable: worker processes have it, too."""

    given: Given
    prepare: Preprocess | None  # None: the engine prepares them

    def __call__(self, places: Sequence[int]) -> list[Image | str]:
        return [self.one(place) for place in places]

    def one(self, place: int) -> Image | str:
        try:
            image = self.given.read(place)
        except UserError as error:
            return str(error)
        try:
            return image if self.prepare is None else apply(image, self.prepare)
        except UserError as error:
            return f"{self.given.path(place) or f'picture {place + 1}'}: {error}"


def scored(
    scorer: Scorer,
    preprocess: Preprocess,
    given: Given,
    runs: Sequence[Sequence[int]],
    *,
    layer: str | None = None,
    threads: int | None = None,
    workers: int = 0,
) -> Iterator[Scored]:
    """Answers to the pictures of `given` whose numbers are in `runs`, in order. No batch holds pictures of two runs.

    `workers` processes or else `threads` threads (None: one a core) read and prepare pictures while the engine works
    on those before. With `layer`, the mean over the places of that layer's map, too. Raises `UserError` where the
    network's answers are no numbers; a picture that cannot be read is an answer with its `error`.
    """
    whole = scorer.prepares is not None and layer is None
    reading = Reading(given, None if whole else preprocess)
    step = at_once(scorer.batch_size, preprocess.size, preprocess.size)
    most = step * max(SIDE, preprocess.size) ** 2  # pixels of one batch, of whole pictures
    few = sum(map(len, runs)) <= CHUNK
    ahead = 1 if whole else CHUNK  # whole pictures are large
    chunks = [run[start : start + ahead] for run in runs for start in range(0, len(run), ahead)]
    ends = set(itertools.accumulate(-(-len(run) // ahead) for run in runs))  # chunks that end a run
    with contextlib.closing(_read(reading, chunks, 0 if few else threads, workers)) as found:
        batch: list[tuple[int, Image | str]] = []
        pixels = 0
        for number, (chunk, images) in enumerate(zip(chunks, found, strict=True), 1):
            for place, image in zip(chunk, images, strict=True):
                size = 0 if isinstance(image, str) else image.shape[0] * image.shape[1]
                if batch and (len(batch) >= step or pixels + size > most):
                    yield from _answers(scorer, given, batch, layer)
                    batch, pixels = [], 0
                batch.append((place, image))
                pixels += size
            if batch and number in ends:
                yield from _answers(scorer, given, batch, layer)
                batch, pixels = [], 0


def _read(
    reading: Reading, chunks: Sequence[Sequence[int]], threads: int | None, workers: int
) -> Generator[list[Image | str]]:
    yield from parallel_map(reading, chunks, workers) if workers else in_threads(reading, chunks, threads)


def _answers(
    scorer: Scorer, given: Given, batch: Sequence[tuple[int, Image | str]], layer: str | None
) -> Iterator[Scored]:
    sound = [image for _, image in batch if not isinstance(image, str)]
    logits, features = outputs(scorer, sound, layer) if sound else (np.empty((0, 0), np.float32), None)
    if sound:
        check_answers(logits, scorer.precision)
    row = 0
    for place, image in batch:
        path, picture = given.path(place), given.held(place)
        if isinstance(image, str):
            yield Scored(path, picture, None, error=image)
        else:
            yield Scored(path, picture, logits[row], None if features is None else features[row])
            row += 1


def outputs(scorer: Scorer, images: Sequence[Image], layer: str | None) -> tuple[Logits, NDArray[np.float32] | None]:
    """(N, classes) logits, and with `layer` (N, channels) its mean over places. Pictures are prepared unless the engine
    does that and no layer is asked for."""
    if layer is None:
        return (scorer.whole(images) if scorer.prepares is not None else scorer(to_batch(list(images)))), None
    found = named_outputs(scorer, images)
    if layer not in found:
        raise UserError(f"--features {layer}: no such layer; this model on {scorer.engine} has {', '.join(found)}")
    values = found[layer]
    return found["logits"], values.mean((2, 3)) if values.ndim == 4 else values.reshape(len(values), -1)


def named_outputs(scorer: Scorer, images: Sequence[Image]) -> dict[str, NDArray[np.float32]]:
    """Prepared pictures to every output that has a name, `logits` among them."""
    batch = to_batch(list(images))
    if isinstance(scorer, TorchScorer):
        import torch

        net = as_net(scorer.net, "--features")
        with scorer.ready():
            x = scorer.normalise(batch.to(scorer.device)).to(memory_format=torch.channels_last)
            return {name: value.float().cpu().numpy() for name, value in net.features(x).items()}
    if not isinstance(scorer, GraphScorer):
        raise UserError("--features needs a sealed file on --engine torch, or an export with --outputs both")
    return scorer.outputs(scorer.taken(batch))


def check_layer(scorer: Scorer, layer: str | None, size: int) -> None:
    """Before any work: raise `UserError` for a layer that the model does not have, naming those that it has."""
    if layer is not None:
        outputs(scorer, [np.zeros((size, size, 3), np.uint8)], layer)


def batched(pictures: Iterable[Any], count: int) -> Iterator[list[Any]]:
    """Lists of `count` pictures as they come, the last one shorter."""
    some: list[Any] = []
    for one in pictures:
        some.append(one)
        if len(some) == count:
            yield some
            some = []
    if some:
        yield some
