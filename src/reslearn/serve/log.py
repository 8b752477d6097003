"""One line a request on standard error, written by a thread of its own: that nobody reads it holds up no answer."""

from __future__ import annotations

import json
import queue
import threading
import time
from dataclasses import asdict, dataclass

from ..runtime.notes import speak
from ..spec.text import shown_json
from .settings import LogFormat

KEPT = 10_000  # lines that may wait to be written; more are counted, and left out


@dataclass(frozen=True)
class Line:
    """What is said of a request. `status` 499: the client hung up before it was answered."""

    id: str
    method: str
    path: str
    status: int
    seconds: float
    pictures: int = 0
    model: str | None = None
    error: str | None = None


class Log:
    """The lines of one server."""

    def __init__(self, form: LogFormat) -> None:
        self._form = form
        self._lines: queue.Queue[str | None] = queue.Queue(KEPT)
        self._left_out = 0
        self._thread = threading.Thread(target=self._write, name="reslearn log", daemon=True)
        self._thread.start()

    def request(self, line: Line) -> None:
        """Say what became of a request."""
        self._put(_as_json(line) if self._form == "json" else _as_text(line))

    def say(self, text: str) -> None:
        """Any other line."""
        self._put(json.dumps({"time": _now(), "note": text}) if self._form == "json" else text)

    def close(self, seconds: float = 1.0) -> None:
        """Write what waits, for so long at most."""
        try:
            self._lines.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(seconds)

    def _put(self, text: str) -> None:
        try:
            self._lines.put_nowait(text)
        except queue.Full:
            self._left_out += 1

    def _write(self) -> None:
        while (text := self._lines.get()) is not None:
            speak(text)
            if self._left_out and self._lines.empty():
                count, self._left_out = self._left_out, 0
                self.say(f"{count:,} lines were left out: standard error was not read")


def _as_text(line: Line) -> str:
    words = [line.id, line.method, line.path, str(line.status), f"{1000 * line.seconds:.1f} ms"]
    if line.pictures:
        words.append(f"{line.pictures} picture{'s' * (line.pictures > 1)} {line.model}")
    if line.error:
        words.append(f"({line.error})")
    return " ".join(words)


def _as_json(line: Line) -> str:
    return shown_json(json.dumps({"time": _now(), **asdict(line), "seconds": round(line.seconds, 6)}))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
