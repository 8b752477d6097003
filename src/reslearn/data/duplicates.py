"""Pictures that are the same: exactly, by content hash, or nearly, by a perceptual hash checked on small copies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .dataset import Image

SMALLEST = 24  # below this many pixels on the shorter side too many different pictures look alike
MAX_BITS = 7  # of 64 that may differ in near duplicates
MAX_LEVELS = 8.0  # mean difference of the 8x8 copies, in grey levels


@dataclass(frozen=True)
class Look:
    """A picture reduced to what survives resizing and recompression."""

    hash: int  # 64 bits: signs of the low frequencies of the 32x32 grey copy (pHash)
    small: bytes  # 8x8 RGB
    shorter_side: int


def look_of(image: Image) -> Look:
    """The look of an RGB uint8 picture."""
    small = cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    low = cv2.dct(grey.astype(np.float32))[:8, :8].flatten()
    bits = low > np.median(low[1:])
    return Look(int.from_bytes(np.packbits(bits).tobytes(), "big"), small.tobytes(), min(image.shape[:2]))


def exact_groups(hashes: Sequence[str]) -> list[list[int]]:
    """Groups of two and more positions with one content hash; an empty hash matches nothing."""
    groups: dict[str, list[int]] = {}
    for i, digest in enumerate(hashes):
        if digest:
            groups.setdefault(digest, []).append(i)
    return [members for members in groups.values() if len(members) > 1]


def near_pairs(looks: Sequence[Look | None], hashes: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs (i < j) that look alike and are not byte for byte the same, each picture's exact copies counted once."""
    first: dict[str, int] = {}
    usable = [
        i
        for i, look in enumerate(looks)
        if look is not None and look.shorter_side >= SMALLEST and first.setdefault(hashes[i] or str(i), i) == i
    ]
    codes = np.array([looks[i].hash for i in usable], dtype=np.uint64)  # type: ignore[union-attr]
    small = np.array([np.frombuffer(looks[i].small, np.uint8) for i in usable]).reshape(len(usable), 8 * 8 * 3)  # type: ignore[union-attr]
    pairs = set()
    for a, b in _candidates(codes):
        distance = np.bitwise_count(codes[a] ^ codes[b])
        levels = np.abs(small[a].astype(np.int16) - small[b]).mean(axis=1)
        for k in np.flatnonzero((distance <= MAX_BITS) & (levels <= MAX_LEVELS)):
            i, j = usable[int(a[k])], usable[int(b[k])]
            pairs.add((min(i, j), max(i, j)))
    return sorted(pairs)


def _candidates(codes: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Blocks of index pairs that hold every pair within 7 bits: two such codes differ by at most one bit in at least
    one of their four 16-bit quarters, so each quarter is matched as it is and with each of its bits flipped."""
    for quarter in range(4):
        part = ((codes >> np.uint64(16 * quarter)) & np.uint64(0xFFFF)).astype(np.int64)
        order = np.argsort(part, kind="stable")
        ordered = part[order]
        for flip in [0, *(1 << bit for bit in range(16))]:
            wanted = part ^ flip
            start, stop = np.searchsorted(ordered, wanted, "left"), np.searchsorted(ordered, wanted, "right")
            counts = stop - start
            for block in range(0, len(codes), 1 << 14):
                n = counts[block : block + (1 << 14)]
                left = np.repeat(np.arange(block, block + len(n)), n)
                offset = np.arange(len(left)) - np.repeat(np.cumsum(n) - n, n)
                right = order[np.repeat(start[block : block + len(n)], n) + offset]
                keep = left < right
                yield left[keep], right[keep]


def clusters(pairs: Sequence[tuple[int, int]], groups: Sequence[Sequence[int]]) -> list[list[int]]:
    """Connected groups of everything that pairs and groups link, sorted."""
    parent: dict[int, int] = {}

    def root(i: int) -> int:
        while parent.setdefault(i, i) != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for members in [*pairs, *groups]:
        for other in members[1:]:
            parent[root(other)] = root(members[0])
    together: dict[int, list[int]] = {}
    for i in sorted(parent):
        together.setdefault(root(i), []).append(i)
    return sorted(together.values())
