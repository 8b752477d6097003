"""The documentation's page says what its results store says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reslearn.paper.findings.markdown import refresh
from reslearn.paper.findings.report import sections_of
from reslearn.paper.published.static_check import check_all

ROOT = Path(__file__).parents[2]
PAGE, STORE = ROOT / "docs" / "en" / "reference" / "papers.md", ROOT / "docs" / "paper-results"


@pytest.fixture(scope="module")
def text():
    return PAGE.read_text()


def test_its_tables_are_made_from_the_store(text):
    assert refresh(PAGE, sections_of([STORE]), "papers") == text


def test_its_figures_are_there(text):
    for name in re.findall(r"!\[[^\]]*\]\(([^)]*)\)", text):
        assert (PAGE.parent / name).stat().st_size > 5000


def test_the_count_it_lists_is_the_count_there_is(text):
    assert f"{len(check_all())}/{len(check_all())}" in text
