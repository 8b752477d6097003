"""README leads to every page of the guide and of the reference, and to nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["README.md", "README.ko.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(name):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text())
    assert targets or name == "CONTRIBUTING.md"
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_page_of_guide_and_reference_can_be_found():
    text = (ROOT / "README.md").read_text()
    pages = [*ROOT.glob("docs/en/guide/*.md"), *ROOT.glob("docs/en/reference/*.md")]
    assert len(pages) > 10
    assert [page.name for page in pages if f"({page.relative_to(ROOT)}" not in text] == []
