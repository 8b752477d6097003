"""What decoding takes is given back: else threads keep free pages for good, and the server grows with each of them."""

from __future__ import annotations

import asyncio

import pytest

from reslearn.serve import decoding
from reslearn.serve.decoding import Decoding
from reslearn.spec.preprocess import Preprocess

from .hosting import picture


@pytest.mark.parametrize(("freed", "apart", "times"), [(10_000, 0.0, 2), (1 << 26, 0.0, 0), (1, 100.0, 0)])
def test_memory_is_given_back_after_much_and_not_too_often(monkeypatch, freed, apart, times):
    told = []
    monkeypatch.setattr(decoding, "FREED", freed)
    monkeypatch.setattr(decoding, "APART", apart)
    monkeypatch.setattr(decoding, "trim", lambda: told.append(1))
    own = Decoding(10_000)

    async def read():
        for seed in range(4):  # 7,200 bytes of pixels each
            assert (await own.read(picture(seed, 40, 60), "x", Preprocess(16, 18, "crop"))).shape == (16, 16, 3)

    asyncio.run(read())
    own.close()
    assert len(told) == times
