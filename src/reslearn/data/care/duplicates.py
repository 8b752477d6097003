"""Pictures that are the same: exactly, by content hash, or nearly, by a perceptual hash checked on small copies."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..dataset import Image
from ..parts.grouping import linked

SMALLEST = 24  # below this many pixels on the shorter side too many different pictures look alike
MAX_BITS = 7  # of 64 that may differ in near duplicates
MAX_LEVELS = 8.0  # mean difference of the 8x8 copies, in grey levels
_PAIRS, _LEVELS = 1 << 18, 1 << 14  # pairs whose codes, and whose small copies, are compared at once: some 10 MB each


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
    groups = _gathered((digest, (i,)) for i, digest in enumerate(hashes) if digest)
    return [members for members in groups if len(members) > 1]


def near_groups(looks: Sequence[Look | None], hashes: Sequence[str]) -> list[list[int]]:
    """Groups of positions linked by looking alike, each picture's exact copies counted once; sorted.

    Memory grows with the pictures, not with the pairs: equal looks are one from the start, pairs come in blocks of at
    most `_PAIRS` (or one picture's), and each is forgotten once its two pictures are united.
    """
    first: dict[str, int] = {}
    usable = [
        (i, look)
        for i, look in enumerate(looks)
        if look is not None and look.shorter_side >= SMALLEST and first.setdefault(hashes[i] or str(i), i) == i
    ]
    same = _gathered(((look.hash, look.small), (i,)) for i, look in usable)
    firsts = [looks[members[0]] for members in same]
    codes = np.array([look.hash for look in firsts if look], dtype=np.uint64)
    small = np.frombuffer(b"".join(look.small for look in firsts if look), np.uint8).reshape(len(same), 8 * 8 * 3)
    together = _gathered(zip(_united(codes, small).tolist(), same, strict=True))
    return sorted(sorted(group) for group in together if len(group) > 1)


def _gathered(pairs: Iterable[tuple[Hashable, Iterable[int]]]) -> list[list[int]]:
    """Members that come under one key, put together in the order of the keys."""
    together: dict[Hashable, list[int]] = {}
    for key, members in pairs:
        together.setdefault(key, []).extend(members)
    return list(together.values())


def _united(codes: NDArray[np.uint64], small: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(len(codes),) a number per look, shared by those that a chain of near ones links."""
    root = np.arange(len(codes))
    for a, b in _candidates(codes):
        near = (root[a] != root[b]) & (np.bitwise_count(codes[a] ^ codes[b]) <= MAX_BITS)  # cheap, and rarely true
        a, b = a[near], b[near]
        for start in range(0, len(a), _LEVELS):
            left, right = a[start : start + _LEVELS], b[start : start + _LEVELS]
            apart = root[left] != root[right]  # the chunk before may have united them
            left, right = left[apart], right[apart]
            alike = np.abs(small[left].astype(np.int16) - small[right]).mean(axis=1) <= MAX_LEVELS
            root = linked(root, left[alike], right[alike])
    return root


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
            ends = np.cumsum(counts)
            low = 0
            while low < len(codes):
                before = ends[low - 1] if low else 0
                high = max(int(np.searchsorted(ends, before + _PAIRS, "right")), low + 1)
                n = counts[low:high]
                left = np.repeat(np.arange(low, high), n)
                offset = np.arange(len(left)) - np.repeat(np.cumsum(n) - n, n)
                right = order[np.repeat(start[low:high], n) + offset]
                keep = left < right
                yield left[keep], right[keep]
                low = high


def clusters(groups: Sequence[Sequence[int]]) -> list[list[int]]:
    """Groups that share a member made one, sorted."""
    links = np.array([(members[0], other) for members in groups for other in members[1:]], np.int64).reshape(-1, 2)
    root = linked(np.arange(links.max(initial=-1) + 1), *links.T)
    return _gathered((int(root[i]), (i,)) for i in np.unique(links).tolist())
