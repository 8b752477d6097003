"""One process among its fellows; what several do together is tested in `tests/train`."""

from __future__ import annotations

import pytest

from reslearn.runtime.process_group import World, choose_gpu, from_environment, joined, process_group
from reslearn.spec.errors import UserError


def test_alone_nothing_is_sent(monkeypatch):
    world = World()
    assert (world.tell("x"), world.gather(3), world.sum(1.0, 2)) == ("x", [3], [1.0, 2])
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    with process_group("cuda") as found:
        assert found == joined() == from_environment() == world


def test_every_process_needs_a_gpu_of_its_own():
    second = World(rank=1, size=2, local=1)
    choose_gpu("cuda", second, 2)
    with pytest.raises(UserError, match="finds 1 GPUs"):
        choose_gpu("cuda", second, 1)
    with pytest.raises(UserError, match="use cuda"):
        choose_gpu("cuda:0", second, 2)
