"""What training will need next is fetched while it computes: a thread that keeps one window of shards before it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import numpy as np

from ..dataset import Indices
from ..table import Ahead
from .sampling import EndlessOrder


@contextlib.contextmanager
def ahead(
    sequence: EndlessOrder, where: Indices, fetch: Ahead, start: int, stop: int
) -> Iterator[Callable[[int], None]]:
    """Fetch what positions `start` ... `stop` - 1 need, a stretch before the one that is trained on.

    Sample `s` is row `where[s]`. Yields what is to be told each position that training has come to.
    """
    reached, moved, ended, own = start, threading.Condition(), threading.Event(), sequence.copy()

    def come_to(position: int) -> bool:
        with moved:
            moved.wait_for(lambda: ended.is_set() or reached >= position)
        return not ended.is_set()

    def work() -> None:
        before = start
        for first, last in _stretches(own, start, stop):
            if not come_to(before):
                return
            samples, _ = own.at(np.arange(first, last, dtype=np.int64))
            fetch(where[samples], ended)
            before = first

    def tell(position: int) -> None:
        nonlocal reached
        with moved:
            reached = position
            moved.notify()

    thread = threading.Thread(target=work, name="fetches ahead", daemon=True)
    thread.start()
    try:
        yield tell
    finally:
        ended.set()
        with moved:
            moved.notify()
        thread.join()


def _stretches(sequence: EndlessOrder, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """(first, end) of the positions that are fetched together."""
    while start < stop:
        epoch, within = divmod(start, sequence.epoch_length)
        ends = sequence.stretches(epoch)
        end = epoch * sequence.epoch_length + int(ends[np.searchsorted(ends, within, side="right")])
        yield start, min(end, stop)
        start = end
