"""Randomness as a function: every draw is a hash of (seed, purpose, position, k), so no state needs saving.

The same numbers come out in any process, in any order, for any batch: `uniform` serves a whole batch at once.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def key(seed: int, purpose: str) -> int:
    """A 64-bit key for one purpose under one seed; different purposes never share draws."""
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def bits(seed: int, purpose: str, positions: ArrayLike, k: int = 1) -> NDArray[np.uint64]:
    """(len(positions), k) independent 64-bit draws (splitmix64's finaliser over a keyed counter, applied twice)."""
    p = np.asarray(positions, dtype=np.int64).astype(np.uint64).reshape(-1, 1)
    with np.errstate(over="ignore"):
        row = _mix(p * _GOLDEN + np.uint64(key(seed, purpose)))
        return _mix(row + (np.arange(1, k + 1, dtype=np.uint64) * _GOLDEN))


def uniform(seed: int, purpose: str, positions: ArrayLike, k: int = 1) -> NDArray[np.float64]:
    """(len(positions), k) draws, uniform in [0, 1)."""
    return (bits(seed, purpose, positions, k) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def integers(seed: int, purpose: str, positions: ArrayLike, high: int, k: int = 1) -> NDArray[np.int64]:
    """(len(positions), k) draws from 0 ... high - 1."""
    return np.minimum((uniform(seed, purpose, positions, k) * high).astype(np.int64), high - 1)


def order(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    """The permutation of `range(length)` in which an epoch visits its samples."""
    return np.argsort(bits(seed, f"order/{epoch}", np.arange(length))[:, 0], kind="stable").astype(np.int64)


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
