"""The files of a store that a table beside them names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import unquote

from ..layout.named_files import NamedFiles
from .failures import Refused
from .store import Entry, Store

_NO_PLACE = os.stat_result((0,) * 10)  # a store does not tell whether two names are one file


class StoredFiles(NamedFiles):
    """As on a disk. A web server is asked for each of `names`, for it may list nothing."""

    def __init__(self, store: Store, names: Sequence[str]) -> None:
        super().__init__(store.url)
        if store.protocol.startswith("http"):
            plain = list(dict.fromkeys(name.replace("\\", "/") for name in (*names, *map(unquote, names))))
            found = [entry for entry in store.each(lambda name: _tried(store, name), plain) if entry is not None]
        else:
            found = store.walk()
        self.entries = {entry.name: entry for entry in found}

    def find(self, name: str) -> tuple[str, os.stat_result] | None:
        """The path below the root that `name` means; None for nothing."""
        found = next((one for one in self._candidates(name) if os.path.normpath(one) in self.entries), None)
        return None if found is None else (os.path.normpath(found), _NO_PLACE)

    def _names_in(self, above: str) -> list[str]:
        start = f"{above}/" if above else ""
        return [name[len(start) :] for name in self.entries if name.startswith(start) and "/" not in name[len(start) :]]


def _tried(store: Store, name: str) -> Entry | None:
    try:
        return store.about(name)
    except Refused:
        return None
