"""Tasks come back in order whoever does them; errors are raised where results are taken, and nothing goes on after."""

import gc
import os
import signal
import threading
import time
from contextlib import closing

import numpy as np
import pytest
import torch
from torch.multiprocessing.reductions import shared_cache

from reslearn.data.workers import Workers, in_threads, map_chunks, parallel_map
from reslearn.spec.errors import UserError


def doubled(chunk):
    if 77 in chunk:
        raise UserError("77 is unreadable")
    return (2 * chunk).tolist()


@pytest.mark.parametrize("workers", [0, 2])
def test_chunks_come_in_order_and_progress_after_each_was_taken(workers):
    told, taken = [], []
    for part in map_chunks(doubled, np.arange(70), workers, size=32, progress=lambda *counts: told.append(counts)):
        assert len(told) == len(taken) // 32
        taken += part
    assert taken == [2 * i for i in range(70)] and told == [(32, 70), (64, 70), (70, 70)]
    assert list(map_chunks(doubled, np.arange(0), workers)) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_a_chunk_that_fails_is_a_user_error_here(workers):
    with pytest.raises(UserError, match="77 is unreadable"):
        list(map_chunks(doubled, np.arange(100), workers, size=10))


@pytest.mark.parametrize("threads", [None, 0, 1, 3])
def test_threads_give_results_in_order(threads):
    def slow(i):
        time.sleep(0.002 * (i % 3))
        return i * i

    assert list(in_threads(slow, range(40), threads)) == [i * i for i in range(40)]


def test_threads_run_ahead_a_little_and_stop_with_whoever_takes_their_results():
    begun, lock = [], threading.Lock()

    def note(i):
        with lock:
            begun.append(i)
        return i

    with closing(in_threads(note, range(10_000), 2)) as results:
        assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert len(begun) <= 5 + 4 * 2 + 2


def test_the_first_error_of_a_thread_is_raised_and_ends_the_rest():
    begun = []

    def fails(i):
        begun.append(i)
        if i == 3:
            raise UserError("three")
        return i

    taken = []
    with pytest.raises(UserError, match="three"):
        taken.extend(in_threads(fails, range(10_000), 1))
    assert taken == [0, 1, 2] and len(begun) < 20


def test_a_slip_of_the_hand_starts_no_hundred_thousand_processes():
    with pytest.raises(UserError, match="100,000 worker processes; at most 4,096"):
        Workers(str, 100_000)


def test_a_worker_s_collector_leaves_what_it_shares_alone():
    assert next(parallel_map(_frozen, [0], 1)) > 10_000 and gc.get_freeze_count() == 0


def _frozen(_):
    return gc.get_freeze_count()


def test_nothing_is_remembered_of_tensors_that_are_gone():
    """Each remembered one lies in the memory that a batch has left, so that the next takes new memory."""
    gc.collect()
    before, known = len(shared_cache), []
    for _ in parallel_map(torch.zeros, [(100, 100)] * 40, 2):
        known.append(len(shared_cache))
    assert max(known) <= before + 6  # two workers are ahead by two each


def _stalled(task):
    time.sleep(60)


@pytest.fixture
def pressed():
    """Ctrl-C in half a second, whatever handler the surroundings left."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    yield
    timer.cancel()
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_does_not_wait_for_threads_that_wait_for_a_network(pressed):
    gate, began = threading.Event(), time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(in_threads(lambda task: gate.wait(60), range(100), 4))
    gate.set()
    assert time.monotonic() - began < 20


def test_ctrl_c_ends_workers_that_wait_for_a_network(pressed):
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(parallel_map(_stalled, range(10), 2))
    gc.collect()
    assert time.monotonic() - began < 20
