"""Would the tests notice? A seeded sample of small faults, each tried against the tests of its package.

    python tests/mutants.py [--count 150] [--seed 0] [--jobs 2] [--packages nets,train,measure,bundle] [--only TEXT]

A mutant is a copy of the sources with one operator, comparison, constant or statement changed. It is noticed when a
test fails or takes far longer than before. Those that cannot be noticed are named, with the reason, in mutants.txt.

The tests of a package are run once as they are, and what functions each of them calls is written down. A mutant then
meets the tests that call its function, the quickest files first, and those that start other processes last.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import pickle
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from calling import Calls, Chosen
from mutating import ROOT, Mutant, mutants

EQUIVALENT = Path(__file__).with_suffix(".txt")
HEAVY = (
    *("torch", "torch._dynamo", "sklearn.metrics", "scipy.stats", "cv2", "PIL.Image", "safetensors.torch", "pydantic"),
    *("typer", "jinja2", "rich.console", "hypothesis", "xml.etree.ElementTree"),
)


@dataclass
class Copy:
    """A copy of the checkout in which one mutant after the other is tried."""

    folder: Path
    origin: Path = ROOT

    def __post_init__(self) -> None:
        ignored = shutil.ignore_patterns("__pycache__") if self.origin == ROOT else None
        for name in ("src", "tests"):
            shutil.copytree(self.origin / name, self.folder / name, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", self.folder)

    def begin(self, tests: list[str], mutant: Mutant | None = None, *, calls: Path | dict[str, float]) -> int:
        """Run tests in a forked process, which has the large libraries loaded already; the process's number.

        `calls` is a file for what they call, or how long each of them took.
        """
        if mutant is not None:
            self._replace(mutant, mutant.source)
        process = os.fork()
        if process:
            return process
        try:
            self._in_the_child(tests, calls)
        finally:
            os._exit(70)

    def _in_the_child(self, tests: list[str], calls: Path | dict[str, float]) -> None:
        os.setsid()
        os.chdir(self.folder)
        output = os.open(self.folder / "output", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        for number in range(3):
            os.dup2(output, number)
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        shared = os.environ.get("RESLEARN_SHARED_DATA", str(ROOT.parent / "shared" / "data"))
        os.environ.update(PYTHONPATH=f"{self.folder}/src", TMPDIR=str(temporary), RESLEARN_SHARED_DATA=shared)
        tempfile.tempdir = None
        sys.path[:0] = [f"{self.folder}/src"]
        sys.dont_write_bytecode = isinstance(calls, dict)  # the first run's serves all others
        files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
        common = ["-x", "-q", "-p", "no:cacheprovider", *files]
        if isinstance(calls, dict):
            os._exit(int(pytest.main(common, plugins=[Chosen(tests, calls)])))
        plugin = Calls(f"{self.folder}/src")
        sys.addaudithook(plugin.audit)
        status = pytest.main(common, plugins=[plugin])
        calls.write_bytes(pickle.dumps((plugin.tests, plugin.shared, plugin.seconds, plugin.starting)))
        os._exit(int(status))

    def restore(self, mutant: Mutant) -> None:
        """Put the file back, and throw away what its tests wrote."""
        self._replace(mutant, (ROOT / mutant.path).read_text("utf-8"))
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)

    def _replace(self, mutant: Mutant, source: str) -> None:
        path = self.folder / mutant.path
        path.write_text(source, "utf-8")
        for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            compiled.unlink()


def kill(process: int) -> None:
    """End a process of ours and what its tests have started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)


def record(copy: Copy, package: str) -> Calls | None:
    """What the tests of a package call, as they are; None where one fails."""
    file = copy.folder / "calls"
    process = copy.begin([f"tests/{package}"], calls=file)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    kill(process)
    if status:
        print((copy.folder / "output").read_text(errors="replace")[-3000:])
    return None if status else Calls("", *pickle.loads(file.read_bytes()))


def try_all(sample: list[Mutant], copies: list[Copy], calls: dict[str, Calls]) -> list[bool]:
    """Whether each mutant is noticed."""
    results: dict[int, bool] = {}
    free, running, waiting = list(copies), {}, list(enumerate(sample))
    while waiting or running:
        while free and waiting:
            (index, mutant), copy = waiting.pop(0), free.pop()
            known = calls[mutant.package]
            tests = known.meeting(mutant)
            limit = 120 + 20 * sum(known.seconds[test] for test in tests)  # of waiting: of computing each has its own
            started = time.monotonic()
            process = copy.begin(tests, mutant, calls=known.seconds) if tests else 0
            if not process:
                results[index] = tell(mutant, False, 0.0)
                free.append(copy)
                continue
            running[process] = index, mutant, copy, started, started + limit
        process, status = os.waitpid(-1, os.WNOHANG) if running else (0, 0)
        late = [number for number, (*_, end) in running.items() if time.monotonic() > end]
        for number in late:
            kill(number)
        if process not in running:
            time.sleep(0.05)
            continue
        index, mutant, copy, started, _ = running.pop(process)
        kill(process)
        copy.restore(mutant)
        free.append(copy)
        results[index] = tell(mutant, os.waitstatus_to_exitcode(status) not in (0, 5), time.monotonic() - started)
    return [results[index] for index in range(len(sample))]


def tell(mutant: Mutant, noticed: bool, seconds: float) -> bool:
    """Say what became of a mutant."""
    print(f"{'noticed ' if noticed else 'SURVIVED'} {seconds:4.0f} s  {mutant}", flush=True)
    return noticed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--packages", default="nets,train,measure,bundle")
    parser.add_argument("--only", default="", help="mutants whose name holds this text")
    chosen = parser.parse_args()
    packages = chosen.packages.split(",")
    known = {line.partition("  # ")[0] for line in EQUIVALENT.read_text("utf-8").splitlines() if line.strip()}
    files = [(path, name) for name in packages for path in sorted((ROOT / "src/reslearn" / name).rglob("*.py"))]
    found = [mutant for path, name in files for mutant in mutants(path, name) if chosen.only in str(mutant)]
    sample = random.Random(chosen.seed).sample(found, min(chosen.count, len(found)))
    print(f"{len(found):,} mutants of {', '.join(packages)}; {len(sample)} drawn with seed {chosen.seed}", flush=True)
    sample = [mutant for mutant in sample if mutant.key not in known]
    for name in HEAVY:
        importlib.import_module(name)
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        first, calls = Copy(Path(folder) / "0"), {}
        for name in sorted({mutant.package for mutant in sample}):
            recorded = record(first, name)
            if recorded is None:
                print(f"tests/{name} fail as they are; mend them first")
                return 1
            calls[name] = recorded
            print(f"tests/{name}: {sum(recorded.seconds.values()):.0f} s", flush=True)
        others = [Copy(Path(folder) / str(number), first.folder) for number in range(1, chosen.jobs)]
        results = try_all(sample, [first, *others], calls)
    return report(sample, results)


def report(sample: list[Mutant], results: list[bool]) -> int:
    """Print the score with its interval, and who survived."""
    from reslearn.measure.metrics import wilson_interval

    caught = sum(results)
    low, high = wilson_interval(caught, len(results))
    print(f"noticed {caught} of {len(results)}: {caught / len(results):.1%} (95 %: {low:.1%} to {high:.1%})")
    for mutant in (mutant for mutant, result in zip(sample, results, strict=True) if not result):
        print(f"survived: {mutant}")
    return 0 if caught >= 0.9 * len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
