"""What processes do together, each with a stand-in for its fellows: torch's own collectives have tests of their own."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch

from reslearn.runtime.process_group import World
from reslearn.spec.errors import Fault, Retold, UserError
from reslearn.train.checkpoint import Progress
from reslearn.train.together import check_equal, check_same_start, digest, share_state, together


@dataclass(frozen=True)
class Among(World):
    """One of two processes, whose fellow tells these values, one after another."""

    others: list = field(default_factory=list)

    def gather(self, value):
        return [value, self.others.pop(0)] if self.rank == 0 else [self.others.pop(0), value]


@pytest.mark.parametrize(
    ("rank", "own", "other", "raised", "message"),
    [
        (0, None, None, None, None),
        (1, None, None, None, None),
        (0, "mine", None, UserError, "mine"),
        (1, "mine", None, Retold, "mine"),
        (0, None, "theirs", UserError, "theirs"),
        (1, None, "theirs", Retold, "theirs"),
        (0, "mine", "theirs", UserError, "mine"),
        (1, "mine", "theirs", Retold, "theirs"),
    ],
)
def test_what_one_refuses_all_refuse_and_one_says_it(rank, own, other, raised, message):
    def work():
        if own is not None:
            raise UserError(own)
        return 7

    world = Among(rank, 2, others=[other])
    if raised is None:
        assert together(world, work) == 7
    else:
        with pytest.raises(raised, match=f"^{message}$") as caught:
            together(world, work)
        assert type(caught.value) is raised
    assert world.others == []


def test_alone_it_is_the_work_itself():
    assert together(World(), lambda: 7) == 7
    with pytest.raises(UserError, match=r"^mine$"):
        together(World(), lambda: (_ for _ in ()).throw(UserError("mine")))


def test_networks_that_differ_in_one_bit_are_not_sealed():
    net = torch.nn.Linear(3, 2)
    check_equal(net, World())
    check_equal(net, Among(0, 2, others=[digest(net)]))
    theirs = "0" * 64
    with pytest.raises(Fault, match=f"0: {digest(net)[:12]}, 1: {theirs[:12]}\\)"):
        check_equal(net, Among(0, 2, others=[theirs]))


def test_a_digest_is_of_names_and_bits():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    first = digest(net)
    assert digest(net.to(memory_format=torch.channels_last)) == first
    assert digest(torch.nn.Sequential(*net, torch.nn.ReLU())) == first
    assert digest(torch.nn.Sequential(torch.nn.ReLU(), *net)) != first, "other names"
    with torch.no_grad():
        net[0].bias.view(torch.int32)[2] ^= 1
    assert digest(net) != first
    share_state(net, World())  # alone there is nobody to share with


@pytest.mark.parametrize(("own", "other"), [(None, 0), (0, 0), (5, 5)])
def test_all_begin_at_one_step(own, other, tmp_path):
    progress = None if own is None else Progress(step=own)
    check_same_start(tmp_path, progress, Among(0, 2, others=[other]))
    with pytest.raises(UserError, match=rf"find checkpoints of steps {own or 0}, {other + 1} in it"):
        check_same_start(tmp_path, progress, Among(0, 2, others=[other + 1]))
