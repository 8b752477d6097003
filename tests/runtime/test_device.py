"""Settings follow from facts: threads from cores, processes and OMP_NUM_THREADS; the rest from flags and the work."""

from __future__ import annotations

import pytest

from reslearn.runtime import device
from reslearn.spec.errors import UserError


@pytest.mark.parametrize(
    ("asked", "world", "threads"), [(None, 1, 8), (None, 4, 2), (None, 16, 1), ("3", 1, 3), ("3", 4, 3), ("0", 2, 4)]
)
def test_threads_are_the_cores_shared_out_unless_asked_for(asked, world, threads, monkeypatch):
    monkeypatch.setattr(device, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert device.decide(training_macs=1e9, device="cpu", world=world).threads == threads


@pytest.mark.parametrize(("flags", "precision"), [("avx2 avx512_bf16", "bf16"), ("amx_bf16", "bf16"), ("avx2", "fp32")])
def test_bf16_where_the_processor_has_it(flags, precision, monkeypatch):
    monkeypatch.setattr(device, "cpu_flags", lambda: flags.split())
    assert device.decide(training_macs=1e9, device="cpu").precision == precision
    assert device.decide(training_macs=1e9, device="cpu", precision="fp32").precision == "fp32"


def test_only_long_runs_are_compiled_and_only_with_a_compiler(monkeypatch):
    monkeypatch.setattr(device, "has_compiler", lambda: True)
    short, long = (device.decide(training_macs=macs, device="cpu") for macs in (1e9, 1e16))
    assert (short.compile, long.compile) == (False, True)
    monkeypatch.setattr(device, "has_compiler", lambda: False)
    assert not device.decide(training_macs=1e16, device="cpu").compile


def test_fp16_asks_for_a_gpu():
    with pytest.raises(UserError, match="use bf16 or fp32"):
        device.decide(training_macs=1e9, device="cpu", precision="fp16")
