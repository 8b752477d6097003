"""Encoded pictures that lie inside larger files (tar shards): read by file, offset and length."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from ...runtime.opening import PICTURE, check_size, open_regular
from ...spec.errors import UserError
from ..dataset import Image, Indices
from ..layout.found import Found
from ..memory import identity_digest
from ..pictures.decode import decode_bytes
from ..strings import StringTable


class SliceDataset(Found):
    """Picture `i` is `lengths[i]` bytes at `offsets[i]` of `files[which[i]]`."""

    def __init__(
        self,
        files: Sequence[str],
        which: Indices,
        offsets: Indices,
        lengths: Indices,
        *,
        labels: Indices,
        classes: Sequence[str],
        ids: Sequence[str],
        splits: Mapping[str, Indices] | None = None,
        path: str,
    ) -> None:
        self.files, self._which, self._offsets, self.sizes = list(files), which, offsets, lengths
        self.labels = np.asarray(labels, dtype=np.int64)
        self.classes = tuple(classes)
        self.ids: Sequence[str] = StringTable(ids)
        self.splits: Mapping[str, Indices] = dict(splits or {})
        self.path = os.path.abspath(path)
        self._handles: dict[str, BinaryIO] = {}

    def __len__(self) -> int:
        return len(self.labels)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_handles": {}}  # another process opens its own

    def raw(self, i: int) -> bytes:
        """The encoded bytes of picture `i`."""
        file = self.files[int(self._which[i])]
        if file not in self._handles:
            try:
                self._handles[file] = open_regular(file)
            except OSError as error:
                raise UserError(f"{file}: cannot be read ({error.strerror})") from None
        check_size(f"{file}: {self.ids[i]}", int(self.sizes[i]), PICTURE)
        handle = self._handles[file].fileno()
        data = os.pread(handle, int(self.sizes[i]), int(self._offsets[i]))  # safe across forks
        if len(data) != self.sizes[i]:
            raise UserError(f"{file}: ends in the middle of {self.ids[i]} (truncated archive)")
        return data

    def read(self, i: int) -> tuple[Image, int]:
        """Decode picture `i`; an unreadable one is a `UserError` naming the archive and the member."""
        return self.decode(i, self.raw(i)), int(self.labels[i])

    def decode(self, i: int, raw: bytes) -> Image:
        """The pixels of picture `i`, given its bytes."""
        return decode_bytes(raw, f"{self.files[int(self._which[i])]}: {self.ids[i]}")

    def locate(self, indices: Indices) -> tuple[list[str], list[str]]:
        """For each picture of `indices` a name of its place in this source, and the file it lies in."""
        names = [f"{self.ids[int(i)]}:{self._offsets[i]}:{self.sizes[i]}" for i in indices]
        return names, [self.files[int(self._which[i])] for i in indices]

    def fingerprint(self) -> str:
        """Digest of member names, labels, class names and sizes."""
        digest = hashlib.sha256(identity_digest(self.ids, self.labels, self.classes))
        digest.update(self.sizes.astype("<i8").tobytes())
        return digest.hexdigest()[:32]
