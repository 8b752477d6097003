"""Which sample stands at which position of the endless training sequence: shuffled, balanced over classes, repeated."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...runtime.process_group import World
from ...runtime.random import key, order
from ...spec.errors import UserError
from ...spec.recipe import Augment
from ..dataset import Indices

STRETCH = 4096  # positions that are fetched together, where the sampler has no windows


class EndlessOrder:
    """position p -> sample: epoch e = p // M, sample = order(e)[p % M], with M = `epoch_length` = the set's size.

    A pure function of (seed, labels, sampler); it holds only the last two epochs' orders as a cache. Of a batch of
    `batch_size`, each of `world.size` processes has its part.
    """

    def __init__(
        self,
        labels: Indices,
        *,
        seed: int,
        augment: Augment,
        batch_size: int,
        world: World | None = None,
        shards: Indices | None = None,
    ) -> None:
        """`shards` tells of each sample in which shard it lies: needed where the sampler walks through these."""
        if not len(labels):
            raise UserError("there are no pictures to train on")
        if augment.sampler == "shards" and shards is None:
            raise UserError(
                "augment.sampler is 'shards', and these pictures lie in none; write them as shards (reslearn data pack "
                "--shards N), or use shuffle"
            )
        self._shards, self._window = shards, augment.shard_window
        self.epoch_length = len(labels)
        self._labels, self._seed, self.batch_size, self._world = labels, seed, batch_size, world or World()
        self._sampler, self._repeats = augment.sampler, augment.repeats
        self._group = max(batch_size // augment.repeats, 1)
        self._cache: dict[int, Indices] = {}

    def step(self, step: int) -> tuple[Indices, Indices, Indices]:
        """(positions, samples, epochs), int64 (batch_size / world,): this process's contiguous part of positions
        [step B, (step + 1) B)."""
        each = self.batch_size // self._world.size
        first = step * self.batch_size + self._world.rank * each
        positions = np.arange(first, first + each, dtype=np.int64)
        return positions, *self.at(positions)

    def at(self, positions: Indices) -> tuple[Indices, Indices]:
        """(samples, epochs), int64 (B,), of positions of any epoch."""
        epochs = positions // self.epoch_length
        samples = np.empty_like(positions)
        for e in np.unique(epochs):
            here = epochs == e
            samples[here] = self.epoch(int(e))[positions[here] % self.epoch_length]
        return samples, epochs

    def epoch(self, e: int) -> Indices:
        """The (M,) samples of epoch `e` in the order of training."""
        if e not in self._cache:
            self._cache = {k: v for k, v in self._cache.items() if k == e - 1}
            self._cache[e] = self._make(e)
        return self._cache[e]

    def instead(self, position: int) -> Iterator[int]:
        """Samples that may stand in for an unreadable one at `position`: the next ones of the same epoch's order."""
        epoch = self.epoch(position // self.epoch_length)
        yield from (int(epoch[(position + k) % self.epoch_length]) for k in range(1, self.epoch_length))

    def stretches(self, e: int) -> Indices:
        """Where in epoch `e` each stretch of it ends that lies together: its windows, or so many positions."""
        if self._sampler == "shards" and self._shards is not None and self._repeats == 1:
            counts = np.bincount(windows(self._shards, self._seed, e, self._window))
            return np.asarray(np.cumsum(counts), np.int64)
        return np.append(np.arange(STRETCH, self.epoch_length, STRETCH, dtype=np.int64), self.epoch_length)

    def copy(self) -> EndlessOrder:
        """The same sequence, for another thread: each keeps the orders that it needs itself."""
        other = copy.copy(self)
        other._cache = {}
        return other

    def _make(self, e: int) -> Indices:
        if self._sampler == "balanced":
            perm = balanced(self._labels, self._seed, e)
        elif self._sampler == "shards" and self._shards is not None:
            perm = through_shards(self._shards, self._seed, e, self._window)
        else:
            perm = order(self._seed, e, self.epoch_length)
        return repeat(perm, self._repeats, self._group)


def windows(shards: Indices, seed: int, epoch: int, window: int) -> Indices:
    """(len,) in which window of an epoch each sample is seen: so many shards, drawn anew for every epoch, make one."""
    names, which = np.unique(shards, return_inverse=True)
    place = np.empty(len(names), np.int64)
    place[order(key(seed, "shards"), epoch, len(names))] = np.arange(len(names))
    return place[which.reshape(-1)] // window


def through_shards(shards: Indices, seed: int, epoch: int, window: int) -> Indices:
    """Every sample once, window after window; within one in the order of a full shuffle, which one window of all is."""
    shuffled = order(seed, epoch, len(shards))
    at = windows(shards, seed, epoch, window)
    return shuffled[np.argsort(at[shuffled], kind="stable")]


def unmixed(labels: Indices, shards: Indices, window: int) -> float:
    """How far the classes of a window differ from those of the whole, beyond what chance makes: 0 to 1, the mean of the
    first epoch's windows, as the share of pictures that would have to be others."""
    at = windows(shards, 0, 0, window)
    drawn = labels[order(key(0, "chance"), 0, len(labels))]
    return _distance(labels, at) - _distance(drawn, at)


def _distance(labels: Indices, at: Indices) -> float:
    counts = np.zeros((int(at.max()) + 1, int(labels.max()) + 1))
    np.add.at(counts, (at, labels), 1)
    sizes = counts.sum(1, keepdims=True)
    apart = np.abs(counts / sizes - counts.sum(0) / len(labels)).sum(1) / 2
    return float((apart * sizes[:, 0]).sum() / len(labels))


def balanced(labels: Indices, seed: int, epoch: int) -> Indices:
    """As many positions as samples, every class equally often (to within one); a class is walked through in a fresh
    shuffle each epoch and starts over when it is short."""
    slots = order(seed, epoch, len(labels))
    classes = np.unique(labels)
    out = np.empty(len(labels), np.int64)
    for k, c in enumerate(classes):
        members = np.flatnonzero(labels == c)
        mine = np.flatnonzero(slots % len(classes) == (k + epoch) % len(classes))
        shuffled = members[order(seed, epoch, len(members))]
        out[mine] = np.resize(shuffled, len(mine))
    return out


def repeat(samples: Indices, repeats: int, group: int) -> Indices:
    """Repeated augmentation: the first 1/repeats of an epoch's samples, each `repeats` times in a batch's reach.

    `group` different samples are followed by the same ones again, so MixUp's neighbours p and p XOR 1 differ.
    """
    if repeats == 1:
        return samples
    distinct = samples[: -(-len(samples) // repeats)]
    tiles = [np.tile(distinct[i : i + group], repeats) for i in range(0, len(distinct), group)]
    return np.concatenate(tiles)[: len(samples)]


def class_weights(labels: Indices, num_classes: int, kind: Literal["none", "balanced"]) -> NDArray[np.float32] | None:
    """Loss weights (num_classes,), mean 1 over the samples: `balanced` is N / (C * count), 0 for an absent class."""
    if kind == "none":
        return None
    counts = np.bincount(labels, minlength=num_classes).astype(np.float64)
    present = counts > 0
    weights = np.where(present, len(labels) / (present.sum() * np.maximum(counts, 1)), 0.0)
    return weights.astype(np.float32)
