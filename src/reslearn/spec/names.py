"""How class names are compared: `é` is one character or two, as the system that wrote it liked, and the same name."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def spelling(name: str) -> str:
    """The composed spelling (Unicode NFC), by which names are compared."""
    return unicodedata.normalize("NFC", name)


def spellings(names: Iterable[str]) -> dict[str, str]:
    """Each name to the one that stands for its class: itself, or the composed spelling where several mean the same."""
    found: dict[str, set[str]] = {}
    for name in set(names):
        found.setdefault(spelling(name), set()).add(name)
    return {name: same if len(group) > 1 else name for same, group in found.items() for name in group}
