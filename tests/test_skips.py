"""A test that is skipped says what it needs; `make test` lists these sentences last."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def skips(source):
    """(line, reason) of every `pytest.skip`, `skipif` and `importorskip`; the reason is None where there is none."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given = [word.value for word in node.keywords if word.arg == "reason"]
            if node.func.attr == "skip":
                given += node.args[:1]
            elif node.func.attr not in ("skipif", "importorskip"):
                continue
            first = given[0] if given else None
            if isinstance(first, ast.JoinedStr):
                first = first.values[0]
            yield node.lineno, first.value if isinstance(first, ast.Constant) else None


def test_every_skip_says_what_would_make_it_run():
    found = [(path, *skip) for path in TESTS.rglob("*.py") for skip in skips(path.read_text("utf-8"))]
    assert len(found) > 5
    for path, line, reason in found:
        assert str(reason).startswith("needs "), f"{path}:{line}: begin its reason with `needs`, not {reason!r}"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("pytest.skip('no time')", "no time"),
        ("pytest.skip(f'needs {x}')", "needs "),
        ("@pytest.mark.skipif(True, reason='needs luck')\ndef f(): ...", "needs luck"),
        ("pytest.importorskip('json')", None),
        ("pytest.mark.skip", "none is called"),
    ],
)
def test_the_ways_to_skip_are_seen(source, reason):
    assert next(skips(source), (0, "none is called"))[1] == reason
