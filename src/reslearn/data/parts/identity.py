"""What a picture is known by: the hash of its content where somebody computed it, else its path and size."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

from ..dataset import Dataset, Image
from ..memory import Subset, root_of

Identity = Literal["content", "path"]


def encoded_bytes(dataset: Dataset, i: int) -> bytes | None:
    """The encoded bytes of picture `i` as they lie in the source; None for sources of bare pixels."""
    root, indices = root_of(dataset)
    reader = getattr(root, "raw", None)
    if reader is None or getattr(getattr(root, "options", None), "encoding", None) == "raw":
        return None
    raw: bytes = reader(int(indices[i]))
    return raw


def content_hash(raw: bytes | None, image: Image | None) -> str:
    """sha256 of the encoded bytes, or of shape and pixels where there are none."""
    if raw is not None:
        return hashlib.sha256(raw).hexdigest()
    if image is None:
        raise TypeError("content_hash needs encoded bytes or pixels")
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


def groups_of(dataset: Dataset) -> Sequence[str] | None:
    """Group names of the samples where the source declares groups."""
    return _column(dataset, "groups")


def hashes_of(dataset: Dataset) -> Sequence[str] | None:
    """Content hashes of the samples where a manifest or a pack has computed them."""
    return _column(dataset, "hashes")


def _column(dataset: Dataset, name: str) -> list[str] | None:
    """A per-sample attribute of the outermost layer (subset, manifest, source) that has it."""
    indices = None
    while True:
        values = getattr(dataset, name, None)
        if values is not None:
            return list(values) if indices is None else [values[int(i)] for i in indices]
        if not isinstance(dataset, Subset):
            return None
        indices = dataset.indices if indices is None else dataset.indices[indices]
        dataset = dataset.source


def identities(dataset: Dataset) -> tuple[Identity, list[str]]:
    """("content", hashes) where they are known for all samples, else ("path", relative path and size); a hash that is
    known stands in for path and size there too, so that one unchecked picture renames no other."""
    hashes = hashes_of(dataset)
    if hashes is not None and all(hashes):
        return "content", list(hashes)
    root, indices = root_of(dataset)
    sizes = getattr(root, "sizes", None)
    if sizes is None:
        names = list(dataset.ids)
    else:
        names = [f"{name}:{int(size)}" for name, size in zip(dataset.ids, sizes[indices], strict=True)]
    return "path", names if hashes is None else [h or name for h, name in zip(hashes, names, strict=True)]
