"""Between the command line and what it calls every value has a type: no `Any`, and JSON only on its way out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent / "src" / "reslearn"
CALLED = {"jobs", "paper", "data", "measure", "train", "predictor", "serve"}
AS_FILES_HOLD = {
    "jobs/worth.py: outcome_of",
    "train/fit.py: Run.val",
    "train/crossval.py: Crossval.scores",
    "paper/cells/store.py: Store.after",
    "paper/cells/store.py: Store.measured",
}


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def names_any(annotation: ast.AST | None) -> bool:
    return annotation is not None and any(isinstance(n, ast.Name) and n.id == "Any" for n in ast.walk(annotation))


def loose(definition: ast.AST) -> Iterator[str]:
    """Names of what is not typed in a function's signature, or in the fields and methods of a class."""
    if isinstance(definition, ast.FunctionDef):
        taken = definition.args
        every = [*taken.posonlyargs, *taken.args, *taken.kwonlyargs, taken.vararg, taken.kwarg]
        if names_any(definition.returns) or any(names_any(one.annotation) for one in every if one is not None):
            yield definition.name
    elif isinstance(definition, ast.ClassDef):
        for item in definition.body:
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and names_any(item.annotation):
                yield f"{definition.name}.{item.target.id}"
            if isinstance(item, ast.FunctionDef) and not item.name.startswith("_") and item.name != "to_json":
                yield from (f"{definition.name}.{name}" for name in loose(item))


def crossing(root: Path) -> Iterator[tuple[str, str]]:
    """(file, name) of all that `cli/` imports of the packages which do the work."""
    for path in sorted((root / "cli").glob("*.py")):
        tree = parsed(path)
        used: dict[str, set[str]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                used.setdefault(node.value.id, set()).add(node.attr)
        for node in ast.walk(tree):
            if (
                not isinstance(node, ast.ImportFrom)
                or node.level != 2
                or (node.module or "").split(".")[0] not in CALLED
            ):
                continue
            place = (node.module or "").replace(".", "/")
            for alias in node.names:
                if (root / place / f"{alias.name}.py").exists():
                    yield from ((f"{place}/{alias.name}.py", name) for name in used.get(alias.asname or alias.name, ()))
                else:
                    yield f"{place}.py", alias.name


def untyped(root: Path) -> list[str]:
    """What crosses from `cli/` to what it calls, or stands open in `jobs/`, without a type."""
    found = {f"cli/{path.name}: names Any" for path in (root / "cli").glob("*.py") if names_any(parsed(path))}
    wanted = set(crossing(root))
    for path in (root / "jobs").glob("*.py"):
        names = [getattr(node, "name", "_") for node in parsed(path).body]
        wanted |= {(f"jobs/{path.name}", name) for name in names if not name.startswith("_")}
    for file, name in wanted:
        for node in parsed(root / file).body:
            if getattr(node, "name", None) == name:
                found |= {f"{file}: {place}" for place in loose(node)}
    return sorted(found)


def early_json(root: Path) -> list[str]:
    """Where `cli/` makes JSON of a value other than in its call of `emit`: people are shown the value itself."""
    found = []
    for path in sorted((root / "cli").glob("*.py")):
        tree = parsed(path)
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        emitted = {id(n) for call in calls if getattr(call.func, "id", "") == "emit" for n in ast.walk(call)}
        found += [
            f"{path.name}:{call.lineno}"
            for call in calls
            if getattr(call.func, "attr", "") == "to_json" and id(call) not in emitted
        ]
    return found


def test_no_any_between_the_command_line_and_what_it_calls():
    assert set(untyped(ROOT)) - AS_FILES_HOLD == set()


def test_json_is_made_on_its_way_out():
    assert early_json(ROOT) == []


def test_the_seam_is_found_at_all():
    assert {("jobs/calibration.py", "calibrate_model"), ("jobs/training.py", "resume")} <= set(crossing(ROOT))
    assert {file.split("/")[0] for file, _ in crossing(ROOT)} == CALLED


@pytest.mark.parametrize(
    ("job", "command", "message"),
    [
        ("def go(x: Any): ...", "from ..jobs.a import go", "jobs/a.py: go"),
        ("def go() -> dict[str, Any]: ...", "def f():\n    from ..jobs import a as job\n    job.go()", "jobs/a.py: go"),
        ("def go(**more: Any): ...", "", "jobs/a.py: go"),
        ("class Done:\n    value: list[Any]", "from ..jobs.a import Done", "jobs/a.py: Done.value"),
        ("class Done:\n    def rows(self) -> Any: ...", "", "jobs/a.py: Done.rows"),
        ("", "def show(value: Any): ...", "cli/b.py: names Any"),
    ],
)
def test_a_loose_seam_is_found(tmp_path, job, command, message):
    for place, code in (("jobs/a.py", job), ("cli/b.py", command)):
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).write_text(code)
    assert untyped(tmp_path) == [message]


def test_typed_values_and_json_on_its_way_out_pass(tmp_path):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "cli").mkdir()
    (tmp_path / "jobs/a.py").write_text("class Done:\n    size: int\n    def to_json(self) -> dict[str, Any]: ...")
    (tmp_path / "cli/b.py").write_text("emit(done.to_json(), as_json, lambda: show(done))\nvalue = done.to_json()")
    assert untyped(tmp_path) == [] and early_json(tmp_path) == ["b.py:2"]
