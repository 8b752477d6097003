"""One thread, one bounded queue: what goes together, what waits, what is never answered by another's logits."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import operator
import threading
import time

import numpy as np
import pytest

from reslearn.serve.batcher import Batcher, Full, Unanswered


class Counting:
    """A scorer whose logits are the pictures' first two numbers; `gate` holds it up, `bad` is what it fails on."""

    def __init__(self, bad=None):
        self.batches, self.gate, self.bad = [], threading.Event(), bad
        self.gate.set()

    def ready(self):
        return contextlib.nullcontext()

    def __call__(self, images):
        self.gate.wait(10)
        firsts = images[:, :2, 0, 0].numpy().astype(np.float32)
        self.batches.append(len(firsts))
        if self.bad is not None and (firsts == self.bad).any():
            raise RuntimeError("the engine breaks")
        return firsts

    def normalised(self, batch):
        self.batches.append(-len(batch))
        return batch[:, :2, 0, 0].numpy()


def pixels(number):
    return np.full((4, 4, 3), number, np.uint8)


def floats(number):
    return np.full((3, 4, 4), number, np.float32)


@contextlib.contextmanager
def batching(scorer, **changes):
    settings = {"max_batch": 4, "max_wait": 0.2, "most": 16, "scored": lambda count, seconds: None, **changes}
    batcher = Batcher(scorer, **settings)
    try:
        yield batcher
    finally:
        scorer.gate.set()
        batcher.close()


def numbers(answers):
    return [one if isinstance(one, Unanswered) else float(one[0]) for one in answers]


def test_pictures_go_together_and_come_back_in_order():
    scorer = Counting()
    with batching(scorer) as batcher:
        found = asyncio.run(batcher.score([pixels(i) for i in range(10)]))
    assert numbers(found) == list(range(10)) and scorer.batches == [4, 4, 2]


def test_a_picture_alone_waits_for_nobody():
    with batching(Counting(), max_wait=5) as batcher:
        began = time.monotonic()
        asyncio.run(batcher.score([pixels(1)]))
        assert time.monotonic() - began < 2


def test_it_waits_for_those_that_are_on_their_way():
    scorer = Counting()

    async def both(batcher):
        with batcher.expecting() as first, batcher.expecting() as second:
            first()
            early = asyncio.ensure_future(batcher.score([pixels(1)]))
            await asyncio.sleep(0.05)
            second()
            return await asyncio.gather(early, batcher.score([pixels(2)]))

    with batching(scorer, max_wait=5) as batcher:
        assert numbers(functools.reduce(operator.iadd, asyncio.run(both(batcher)), [])) == [1, 2]
        assert scorer.batches == [2] and batcher.coming == 0


def test_it_waits_no_longer_than_it_may():
    async def one(batcher):
        with batcher.expecting():
            return await batcher.score([pixels(1)])

    with batching(Counting(), max_wait=0.05) as batcher:
        began = time.monotonic()
        assert numbers(asyncio.run(one(batcher))) == [1] and time.monotonic() - began < 2


def test_kinds_are_not_mixed():
    scorer = Counting()
    with batching(scorer) as batcher:
        found = asyncio.run(batcher.score([pixels(1), pixels(2), floats(3.5), pixels(4)]))
    assert numbers(found) == [1, 2, 3.5, 4] and scorer.batches == [2, -1, 1]


def test_one_without_an_answer_takes_no_other_with_it():
    with batching(Counting()) as batcher:
        found = numbers(asyncio.run(batcher.score([floats(1), floats(np.nan), floats(np.inf), floats(4)])))
    assert found == [1, Unanswered("the network answers with NaN or infinity"), found[1], 4]


def test_what_the_engine_fails_on_takes_no_other_with_it(capsys):
    with batching(Counting(bad=2)) as batcher:
        found = numbers(asyncio.run(batcher.score([pixels(1), pixels(2), pixels(3)])))
    assert found == [1, Unanswered("the engine failed on this picture"), 3]
    assert "the engine breaks" in capsys.readouterr().err


def test_the_queue_is_bounded():
    with batching(Counting(), most=3) as batcher:
        with batcher.accepting(2):
            with pytest.raises(Full), batcher.accepting(2):
                pass
            with batcher.accepting(1):
                assert batcher.accepted == 3
        assert batcher.accepted == 0


def test_what_nobody_waits_for_is_not_scored():
    scorer = Counting()

    async def leave(batcher):
        scorer.gate.clear()
        first = asyncio.ensure_future(batcher.score([pixels(0)]))
        await asyncio.sleep(0.05)
        second = asyncio.ensure_future(batcher.score([pixels(9)]))
        await asyncio.sleep(0.05)
        second.cancel()
        third = asyncio.ensure_future(batcher.score([pixels(3)]))
        await asyncio.sleep(0.05)
        scorer.gate.set()
        return await first + await third

    with batching(scorer) as batcher:
        assert numbers(asyncio.run(leave(batcher))) == [0, 3]
    assert scorer.batches == [1, 1]


def test_closing_answers_what_waits():
    scorer = Counting()

    async def late(batcher):
        scorer.gate.clear()
        waiting = asyncio.ensure_future(batcher.score([pixels(i) for i in range(6)]))
        await asyncio.sleep(0.05)
        batcher.close()
        scorer.gate.set()
        return await waiting

    with batching(scorer) as batcher:
        assert numbers(asyncio.run(late(batcher))) == list(range(6))
        with pytest.raises(RuntimeError, match="ended"):
            asyncio.run(batcher.score([pixels(1)]))
