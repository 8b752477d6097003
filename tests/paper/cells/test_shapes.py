"""Stored files that are JSON and yet not whole: each is one line that names the place and the way out."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import pytest

from reslearn.paper.cells.session import Session
from reslearn.paper.cells.shapes import MEASURED, POSITIVE, RESULT, Maybe, misfit
from reslearn.paper.cells.store import read_measured, read_result
from reslearn.spec.errors import UserError

STORE = Path(__file__).parents[3] / "docs" / "paper-results"
RESULTS = sorted(STORE.glob("*/*/*/seed*/result.json"))
FILES = [*RESULTS, *sorted(STORE.glob("measured/*.json"))]


def read(path):
    return read_measured(path) if path.parent.name == "measured" else read_result(path)


@pytest.mark.parametrize(
    ("value", "shape", "found"),
    [
        ({"a": 1}, {"a": int}, ""),
        ({"a": True}, {"a": int}, "a is no whole number"),
        ({"a": float("nan")}, {"a": float}, "a is no finite number"),
        ({"a": 1}, {"a": float, "b?": str}, ""),
        ({"a": None}, {"a": Maybe(str)}, ""),
        ({}, {"a": Maybe(str)}, "a is missing"),
        ({"a": [{"b": 1}, {"b": 0}]}, {"a": [{"b": POSITIVE}]}, "a.1.b is not above 0"),
        ({"a": []}, {"a": ({"b": int},)}, "a is no list that holds something"),
        ({"x": {"b": "1"}}, {"*": {"b": int}}, "x.b is no whole number"),
        ([1, "2"], [str], ".0 is no text"),
    ],
)
def test_a_misfit_is_named_by_its_place(value, shape, found):
    assert misfit(value, shape) == found


def parts(shape, value, at=()):
    """Every place that a shape asks for and a value has."""
    shape = shape.shape if isinstance(shape, Maybe) else shape
    if isinstance(shape, dict) and isinstance(value, dict):
        for key, inner in shape.items():
            names = value if key == "*" else [name for name in [key.removesuffix("?")] if name in value]
            for name in names:
                yield (*at, name), key != "*" and not key.endswith("?")
                yield from parts(inner, value[name], (*at, name))
    elif isinstance(shape, (list, tuple)) and shape and value:
        yield from parts(shape[0], value[-1], (*at, len(value) - 1))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.parent.name + "-" + path.stem)
def test_whatever_of_a_stored_file_is_damaged_is_one_line(path, tmp_path):
    whole = json.loads(path.read_text())
    read(path)
    damaged = tmp_path / path.parent.name / path.name
    damaged.parent.mkdir()
    shape = MEASURED[path.stem] if path.parent.name == "measured" else RESULT
    places = list(parts(shape, whole))
    assert len(places) > 6
    for place, needed in places:
        for change in ("another kind", *(["missing"] if needed else [])):
            value = copy.deepcopy(whole)
            *way, last = place
            inner = value
            for key in way:
                inner = inner[key]
            if change == "missing":
                del inner[last]
            else:
                inner[last] = {"no": []} if isinstance(inner[last], (list, str, int, float)) else "x"
            damaged.write_text(json.dumps(value))
            with pytest.raises(UserError, match="remove it, and `reslearn paper run` makes it anew") as error:
                read(damaged)
            assert "\n" not in str(error.value) and str(error.value).startswith(str(damaged))


def test_a_curve_of_several_lengths_and_an_unknown_tier_are_refused(tmp_path):
    whole = json.loads(RESULTS[0].read_text())
    path = tmp_path / "result.json"
    for change, message in (({"curve": whole["curve"] | {"step": []}}, "several lengths"), ({"tier": "x"}, "none of")):
        path.write_text(json.dumps(whole | change))
        with pytest.raises(UserError, match=message):
            read_result(path)


@pytest.mark.usefixtures("few_steps")
def test_a_damaged_run_of_a_cell_says_how_to_be_rid_of_it(tmp_path):
    cell = {"store": tmp_path, "rows": ["plain-20"]}
    Session("p1-fig1", **cell).run()
    (result,) = tmp_path.glob("**/result.json")
    result.unlink()
    run = result.parent / "run"
    for name, text in (("metrics.jsonl", "{"), ("model.safetensors", "x"), ("run.json", ""), ("run.json", None)):
        (run / name).unlink()
        if text is not None:
            (run / name).write_text(text)
        with pytest.raises(UserError, match=rf"remove {run}, and `reslearn paper run` makes it anew") as error:
            Session("p1-fig1", **cell).run()
        assert "--out" not in str(error.value)
    shutil.rmtree(run)
    assert Session("p1-fig1", **cell).run()["cells"][0]["state"] == "done"
