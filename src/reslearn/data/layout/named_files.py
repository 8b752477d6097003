"""The files that a table names, found although another system wrote it: `cat\\0.PNG`, `0a1b` for `0a1b.jpg`."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

from ...spec.errors import UserError
from ...spec.names import spelling
from ..pictures.kinds import EXTENSIONS

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def is_address(name: str) -> bool:
    """Whether a text is an address (`https://...`, `s3://...`) and no path."""
    return _ADDRESS.match(name) is not None


class NamedFiles:
    """Finds files below `folder` by the names that a table has for them."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._listed: dict[str, dict[str, list[str]]] = {}

    def find(self, name: str) -> tuple[str, os.stat_result] | None:
        """The relative path that `name` means, and what lies there; None for nothing. A folder is a `UserError`."""
        for candidate in self._candidates(name):
            try:
                found = os.stat(os.path.join(self.folder, candidate))
            except (OSError, ValueError):
                continue
            if stat.S_ISDIR(found.st_mode):
                raise UserError(f"{candidate} is a folder, not a picture")
            return candidate, found
        return None

    def _candidates(self, name: str) -> Iterator[str]:
        """`name` as it is, with `/` for Windows' separator, in other Unicode spellings, by its folder's listing; and
        all that without `%20` and the like."""
        yield name
        paths = dict.fromkeys([name, name.replace("\\", "/")])
        for path in paths:
            yield from dict.fromkeys([path, unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path)])
        for path in paths:
            above, _, last = path.rpartition("/")
            near = self._listing(above).get(spelling(last).lower(), [])
            if len(near) > 1:
                raise UserError(f"{name} may be {' or '.join(sorted(near))}; name the file whole")
            yield from (f"{above}/{one}" if above else one for one in near)
        if (plain := unquote(name)) != name:  # as addresses and some labelling programs write it
            yield from self._candidates(plain)

    def _listing(self, above: str) -> dict[str, list[str]]:
        """Lower-case name, and name without a picture's extension, to the files of a folder that have it."""
        if above not in self._listed:
            found: dict[str, list[str]] = {}
            for name in self._names_in(above):
                stem, extension = os.path.splitext(spelling(name).lower())
                if extension in EXTENSIONS:
                    found.setdefault(stem, []).append(name)
                    found.setdefault(stem + extension, []).append(name)
            self._listed[above] = found
        return self._listed[above]

    def _names_in(self, above: str) -> list[str]:
        """What lies directly in a folder below this one."""
        try:
            return os.listdir(os.path.join(self.folder, above))
        except (OSError, ValueError):
            return []
