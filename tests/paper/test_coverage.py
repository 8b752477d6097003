"""The coverage list: every table and figure of every paper once, each in the state that the data say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from reslearn.paper.coverage import ABSENT, DRAWINGS, OTHERS, PRINTED, coverage
from reslearn.paper.experiments import experiments
from reslearn.paper.findings.markdown import render_coverage
from reslearn.paper.published.claims import TABLES

PAGE = Path(__file__).parents[2] / "docs" / "en" / "reference" / "papers.md"


def test_every_printed_table_and_figure_is_listed_once():
    found = Counter((c.paper, c.what) for c in coverage() if c.what.startswith(("table", "figure")))
    wanted = {(paper, f"{kind} {n}") for paper, counts in PRINTED.items()
              for kind, count in zip(("table", "figure"), counts, strict=True)
              for n in range(1, count + 1)}  # fmt: skip
    assert set(found) == wanted and set(found.values()) == {1}


def test_every_stored_table_and_figure_is_in_it():
    named = {c.name for c in coverage()}
    assert set(TABLES) <= named
    assert {name for name in experiments() if not name.startswith("study")} <= named


@pytest.mark.parametrize("line", coverage(), ids=lambda c: f"{c.paper}-{c.what}-{c.name}")
def test_a_state_is_what_the_data_say(line):
    if line.state == "runnable":
        assert any(entry.net for entry in experiments()[line.name].entries)
    elif line.state == "outside":
        assert line.why and all(row.outside for row in TABLES[line.name].rows)
    elif line.state == "absent":
        assert line.why and line.name == ""
    elif line.state == "drawn":
        assert line.name.startswith("draw ")


@pytest.mark.parametrize("what", [*(f"table {n}" for n in range(9, 15))])
def test_detection_stays_absent_and_named(what):
    assert [c.state for c in coverage() if (c.paper, c.what) == ("P1", what)] == ["absent"]


def test_what_else_is_absent_is_named():
    told = " ".join(c.title for c in coverage() if c.state == "absent")
    assert "ndb796" in told and "Inception-ResNet" in told
    assert not set(ABSENT) & set(DRAWINGS) and OTHERS


def test_the_page_holds_the_list_as_it_is():
    assert render_coverage() in PAGE.read_text()


def test_no_page_claims_every_number():
    root = Path(__file__).parents[2]
    for page in (root / "README.md", *root.glob("docs/**/*.md")):
        assert "every number that" not in page.read_text().lower(), page
