"""Would the tests notice? A seeded sample of small faults, each tried against the tests of its package.

    python tests/mutants.py [--count 150] [--seed 0] [--jobs 2] [--packages nets,train,measure,bundle] [--only TEXT]

A mutant is a copy of the sources with one operator, comparison, constant or statement changed. It is noticed when a
test fails or takes far longer than before. Those that cannot be noticed are named, with the reason, in mutants.txt.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from reslearn.measure.metrics import wilson_interval

ROOT = Path(__file__).parents[1]
EQUIVALENT = Path(__file__).with_suffix(".txt")
SWAPS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Add: ast.Sub, ast.Sub: ast.Add,
    ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult,
    ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.MatMult: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One fault: where it is, how it reads, and the whole file with it."""

    package: str
    path: str  # from the root
    line: int
    change: str  # `before -> after`
    source: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.change}"

    @property
    def key(self) -> str:
        """Its name in mutants.txt, which another line in front of it does not change."""
        return f"{self.path}: {self.change}"


def changed(node: ast.AST) -> Iterator[ast.AST]:
    """The wrong versions of a node, each a copy."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in SWAPS:
            yield ast.Compare(node.left, [SWAPS[type(op)]()], node.comparators)
        case ast.BinOp() | ast.BoolOp() | ast.AugAssign() if type(node.op) in SWAPS and not of_texts(node):
            new = copy.copy(node)
            new.op = SWAPS[type(node.op)]()
            yield new
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int() | float()):
            yield ast.Constant(node.value + 1)
        case ast.If() | ast.IfExp():
            new = copy.copy(node)
            new.test = ast.UnaryOp(ast.Not(), node.test)
            yield new
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()


def of_texts(node: ast.AST) -> bool:
    """Whether a text or a path is put together here: no other operator can do that, so any test would notice."""
    return any(
        isinstance(part, ast.JoinedStr | ast.Constant) and not isinstance(getattr(part, "value", ""), int | float)
        for part in ast.iter_child_nodes(node)
    )


def ignored(node: ast.AST) -> Iterator[ast.AST]:
    """What of a node is not executed, or only said: annotations, sentences."""
    match node:
        case ast.AnnAssign():
            yield node.annotation
        case ast.FunctionDef():
            yield from filter(None, [node.returns, *(a.annotation for a in [*node.args.args, *node.args.kwonlyargs])])
        case ast.Raise() | ast.JoinedStr():
            yield node
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            yield node


def mutants(path: Path, package: str) -> Iterator[Mutant]:
    """Every mutant of a file."""
    tree = ast.parse(path.read_text("utf-8"))
    skipped = {id(inner) for node in ast.walk(tree) for part in ignored(node) for inner in ast.walk(part)}
    for parent in ast.walk(tree):
        if id(parent) in skipped:
            continue
        for field, value in ast.iter_fields(parent):
            places = enumerate(value) if isinstance(value, list) else [(None, value)]
            for index, node in list(places):
                if not isinstance(node, ast.AST) or id(node) in skipped:
                    continue
                for wrong in changed(node):
                    before, after = (shown(n) for n in (node, wrong))
                    put(parent, field, index, wrong)
                    source = ast.unparse(ast.fix_missing_locations(tree))
                    put(parent, field, index, node)
                    yield Mutant(package, str(path.relative_to(ROOT)), node.lineno, f"{before} -> {after}", source)


def put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    """Set a child of `parent`."""
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def shown(node: ast.AST) -> str:
    """The first line of a node as source."""
    return ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).splitlines()[0]


def run_tests(package: str, mutant: Mutant | None, limit: float | None) -> tuple[bool, float]:
    """Whether all tests of a package pass within `limit` seconds, in a copy of the checkout, and how long they took."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        for name in ("src", "tests"):
            shutil.copytree(ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        if mutant is not None:
            (Path(folder) / mutant.path).write_text(mutant.source, "utf-8")
        shared = os.environ.get("RESLEARN_SHARED_DATA", str(ROOT.parent / "shared" / "data"))
        surroundings = os.environ | {"PYTHONPATH": f"{folder}/src", "OMP_NUM_THREADS": "1", "TMPDIR": folder}
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"tests/{package}"]
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=surroundings | {"RESLEARN_SHARED_DATA": shared},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            passed = process.wait(limit) == 0
        except subprocess.TimeoutExpired:
            passed = False
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what its tests have started, too
            process.wait()
        return passed, time.monotonic() - started


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

    limits = {}
    for name in sorted({mutant.package for mutant in sample}):
        passed, seconds = run_tests(name, None, None)
        if not passed:
            print(f"tests/{name} fail as they are; mend them first")
            return 1
        limits[name] = 60 + 4 * chosen.jobs * seconds
        print(f"tests/{name}: {seconds:.0f} s", flush=True)

    def noticed(mutant: Mutant) -> bool:
        passed, seconds = run_tests(mutant.package, mutant, limits[mutant.package])
        print(f"{'SURVIVED' if passed else 'noticed '} {seconds:4.0f} s  {mutant}", flush=True)
        return not passed

    with ThreadPoolExecutor(chosen.jobs) as pool:
        results = list(pool.map(noticed, sample))
    caught = sum(results)
    low, high = wilson_interval(caught, len(results))
    print(f"noticed {caught} of {len(results)}: {caught / len(results):.1%} (95 %: {low:.1%} to {high:.1%})")
    for mutant in (mutant for mutant, result in zip(sample, results, strict=True) if not result):
        print(f"survived: {mutant}")
    return 0 if caught >= 0.9 * len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
