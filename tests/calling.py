"""Plugins of pytest for the mutants: which test calls what, and to run some tests in some order."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mutating import Mutant

Place = tuple[str, int]  # a file from the root, and the first line of a function in it


@dataclass(eq=False)  # pytest wants to hash its plugins
class Calls:
    """A plugin of pytest: which functions of the package each test calls, and what it takes."""

    source: str
    tests: dict[str, set[Place]] = field(default_factory=dict)
    shared: dict[str, set[Place]] = field(default_factory=dict)  # by a module's fixtures, and under "" by a session's
    seconds: dict[str, float] = field(default_factory=dict)
    starting: set[str] = field(default_factory=set)  # tests that start other processes, whose calls nobody sees
    _now: set[Place] = field(default_factory=set)
    _known: dict[int, tuple[Place | None, Any]] = field(default_factory=dict)  # by the id of a function's code
    _test: str = ""

    def trace(self, frame: Any, event: str, value: Any) -> None:
        """Called by Python for every function's beginning, other packages' too: so it is quick."""
        found = self._known.get(id(frame.f_code))
        if found is None:
            code = frame.f_code  # kept, so that no other gets its id
            ours = code.co_filename.startswith(self.source)
            place = ("src" + code.co_filename[len(self.source) :], code.co_firstlineno) if ours else None
            found = self._known[id(code)] = (place, code)
        if found[0] is not None:
            self._now.add(found[0])

    @contextlib.contextmanager
    def into(self, places: set[Place]) -> Iterator[None]:
        """Write calls down in `places` meanwhile."""
        before, self._now = self._now, places
        try:
            yield
        finally:
            self._now = before

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        started, self._test = time.monotonic(), item.nodeid
        with self.into(self.tests.setdefault(item.nodeid, set())):
            sys.settrace(self.trace)
            try:
                return (yield)
            finally:
                sys.settrace(None)
                self.seconds[item.nodeid] = time.monotonic() - started

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Any:
        if fixturedef.scope == "function":
            return (yield)
        file = request.node.nodeid if fixturedef.scope in ("module", "class") else ""
        with self.into(self.shared.setdefault(file.partition("::")[0], set())):
            return (yield)

    def audit(self, event: str, values: Any) -> None:
        """Called by Python for what has to do with the world."""
        if event == "subprocess.Popen" and str(values[0]) == sys.executable:  # another would run nothing of ours
            self.starting.add(self._test)

    def meeting(self, mutant: Mutant) -> list[str]:
        """The tests that may notice a mutant, those that are likely to do it soon first."""
        place = mutant.path, mutant.function

        def calls(places: set[Place]) -> bool:
            return any(file == mutant.path and (line == place[1] or not place[1]) for file, line in places)

        everywhere = calls(self.shared.get("", set()))
        called = [
            test
            for test, places in self.tests.items()
            if everywhere
            or calls(places)
            or calls(self.shared.get(test.partition("::")[0], set()))
            or (not mutant.function and "test_values.py" in test)  # which look at classes and call nothing
        ]
        chosen = [test for test in called if test not in self.starting]
        late = [test for test in self.tests if test in self.starting]
        cost: dict[str, float] = {}
        for test in chosen:
            cost[test.partition("::")[0]] = cost.get(test.partition("::")[0], 0) + self.seconds[test]
        name = Path(mutant.path).stem

        def order(test: str) -> tuple[bool, float, str]:
            file = test.partition("::")[0]
            return name not in Path(file).stem, cost[file], file

        return sorted(chosen, key=order) + sorted(late, key=lambda test: self.seconds[test])


@dataclass(eq=False)
class Chosen:
    """A plugin of pytest that runs these tests, in this order."""

    tests: list[str]
    seconds: dict[str, float]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Any:
        signal.setitimer(signal.ITIMER_PROF, 20 + 5 * self.seconds[item.nodeid])  # of computing; it ends the process
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        place = {test: i for i, test in enumerate(self.tests)}
        items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])
