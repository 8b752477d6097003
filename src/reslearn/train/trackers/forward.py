"""From the journal to boards, beside the run: a queue of bounded length and a thread for each.

A board that fails is said so once and asked no more; one that is slow loses lines, which is said once too. Neither
stops or slows the run, which never waits for a board but at its end, a few seconds for what is left in the queue.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import queue
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from ...runtime.notes import warn
from ...runtime.process_group import from_environment
from ...spec.choices import Tracker
from ...spec.codec import field_paths, to_json
from ...spec.credentials import without_secrets
from ...spec.errors import check_choice
from ...spec.net import spec_to_json
from ..events import Listener, Watch
from ..records.belonging import run_id
from ..records.run import RunRecord, read_record
from .adapters import About, Board, board

LENGTH = 2000  # lines that may wait for a board
PATIENCE = 10.0  # seconds at the end of a run, for what a board has still to take
Begin = Callable[[About], Board]


def boards(names: Sequence[str]) -> dict[Tracker, Begin]:
    """What begins on each board, its package imported. Raises `UserError` for no board, and one not installed."""
    asked = [names] if isinstance(names, str) else names
    for name in asked:
        check_choice("--log-to", name, get_args(Tracker))
    trackers = [tracker for tracker in get_args(Tracker) if tracker in asked]
    return {tracker: board(tracker) for tracker in trackers} if from_environment().first else {}


@contextlib.contextmanager
def forwarded(begins: Mapping[Tracker, Begin], run: Path, watch: Watch) -> Iterator[Watch]:
    """`watch`, with every line of the journal of the run in folder `run` told to the boards, too."""
    if not begins:
        yield watch
        return
    forwards = [_Forward(tracker, begin, run) for tracker, begin in begins.items()]

    def line(values: Mapping[str, Any]) -> None:
        for forward in forwards:
            forward.put(values)
        if isinstance(watch, Listener):
            watch.line(values)

    with contextlib.redirect_stdout(sys.stderr):  # some greet their user there, where one JSON value may be expected
        try:
            yield Listener(watch, line)
        finally:
            for forward in forwards:
                forward.end()


class _Forward:
    """The lines that one board is still to take, and the thread that gives them."""

    def __init__(self, tracker: Tracker, begin: Begin, run: Path) -> None:
        self._tracker, self._begin, self._run = tracker, begin, run
        self._lines: queue.Queue[Mapping[str, Any] | None] = queue.Queue(LENGTH)
        self._lost, self._failed = 0, False
        self._thread: threading.Thread | None = None

    def put(self, line: Mapping[str, Any]) -> None:
        """Take a line, if there is room for it."""
        if self._failed:
            return
        if self._thread is None:  # the run's record is written by now
            self._thread = threading.Thread(target=self._give, name=f"to {self._tracker}", daemon=True)
            self._thread.start()
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            if not self._lost:
                warn(f"{self._tracker} does not keep up; what it has no room for is left out there")
            self._lost += 1

    def end(self) -> None:
        """Wait a little until all is given."""
        if self._thread is None:
            return
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=0 if self._failed else PATIENCE)
        self._thread.join(0 if self._failed else PATIENCE)
        if self._thread.is_alive() and not self._failed:
            warn(f"{self._tracker} has not taken all in {PATIENCE:.0f} s; the run is whole without it")

    def _give(self) -> None:
        there: Board | None = None
        step = 0
        try:
            while (line := self._lines.get()) is not None:
                if there is None:
                    there = self._begin(_about(self._run, line))
                step = int(line.get("step", step))  # the line that ends a run has none
                numbers = numbers_of(line)
                if numbers:
                    there.log(numbers, step)
            if there is not None:
                there.close()
        except BaseException as error:  # SystemExit too: no board ends a run
            self._failed = True
            reason = without_secrets(" ".join(str(error).split())) or type(error).__name__
            warn(f"{self._tracker} failed ({reason}); the run goes on without it")


def numbers_of(line: Mapping[str, Any]) -> dict[str, float]:
    """What a line of the journal says in numbers, named as `report --tensorboard` names them."""
    kind = line["kind"]
    found = {
        f"{kind}/{name}": float(value)
        for name, value in line.items()
        if name not in ("kind", "step") and isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    return found | {f"gradients/{layer}": float(norm) for layer, norm in line.get("norms", {}).items()}


def _about(run: Path, line: Mapping[str, Any]) -> About:
    record = read_record(run)
    recipe = {name: value for name, value in field_paths(record.recipe).items() if value is not None}
    plain = {name: value if isinstance(value, (str, int, float)) else str(value) for name, value in recipe.items()}
    settings = {"network": record.spec.name, "seed": record.seed, **{f"recipe.{n}": v for n, v in plain.items()}}
    return About(str(run), run.resolve().name, _identity(record), settings, int(line.get("step", 0)))


def _identity(record: RunRecord) -> str:
    """What a board knows the run by, before and after a resume: short trials of a sweep may begin in one second."""
    told = json.dumps([run_id(record), to_json(record.recipe), spec_to_json(record.spec)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]
