"""A package imports only packages of a lower rank. The rule is read off the parsed imports, relative ones included."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "src" / "reslearn"
RANK = {
    "spec": 0, "runtime": 1, "report": 1, "nets": 2, "data": 2, "measure": 3, "bundle": 3,
    "train": 4, "explain": 4, "deploy": 4, "paper": 5, "jobs": 5, "cli": 6,
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
            if module == "reslearn":
                yield from ((node.lineno, f"reslearn.{alias.name}") for alias in node.names)


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
    return found


def test_every_import_points_down():
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("place", "code", "message"),
    [
        ("nets/bad.py", "from ..train import loop", "nets imports train"),
        ("nets/bad.py", "import reslearn.data.decode", "nets imports data"),
        ("data/bad.py", "from ..nets.blocks import Block", "data imports nets"),
        ("measure/bad.py", "from .. import train", "measure imports train"),
        ("measure/bad.py", "from .. import bundle", "measure imports bundle"),
        ("deploy/deep/bad.py", "from ...cli import app", "deploy imports cli"),
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
