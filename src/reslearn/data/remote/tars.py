"""What tars in a store hold. An index beside them is read; else each is fetched once, and its index kept."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from ...runtime.files import naming, passing_folder, user_cache, write_atomic
from ...runtime.opening import open_regular, parse_json, read_document
from ...spec.errors import UserError
from ..formats.files import UNIT
from ..formats.tar_index import Index, clean, read_index
from ..workers import in_threads
from .readers import Pieces

SUFFIX = ".index.json"  # of the index beside a tar
FORMAT = 1
SMALL = 1 << 16  # bytes of a label that an index holds itself
AT_ONCE = 4  # tars that are fetched for their index


class RemoteTars:
    """Tars of a store by their names; those of `beside` have an index there."""

    def __init__(self, pieces: Pieces, names: Sequence[str], beside: Collection[str] = ()) -> None:
        self._pieces, self._beside = pieces, frozenset(beside)
        self._labels: dict[tuple[str, int], bytes] = {}
        self._indexes = dict(zip(names, in_threads(self._found, names, AT_ONCE), strict=True))

    def index(self, file: str) -> Index:
        """What a tar holds."""
        return self._indexes[file]

    def read(self, file: str, offset: int, size: int) -> bytes:
        """Bytes of a tar."""
        known = self._labels.get((file, offset))
        return self._pieces.read(file, offset, size) if known is None or len(known) < size else known[:size]

    def _found(self, name: str) -> Index:
        entry, store = self._pieces.entries[name], self._pieces.store
        if f"{name}{SUFFIX}" in self._beside:
            there = store.about(f"{name}{SUFFIX}")
            return self._opened(name, store.read(f"{name}{SUFFIX}", 0, there.size), store.place(f"{name}{SUFFIX}"))
        kept = user_cache() / "tar-indexes" / os.path.basename(self._pieces.cache.path(f"{store.place(name)} {entry}"))
        if entry.version and kept.exists():
            try:
                return self._opened(name, read_document(kept), str(kept))
            except (OSError, UserError):
                pass  # damaged: it is made anew
        content = self._made(name)
        if entry.version:
            with contextlib.suppress(
                OSError, UserError
            ):  # a full disk, or no right to write: it is made anew each time
                kept.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(kept, content)
        return self._opened(name, content, name)

    def _made(self, name: str) -> bytes:
        """The index of a tar that is fetched for it, piece by piece through the cache."""
        try:
            user_cache().mkdir(parents=True, exist_ok=True)
            return self._made_in(user_cache(), name)
        except OSError:
            return self._made_in(passing_folder(), name)

    def _made_in(self, folder: Path, name: str) -> bytes:
        entry, store = self._pieces.entries[name], self._pieces.store
        with naming(folder), tempfile.NamedTemporaryFile(dir=folder, suffix=".tar") as local:
            for unit in range(-(-entry.size // UNIT)):
                piece = self._pieces.fetch(name, unit) if self._pieces.fits else None
                start = unit * UNIT
                local.write(piece or store.read(name, start, min(UNIT, entry.size - start)))
            local.flush()
            try:
                return index_bytes(local.name, entry.size)
            except UserError as error:
                raise UserError(str(error).replace(local.name, store.place(name))) from None

    def _opened(self, name: str, content: bytes, where: str) -> Index:
        value: Any = parse_json(content, where)
        try:
            whole = self._pieces.entries[name].size
            if value["format"] != FORMAT or value["bytes"] != whole:
                raise KeyError("bytes")
            files = [(str(file), _whole(offset), _whole(size)) for file, offset, size in value["files"]]
            if any(offset + size > whole for _, offset, size in files):
                raise ValueError("beyond the end")
            for offset, text in value["small"].items():
                self._labels[name, int(offset)] = base64.b64decode(text)
            return Index(files, set(value["folders"]), list(value["notes"]))
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{where}: not the index of the tar beside it; write both again with `reslearn data pack --shards`"
            ) from None


def _whole(value: object) -> int:
    """A number of bytes as an index has it."""
    if type(value) is not int or value < 0:
        raise ValueError("no number of bytes")
    return value


def index_bytes(path: str, size: int) -> bytes:
    """The index of the tar at `path` as it is kept: names, offsets and sizes, and the labels themselves."""
    found = read_index(path)
    small = {}
    with open_regular(Path(path)) as file:
        for name, offset, length in found.files:
            base = clean(name).rpartition("/")[2]
            if length <= SMALL and (os.path.splitext(base)[1].lower() in (".cls", ".json") or base == "classes.txt"):
                file.seek(offset)
                small[str(offset)] = base64.b64encode(file.read(length)).decode()
    value = {"format": FORMAT, "bytes": size, "files": found.files, "folders": sorted(found.folders)}
    return json.dumps(value | {"notes": found.notes, "small": small}).encode()
