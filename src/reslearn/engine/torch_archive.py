"""A network as a program of `torch.export`: an archive that others load with `torch.export.load`, and we never do.

To open one is to unpickle, so only bytes that were made in this process a moment ago are, to verify them.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..runtime.container import NO_DIGEST
from ..runtime.envelope import OPENING, TORCH_NAME
from ..spec.choices import Engine
from .exported import Draft, Exported
from .graphs import Arrays, GraphScorer
from .needs import quiet

_ENTRY = b"PK\x01\x02"  # opens an entry of the zip's directory


class ProgramScorer(GraphScorer):
    """A torch program that this process has just made."""

    engine: Engine = "torch"

    def __init__(self, exported: Exported, *, threads: int | None = None, batch_size: int = 256) -> None:
        super().__init__(exported, threads=threads, batch_size=batch_size)
        with quiet():
            self._program = torch.export.load(io.BytesIO(exported.content)).module()

    def outputs(self, batch: NDArray[Any]) -> Arrays:
        """As `GraphScorer.outputs` says."""
        with torch.inference_mode():
            found = self._program(torch.from_numpy(batch))
        return {name: np.asarray(x) for name, x in zip(self.exported.graph.outputs, found, strict=True)}


def archive_bytes(program: torch.export.ExportedProgram, draft: Draft) -> bytes:
    """The archive, with the draft's text in `extra/reslearn.json` and its digest filled in."""
    memory = io.BytesIO()
    with quiet():
        torch.export.save(program, memory, extra_files={TORCH_NAME: draft.text(0) + "\n"})
    return stamped(memory.getvalue())


def stamped(content: bytes) -> bytes:
    """An archive whose digest was left as zeros, with the digest put in, and the zip's checksums of it mended."""
    raw = bytearray(content)
    at = raw.index(OPENING.encode()) + len(OPENING)
    if raw[at : at + 64] != NO_DIGEST.encode():
        raise ValueError("the digest is filled in already")
    raw[at : at + 64] = archive_digest(content).encode()
    start, size, places = _entry(content)
    checksum = zlib.crc32(raw[start : start + size]).to_bytes(4, "little")
    for place in places:
        raw[place : place + 4] = checksum
    return bytes(raw)


def archive_digest(content: bytes) -> str:
    """sha256 of the archive, its own digits and the zip's checksums of the entry that they stand in taken as zeros."""
    raw = bytearray(content)
    at = raw.index(OPENING.encode()) + len(OPENING)
    raw[at : at + 64] = NO_DIGEST.encode()
    for place in _entry(content)[2]:
        raw[place : place + 4] = bytes(4)
    return hashlib.sha256(raw).hexdigest()


def _entry(content: bytes) -> tuple[int, int, list[int]]:
    """Where our entry's bytes start, how many there are, and where its checksum is written in the zip."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        info = next(one for one in archive.infolist() if one.filename.endswith(f"/{TORCH_NAME}"))
    local, name = info.header_offset, info.filename.encode()
    flags, lengths = (int.from_bytes(content[local + i : local + i + 2], "little") for i in (6, 26))
    extra = int.from_bytes(content[local + 28 : local + 30], "little")
    start = local + 30 + lengths + extra
    stop = start + info.file_size
    places = [local + 14]
    if flags & 8:  # the checksum follows the bytes
        places = [stop + (4 if content[stop : stop + 4] == b"PK\x07\x08" else 0)]
    at = content.find(_ENTRY, stop)
    while at >= 0:
        if content[at + 46 : at + 46 + len(name)] == name:
            places.append(at + 16)
        at = content.find(_ENTRY, at + 4)
    return start, info.file_size, places
