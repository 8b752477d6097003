"""Korean for Sphinx's search, which has no splitter of its own for it: the rule of `hangul`, on both its sides."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx
from sphinx.search import SearchLanguage, languages

from . import hangul


class SearchKorean(SearchLanguage):
    """Pairs of syllables on both sides; other words as they are."""

    lang = "ko"
    language_name = "Korean"
    js_splitter_code = hangul.SPLITTER

    def split(self, input: str) -> list[str]:
        return hangul.split(input)


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx's entry point."""
    languages["ko"] = SearchKorean
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
