"""Searching Korean: Sphinx splits at blanks, and a Korean word carries its particles with it (잔차는, 잔차를).

Text and query are cut into pairs of syllables; a query's word first loses its particle. So 잔차 finds 잔차를, and
항등 사상 finds 항등사상. The same rule stands here for the index and in JavaScript for the query.
"""

from __future__ import annotations

import json
import re

WORD = re.compile(r"[가-힣]+|[^\W가-힣]+")
# long ones first; a word keeps at least two syllables
PARTICLES = (
    *("에서는", "으로는", "이라고", "에서", "으로", "에게", "부터", "까지", "처럼", "보다", "이란", "라고", "이나"),
    *("하는", "은", "는", "이", "가", "을", "를", "의", "에", "로", "와", "과", "도", "만", "란"),
)
SPLITTER = (
    f"const koreanParticles = {json.dumps(PARTICLES, ensure_ascii=False)};"
    + r"""
function splitQuery(query) {
  const found = [];
  for (const [word] of query.matchAll(/[가-힣]+|(?:(?![가-힣])[\p{Letter}\p{Number}_])+/gu)) {
    if (!/^[가-힣]/.test(word)) { found.push(word); continue; }
    if (koreanParticles.includes(word)) continue;
    const particle = koreanParticles.find((one) => word.endsWith(one) && word.length >= one.length + 2);
    const stem = particle ? word.slice(0, -particle.length) : word;
    if (stem.length < 2) found.push(stem);
    for (let i = 0; i + 2 <= stem.length; i++) found.push(stem.slice(i, i + 2));
  }
  return found;
}
"""
)


def pairs(word: str) -> list[str]:
    """A run of Hangul as its pairs of syllables; a single syllable as itself."""
    return [word] if len(word) < 2 else [word[i : i + 2] for i in range(len(word) - 1)]


def stem(word: str) -> str:
    """A word without the particle at its end."""
    for particle in PARTICLES:
        if word.endswith(particle) and len(word) >= len(particle) + 2:
            return word.removesuffix(particle)
    return word


def korean(word: str) -> bool:
    """Whether a word of `WORD` is a run of Hangul."""
    return "가" <= word[0] <= "힣"


def split(text: str) -> list[str]:
    """What of a text goes into the index."""
    return [one for word in WORD.findall(text) for one in (pairs(word) if korean(word) else [word])]


def split_query(query: str) -> list[str]:
    """What a query asks for, as `SPLITTER` does in the browser; a particle on its own asks for nothing."""
    words = [word for word in WORD.findall(query) if word not in PARTICLES]
    return [one for word in words for one in (pairs(stem(word)) if korean(word) else [word])]
