"""A package imports only packages of a lower rank. The rule is read off the parsed imports, relative ones included."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "src" / "reslearn"
RANK = {
    "spec": 0, "runtime": 1, "report": 1, "nets": 2, "data": 2, "bundle": 3, "engine": 4, "measure": 5,
    "train": 6, "interpret": 6, "predictor": 6, "paper": 7, "jobs": 7, "serve": 7, "cli": 8,
}  # fmt: skip
INSIDE = {  # ranks of the wings of a package, and of the files that lie beside them
    "data": {
        "dataset": 0, "strings": 0, "table": 1, "preprocess": 1, "workers": 1, "pictures": 1, "memory": 2, "layout": 2,
        "augment": 3, "parts": 3, "formats": 4, "loading": 4, "remote": 5, "sources": 6, "loaders": 6, "contents": 6,
        "sameness": 6, "statistics": 6, "anything": 7, "care": 7,
    },
}  # fmt: skip


def imported_modules(tree: ast.AST, package: str):
    """(line, absolute dotted name) of everything a module inside `package` imports; names of `from x import y` too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield node.lineno, module
            if module in {"reslearn", *(f"reslearn.{package}" for package in INSIDE)}:
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def violations(root: Path) -> list[str]:
    """Every import under `root` (the `reslearn` package) that breaks the ranks, one line each."""
    found = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if len(parts) == 1:
            if parts[0] not in {"__init__", "__main__"}:
                found.append(f"{path.name}: only __init__ and __main__ lie directly in the package")
            continue
        package = parts[0]
        if package not in RANK:
            found.append(f"{package}: has no rank")
            continue
        for line, name in imported_modules(ast.parse(path.read_text()), ".".join(["reslearn", *parts[:-1]])):
            pieces = name.split(".")
            if pieces[0] != "reslearn":
                continue
            where = f"{'/'.join(parts)}:{line}"
            if len(pieces) == 1:
                found.append(f"{where}: imports the whole package")
            elif pieces[1] != package and (pieces[1] not in RANK or RANK[pieces[1]] >= RANK[package]):
                found.append(f"{where}: {package} imports {pieces[1]}, which is not below it")
            elif pieces[1] == package and package in INSIDE and len(pieces) > 2:
                found += (f"{where}: {trouble}" for trouble in _inside(INSIDE[package], parts[1], pieces[2]))
    return found


def _inside(rank: dict[str, int], importer: str, imported: str) -> list[str]:
    """What is wrong with an import between two rooms of one package."""
    if importer == imported:
        return []
    unknown = [room for room in (importer, imported) if room not in rank]
    if unknown:
        return [f"{room} has no rank inside its package" for room in unknown]
    return [] if rank[imported] < rank[importer] else [f"{importer} imports {imported}, which is not below it"]


def test_every_import_points_down():
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("place", "code", "message"),
    [
        ("nets/bad.py", "from ..train import loop", "nets imports train"),
        ("nets/bad.py", "import reslearn.data.decode", "nets imports data"),
        ("data/bad.py", "from ..nets.blocks import Block", "data imports nets"),
        ("measure/bad.py", "from .. import train", "measure imports train"),
        ("bundle/bad.py", "from .. import measure", "bundle imports measure"),
        ("predictor/deep/bad.py", "from ...cli import app", "predictor imports cli"),
        ("data/formats/bad.py", "from ..care import check", "formats imports care"),
        ("data/parts/bad.py", "from ..formats.pack import X", "parts imports formats"),
        ("data/formats/bad.py", "from .. import sources", "formats imports sources"),
        ("data/shed/bad.py", "from ..dataset import Image", "shed has no rank"),
        ("spec/bad.py", "from reslearn import create_model", "imports the whole package"),
        ("spec/bad.py", "import reslearn", "imports the whole package"),
        ("nets/bad.py", "def f():\n    from ..jobs import demo", "nets imports jobs"),
        ("helpers/bad.py", "x = 1", "helpers: has no rank"),
        ("helpers.py", "x = 1", "only __init__ and __main__"),
        ("nets/bad.py", "from ..helpers import x", "nets imports helpers"),
    ],
)
def test_a_broken_rule_is_found(tmp_path, place, code, message):
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    assert any(message in line for line in violations(tmp_path))


def test_a_lower_rank_may_be_imported(tmp_path):
    for place, code in {
        "cli/a.py": "from ..train.loop import fit",
        "nets/b.py": "from ..spec.net import NetSpec",
    }.items():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(code)
    assert violations(tmp_path) == []


MANY = 10  # arguments, beyond which they travel as a value
MAY_TAKE_MORE = {  # besides the commands: what users call with keywords
    "jobs/evaluation.py": {"evaluate_model"},  # reslearn.evaluate
    "jobs/calls.py": {"calibrate", "compare", "convert", "ensemble"},  # reslearn's, likewise
    "jobs/run_calls.py": {"crossval", "sweep"},
    "jobs/explain_call.py": {"explain"},
    "jobs/fitting.py": {"fit"},
    "train/fit.py": {"fit"},
    "cli/serving.py": {"serve"},  # its options; it has no --json
}


def long_signatures(root: Path) -> list[str]:
    """Functions under `root` that take too many arguments, one line each. A command's are its options."""
    found = []
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            taken = node.args
            names = [one.arg for one in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)]
            count = len(names) - (names[:1] in (["self"], ["cls"]))
            command = place.startswith("cli/") and "as_json" in names
            if count > MANY and not command and node.name not in MAY_TAKE_MORE.get(place, set()):
                found.append(f"{place}:{node.lineno}: {node.name} takes {count} arguments; let a value carry them")
    return found


def test_no_function_takes_more_than_ten_arguments():
    assert long_signatures(ROOT) == []


def test_a_long_signature_is_found(tmp_path):
    (tmp_path / "cli").mkdir()
    ten = ", ".join(f"a{i}" for i in range(10))
    code = f"class A:\n    def few(self, {ten}): ...\n    def many(self, {ten}, *, b=1): ...\n"
    (tmp_path / "cli" / "a.py").write_text(code + f"def command({ten}, *, as_json): ...\n")
    assert long_signatures(tmp_path) == ["cli/a.py:3: many takes 11 arguments; let a value carry them"]


EVERY_NAME = """
import importlib, pkgutil, reslearn
for module in pkgutil.walk_packages(reslearn.__path__, "reslearn."):
    if module.name.rpartition(".")[2] != "__main__":
        importlib.import_module(module.name)
for name in reslearn.__all__:
    first, second = getattr(reslearn, name), getattr(reslearn, name)
    assert first is second and type(first).__name__ != "module", f"a module hides reslearn.{name}"
"""


def test_no_module_hides_a_public_name():
    """Importing a submodule binds its name in its package, so none may bear that of a public function."""
    done = subprocess.run([sys.executable, "-c", EVERY_NAME], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
