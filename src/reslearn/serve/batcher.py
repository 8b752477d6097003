"""One thread that scores the pictures of one model in batches, from a queue that is bounded.

A picture is counted from the moment that it is accepted, before it is decoded, until it is answered: that many the
queue holds, and no more. A batch waits for others only while others are known to be on their way.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..data.preprocess import to_batch
from ..engine.scorer import Scorer
from ..runtime.notes import warn

Row = NDArray[np.float32]  # (classes,) logits
Scored = Callable[[int, float], None]  # told of each batch: its pictures, its seconds


class Full(Exception):
    """The queue holds as many pictures as it may."""


@dataclass(frozen=True)
class Unanswered:
    """The engine has no answer to this picture, and why not in one line."""

    error: str


@dataclass(eq=False)
class Work:
    """A prepared picture, uint8 (S, S, 3), or a normalised one, float32 (3, S, S); and who waits for its logits."""

    picture: NDArray[Any]
    answer: asyncio.Future[Row | Unanswered]
    since: float = field(default_factory=time.monotonic)

    @property
    def normalised(self) -> bool:
        """Whether it is what the network reads, and not pixels."""
        return self.picture.dtype == np.float32


class Batcher:
    """`score` pictures at most `max_batch` at once, at most `most` of them accepted at any time."""

    def __init__(self, scorer: Scorer, *, max_batch: int, max_wait: float, most: int, scored: Scored) -> None:
        self._scorer, self._max_batch, self._max_wait, self._most, self._scored = (
            scorer, max_batch, max_wait, most, scored
        )  # fmt: skip
        self._waiting: deque[Work] = deque()
        self._some = threading.Condition()
        self._closed = False
        self.accepted = 0  # pictures that are not answered yet; the event loop alone counts here, and below
        self.coming = 0  # requests whose pictures are still being received or decoded
        self._thread = threading.Thread(target=self._run, name="reslearn batcher", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def expecting(self) -> Iterator[Callable[[], None]]:
        """While a request's pictures are on their way, batches wait for them; call what is yielded once they are."""
        self.coming += 1
        here = [True]

        def arrived() -> None:
            if here:
                here.clear()
                self.coming -= 1

        try:
            yield arrived
        finally:
            arrived()

    @contextlib.contextmanager
    def accepting(self, count: int) -> Iterator[None]:
        """Room for `count` pictures until they are answered. Raises `Full` where there is none."""
        if self.accepted + count > self._most:
            raise Full
        self.accepted += count
        try:
            yield
        finally:
            self.accepted -= count

    async def score(self, pictures: Sequence[NDArray[Any]]) -> list[Row | Unanswered]:
        """The logits of accepted pictures, in order; of one that has none, why. Cancelling takes back what waits."""
        loop = asyncio.get_running_loop()
        works = [Work(picture, loop.create_future()) for picture in pictures]
        with self._some:
            if self._closed:
                raise RuntimeError("this model's thread has ended")
            self._waiting.extend(works)
            self._some.notify()
        return await asyncio.gather(*(work.answer for work in works))

    def close(self) -> None:
        """Answer what waits, then end; does not wait for that."""
        with self._some:
            self._closed = True
            self._some.notify()

    def _run(self) -> None:
        with self._scorer.ready():
            while batch := self._next():
                began = time.monotonic()
                answers = self._answers(batch)
                self._scored(len(batch), time.monotonic() - began)
                _deliver(batch, answers)

    def _next(self) -> list[Work]:
        """The next pictures, all of one kind; none once the end has come."""
        with self._some:
            while True:
                while not self._waiting and not self._closed:
                    self._some.wait()
                if not self._waiting:
                    return []
                until = self._waiting[0].since + self._max_wait
                while len(self._waiting) < self._max_batch and self.coming > 0 and not self._closed:
                    left = until - time.monotonic()
                    if left <= 0 or not self._some.wait(left):
                        break
                batch: list[Work] = []
                while self._waiting and len(batch) < self._max_batch:
                    if batch and self._waiting[0].normalised != batch[0].normalised:
                        break
                    work = self._waiting.popleft()
                    if not work.answer.done():  # its client has gone, or its time is up
                        batch.append(work)
                if batch:
                    return batch

    def _answers(self, batch: Sequence[Work]) -> list[Row | Unanswered]:
        """Logits; where the engine fails, each picture by itself, so that none takes others with it."""
        try:
            logits = self._logits(batch)
        except Exception as error:  # whatever an engine raises; the thread must go on
            if len(batch) > 1:
                return [answer for work in batch for answer in self._answers([work])]
            warn(f"the engine failed on a picture ({' '.join(str(error).split())[:200] or type(error).__name__})")
            return [Unanswered("the engine failed on this picture")]
        sound = ~(np.isnan(logits) | (logits == np.inf)).any(axis=1)
        bad = Unanswered("the network answers with NaN or infinity")
        return [row if ok else bad for row, ok in zip(logits, sound, strict=True)]

    def _logits(self, batch: Sequence[Work]) -> NDArray[np.float32]:
        pictures = [work.picture for work in batch]
        if batch[0].normalised:
            return self._scorer.normalised(torch.from_numpy(np.stack(pictures)))
        return self._scorer(to_batch(pictures))


def _deliver(batch: Sequence[Work], answers: Sequence[Row | Unanswered]) -> None:
    """Answers to the event loop that waits for them, all in one call; one that has ended wants none."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Work, Row | Unanswered]]] = {}
    for work, answer in zip(batch, answers, strict=True):
        by_loop.setdefault(work.answer.get_loop(), []).append((work, answer))
    for loop, some in by_loop.items():
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_hand_over, some)


def _hand_over(some: Sequence[tuple[Work, Row | Unanswered]]) -> None:
    for work, answer in some:
        if not work.answer.done():
            work.answer.set_result(answer)
