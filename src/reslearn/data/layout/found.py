"""What opening a source found beside its pictures."""

from __future__ import annotations

from collections.abc import Mapping

from .listing import Stray


class Found:
    """A base of the sources on a disk. `open_data` refuses or notes what is in it, `data check` reports all of it."""

    sealed = True  # an archive or a table: a stray in it is noted; false where it can be removed and so is refused
    notes: tuple[str, ...] = ()  # lines for people
    strays: tuple[Stray, ...] = ()  # files in class folders that are no pictures
    problems: tuple[str, ...] = ()  # lines for which training refuses the set
    missing: Mapping[str, str] = {}  # identity of a picture whose file is not there -> the line that says so
