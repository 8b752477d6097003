"""A signal asks a run to stop: the loop answers after its step, and what is done by then is on disk."""

from __future__ import annotations

import contextlib
import signal
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)  # what asks a run to stop


class Interrupted(Exception):
    """The run was asked to stop by signal `signum`; its state is on disk and `resume` goes on from there."""

    def __init__(self, folder: Path, signum: int) -> None:
        super().__init__(f"stopped and saved; go on with: reslearn resume {folder}")
        self.signum = signum


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], int | None]]:
    """Ctrl-C and SIGTERM become a request that the loop answers after its step; a second one acts at once.

    Yields what tells the signal that was received, if any.
    """
    received: list[int] = []
    before: dict[int, Any] = {}

    def put_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def remember(number: int, frame: types.FrameType | None) -> None:
        received.append(number)
        put_back()

    if threading.current_thread() is threading.main_thread():
        before |= {number: signal.signal(number, remember) for number in SIGNALS}
    try:
        yield lambda: received[-1] if received else None
    finally:
        put_back()
