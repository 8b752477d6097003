"""What a picture is known by: the hash of its content where somebody computed it, else its path and size."""

from __future__ import annotations

import hashlib
from typing import Literal

from ..dataset import Dataset, Image
from ..table import as_pictures

Identity = Literal["content", "path"]


def content_hash(raw: bytes | None, image: Image | None) -> str:
    """sha256 of the encoded bytes, or of shape and pixels where there are none."""
    if raw is not None:
        return hashlib.sha256(raw).hexdigest()
    if image is None:
        raise TypeError("content_hash needs encoded bytes or pixels")
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


def identities(dataset: Dataset) -> tuple[Identity, list[str]]:
    """("content", hashes) where they are known for all samples, else ("path", relative path and size); a hash that is
    known stands in for path and size there too, so that one unchecked picture renames no other."""
    pictures = as_pictures(dataset)
    hashes = pictures.table.hashes
    if hashes is not None and all(hashes):
        return "content", list(hashes)
    names = list(pictures.ids)
    if pictures.reader.sizes is not None:
        names = [f"{name}:{size}" for name, size in zip(names, pictures.sizes.tolist(), strict=True)]
    return "path", names if hashes is None else [h or name for h, name in zip(hashes, names, strict=True)]
