"""The coverage list: every table and figure of every paper once, each in the state that the data say."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from reslearn.jobs.draw.drawing import draw, named_spec
from reslearn.paper.coverage import ABSENT, DRAWINGS, OTHERS, PARTLY, PRINTED, coverage
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
        without = [row for row in TABLES[line.name].rows if row.outside] if line.name in TABLES else []
        assert bool(line.why) == bool(without or (line.paper, line.what) in PARTLY)
        assert all(row.outside in line.why for row in without)
    elif line.state == "outside":
        assert line.why and all(row.outside for row in TABLES[line.name].rows)
    elif line.state == "absent":
        assert line.why and line.name == ""
    elif line.state == "drawn":
        _, *words = line.name.split()
        names = [word for word in words if word != "--block"]
        assert draw(names, block="--block" in words).items
        assert len({named_spec(name) for name in names}) == len(names)  # each a form of its own


@pytest.mark.parametrize("what", [*(f"table {n}" for n in range(9, 15))])
def test_detection_stays_absent_and_named(what):
    assert [c.state for c in coverage() if (c.paper, c.what) == ("P1", what)] == ["absent"]


def test_what_else_is_absent_is_named():
    told = " ".join(c.title for c in coverage() if c.state == "absent")
    assert "ndb796" in told and "Inception-ResNet" in told
    assert not set(ABSENT) & set(DRAWINGS) and OTHERS


def test_the_page_holds_the_list_as_it_is():
    assert render_coverage() in PAGE.read_text()


CLAIM = re.compile(r"(every|all|each)( of)?( the(ir)?)?( printed| published| papers'?)? "
                   r"(numbers?|tables?|figures?|claims?)( of the papers|, figures? and| that a paper)")  # fmt: skip


def test_no_page_claims_every_number():
    root = Path(__file__).parents[2]
    pages = (root / "README.md", root / "src/reslearn/cli/papers.py", *root.glob("docs/**/*.md"))
    for page in pages:
        text = " ".join(page.read_text().lower().split())
        assert "every number that" not in text and not CLAIM.search(text), (page, CLAIM.search(text))
    assert CLAIM.search("check the papers: every table, figure and argument as one command")
