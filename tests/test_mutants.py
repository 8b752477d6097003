"""The mutants of `make mutants` are programs, each with one thing wrong; what is only said stays as it is."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("mutating", Path(__file__).with_name("mutating.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_every_mutant_of_a_file_is_another_program(tool):
    path = tool.ROOT / "src/reslearn/train/schedule.py"
    plain = ast.unparse(ast.parse(path.read_text("utf-8")))
    found = list(tool.mutants(path, "train"))
    assert len(found) > 40 and len({mutant.source for mutant in found}) == len(found)
    for mutant in found:
        compile(mutant.source, mutant.path, "exec")
        assert mutant.source != plain and mutant.path == "src/reslearn/train/schedule.py"


@pytest.mark.parametrize(
    ("source", "changes"),
    [
        ("x = a < b", ["a < b -> a <= b"]),
        ("x: int | None = f(-y)", ["-y -> y"]),
        ("f(x)", ["f(x) -> pass"]),
        ("x = y * 2 if z else True", ["y * 2 if z else True -> y * 2 if not z else True", "y * 2 -> y / 2",
                                       "y * 2 if z else True -> y * 2 if z else False", "y * 2 -> y * 3"]),
        ("raise ValueError(f'{x + 1}')", []),
        ("'''A sentence.'''", []),
        ("x = name + 'text'", []),
        ("zip(a, b, strict=True)", ["zip(a, b, strict=True) -> pass"]),
        ("while a and b:\n    n += 1", ["n += 1 -> n -= 1", "a and b -> a or b", "1 -> 2"]),
    ],
)  # fmt: skip
def test_what_is_changed(source, changes, tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    (tmp_path / "x.py").write_text(source)
    assert sorted(mutant.change for mutant in tool.mutants(tmp_path / "x.py", "x")) == sorted(changes)


def test_a_mutant_knows_the_function_that_it_lies_in(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    source = "a = 1\n\n@cached\ndef f(x):\n    def g(y):\n        return y < 2\n    return [i + 3 for i in x]\n"
    (tmp_path / "x.py").write_text(source)
    names = {"f": 0, "g": 0}
    exec(source.replace("@cached", "@remember"), {"remember": lambda f: names.update(f=f.__code__.co_firstlineno)})
    where = {mutant.change: mutant.function for mutant in tool.mutants(tmp_path / "x.py", "x")}
    assert where == {
        "1 -> 2": 0,
        "y < 2 -> y <= 2": 5,
        "y < 2 -> y < 3": 5,
        "i + 3 -> i - 3": names["f"],
        "i + 3 -> i + 4": 3,
    }
