"""A signal asks a run to stop: the loop answers after its step, and what is done by then is on disk."""

from __future__ import annotations

import signal
import threading
import types
from pathlib import Path
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)  # what asks a run to stop


class Interrupted(Exception):
    """The run was asked to stop by signal `signum`; its state is on disk and `resume` goes on from there."""

    def __init__(self, folder: Path, signum: int) -> None:
        super().__init__(f"stopped and saved; go on with: reslearn resume {folder}")
        self.signum = signum


class StopSignals:
    """Ctrl-C and SIGTERM become a request that the loop answers after its step; a second one acts at once."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: types.FrameType | None) -> None:
        self.received = number
        for known, handler in self._before.items():
            signal.signal(known, handler)
