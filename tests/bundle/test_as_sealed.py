"""Are these the weights that were in the file? Sums of bits tell, on any device, in any layout and of any width."""

from __future__ import annotations

import pytest
import torch

from reslearn.bundle.file import bit_sums, load

from .sealing import tiny


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_one_bit_makes_another_network(dtype):
    net = tiny().to(dtype)
    before = bit_sums(net)
    assert bit_sums(net.to(memory_format=torch.channels_last)) == before == bit_sums(tiny().to(dtype))
    assert len(before) == len(net.state_dict())
    with torch.no_grad():
        kinds = {torch.float64: torch.int64, torch.float32: torch.int32}
        net.head.fc.weight.view(kinds.get(dtype, torch.int16))[0, 0] ^= 1
    after = bit_sums(net)
    assert sum(one != other for one, other in zip(after, before, strict=True)) == 1


def test_bytes_are_summed_too():
    net = torch.nn.Module()
    net.register_buffer("flags", torch.tensor([True, False, True]))
    net.register_buffer("bytes", torch.tensor([200, 100], dtype=torch.uint8))
    assert bit_sums(net) == (2, 300)


def test_a_network_that_was_trained_on_is_no_longer_as_sealed(sealed):
    loaded = load(sealed)
    assert loaded.as_sealed
    with torch.no_grad():
        loaded.net.stem.norm.running_mean[0] += 1
    assert not loaded.as_sealed
