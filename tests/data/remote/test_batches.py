"""Training from a store: the batches of local files for any workers and processes, windows of shards, prefetching."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import threading

import numpy as np
import pytest
import torch

from reslearn.data.loaders import train_loader
from reslearn.data.loading.sampling import EndlessOrder, through_shards
from reslearn.data.memory import Subset
from reslearn.data.preprocess import Normalise
from reslearn.data.remote import cache as caches
from reslearn.data.remote.store import Store
from reslearn.data.sources import open_data
from reslearn.runtime.process_group import World
from reslearn.spec.errors import UserError
from reslearn.spec.preprocess import default_preprocess
from reslearn.spec.recipe import Augment


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def loader_of(data, augment, workers=0, world=None):
    return train_loader(
        Subset(data, data.splits["train"]), normalise=Normalise(default_preprocess(8)), augment=augment, batch_size=8,
        seed=3, workers=workers, kind="streaming", world=world,
    )  # fmt: skip


def batches(data, augment, *, workers=0, world=None, start=0, stop=9):
    loader = loader_of(data, augment, workers, world)
    return [(batch.images, batch.labels, batch.samples) for batch in loader.batches(start, stop)]


def equal(some, others):
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1]) and (one[2] == other[2]).all()


AUGMENTS = {
    "shuffle": Augment(crop="pad", pad=1),
    "shards": Augment(crop="pad", pad=1, sampler="shards", shard_window=2),
}


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["1GB", "4KB"])
@pytest.mark.parametrize("sampler", AUGMENTS)
def test_batches_are_those_of_local_files_for_any_workers(layouts, s3, sampler, cache):
    here = batches(open_data(str(layouts / "tars")), AUGMENTS[sampler])
    for workers in (0, 1, 2, 4):
        equal(here, batches(open_data(f"{s3}/tars#cache={cache}"), AUGMENTS[sampler], workers=workers))


@pytest.mark.parametrize("sampler", AUGMENTS)
def test_two_processes_share_the_batches_and_a_resume_begins_anywhere(layouts, memory, sampler):
    here = batches(open_data(str(layouts / "tars")), AUGMENTS[sampler])
    parts = [batches(open_data(f"{memory}/tars"), AUGMENTS[sampler], world=World(rank, 2)) for rank in range(2)]
    for whole, *halves in zip(here, *parts, strict=True):
        for column, pair in enumerate(zip(*halves, strict=True)):
            assert (np.concatenate([np.asarray(half) for half in pair]) == np.asarray(whole[column])).all()
    equal(here[5:], batches(open_data(f"{memory}/tars"), AUGMENTS[sampler], start=5))


def test_of_a_set_larger_than_the_cache_a_process_reads_its_own_pictures_alone(layouts, memory, monkeypatch):
    read, asked = Store.read, []
    monkeypatch.setattr(Store, "read", lambda store, *what: asked.append(what) or read(store, *what))
    parts = []
    for rank in range(2):
        data = open_data(f"{memory}/tars#cache=4KB")
        asked.clear()
        for _ in batches(data, AUGMENTS["shuffle"], world=World(rank, 2), stop=4):  # an epoch
            pass
        parts.append(set(asked))
        assert len(asked) == len(parts[-1]) == 16
    assert not parts[0] & parts[1]


def test_an_order_through_shards_sees_every_sample_once_and_a_window_at_a_time():
    shards = np.repeat(np.arange(20), 50)
    for epoch in range(3):
        found = through_shards(shards, 0, epoch, 4)
        assert sorted(found) == list(range(1000))
        for window in np.split(shards[found], 5):
            assert len(np.unique(window)) == 4
    assert (through_shards(shards, 0, 0, 4) != through_shards(shards, 0, 1, 4)).any()
    assert (through_shards(shards, 0, 0, 20) == through_shards(shards, 0, 0, 99)).all()


def test_one_window_of_all_shards_is_a_full_shuffle():
    labels, shards = np.zeros(300, np.int64), np.repeat(np.arange(6), 50)
    walk = EndlessOrder(labels, seed=5, augment=Augment(sampler="shards", shard_window=6), batch_size=10, shards=shards)
    full = EndlessOrder(labels, seed=5, augment=Augment(), batch_size=10)
    assert (walk.epoch(2) == full.epoch(2)).all()


@pytest.mark.parametrize("window", [1, 4, 16])
def test_a_window_s_batches_mix_classes_nearly_as_a_full_shuffle_does(window):
    """Shards are drawn at random from the set, as `data pack --shards` writes them: a batch's classes vary alike."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(10), 500))
    shards = np.repeat(np.arange(50), 100)

    def spread(order):
        counts = [np.bincount(labels[part], minlength=10) for part in np.split(order, 50)]
        return np.var(counts)

    full = np.mean([spread(rng.permutation(5000)) for _ in range(20)])
    walked = np.mean([spread(through_shards(shards, seed, 0, window)) for seed in range(20)])
    assert 0.85 * full < walked < 1.15 * full


def test_pictures_in_no_shards_cannot_be_walked_through(layouts):
    with pytest.raises(UserError, match="data pack --shards"):
        batches(open_data(str(layouts / "folder")), AUGMENTS["shards"])


def test_the_next_window_is_fetched_before_it_is_needed(layouts, memory, monkeypatch):
    data = open_data(f"{memory}/tars#cache=400KB")
    data.reader.pieces.fits = False  # as a set that is larger than the cache
    shutil.rmtree(data.reader.pieces.cache.folder)  # what was fetched for the index
    by, fetch = [], caches.Cache.fetch
    monkeypatch.setattr(
        caches.Cache, "fetch", lambda *words: by.append(threading.current_thread().name) or fetch(*words)
    )
    equal(batches(open_data(str(layouts / "tars")), AUGMENTS["shards"]), batches(data, AUGMENTS["shards"]))
    assert by and set(by) == {"fetches ahead"}


def test_the_cache_keeps_to_its_bound_and_what_was_used_last(tmp_path):
    cache = caches.Cache(1_000_000, tmp_path)
    for i in range(60):
        assert cache.fetch(f"{i}", 50_000, lambda i=i: bytes([i]) * 50_000) == bytes([i]) * 50_000
        cache.get("0", 50_000) or cache.fetch("0", 50_000, lambda: bytes(50_000))
        assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 1_000_000
    assert cache.has("59") and cache.has("0") and not cache.has("1")
    assert cache.fetch("large", 600_000, lambda: bytes(600_000)) is None


def test_an_epoch_with_too_small_a_cache_leaves_nothing_in_memory(layouts, memory, monkeypatch):
    """Objects, memory blocks, threads and open files; and names that Python interned, whose table grows with those."""
    data = open_data(f"{memory}/tars#cache=400KB")
    pieces = data.reader.pieces
    pieces.fits, pieces.cache.limit = False, 5 * max(entry.size for entry in pieces.entries.values()) // 2
    shutil.rmtree(pieces.cache.folder)  # what was fetched for the index
    loader, fetched, interned = loader_of(data, AUGMENTS["shuffle"]), [], []
    fetch, intern = caches.Cache.fetch, sys.intern
    monkeypatch.setattr(caches.Cache, "fetch", lambda *words: fetched.append(1) or fetch(*words))
    monkeypatch.setattr(sys, "intern", lambda text: interned.append(text) or intern(text))

    def counted(epochs):
        for epoch in epochs:
            for row in data.splits["train"]:  # one shard after the other
                data.reader.ahead(np.array([row]), threading.Event())
            for _ in loader.batches(4 * epoch, 4 * epoch + 4):
                pass
        there = fetched.copy(), interned.copy()
        fetched.clear(), interned.clear()
        gc.collect()
        open_files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
        return np.array([len(gc.get_objects()), sys.getallocatedblocks(), open_files, threads]), *there

    before, *_ = counted(range(2))
    after, pieces_got, names = counted(range(2, 8))
    assert len(pieces_got) >= 10 and names == []
    assert (after - before < [20, 400, 1, 1]).all(), (before, after)
    left = [path.name for path in pieces.cache.folder.rglob("*.lock") if path.name != "lock"]
    assert left == []
