"""Settings follow from facts: threads from cores, processes and OMP_NUM_THREADS; the rest from flags and the work."""

from __future__ import annotations

import pytest

from reslearn.runtime import device
from reslearn.runtime.settings import Settings
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


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"threads": 0}, "threads is 0; it must be at least 1"),
        ({"workers": -1}, "workers is -1; it must be at least 0"),
        ({"device": "tpu"}, "device is 'tpu'; valid: cpu, cuda"),
        ({"device": "cuda:x"}, "device is 'cuda:x'; valid: cpu, cuda"),
        ({"precision": "fp8"}, "precision is 'fp8'; valid: 'fp32', 'bf16', 'fp16'"),
        ({"loader": "slow"}, "loader is 'slow'; valid: 'auto', 'resident', 'streaming'"),
    ],
    ids=str,
)
def test_settings_that_no_machine_has(wrong, words):
    with pytest.raises(UserError, match=words):
        Settings(**wrong)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(device="cuda"), "torch sees 0 GPUs; use cpu"),
        (Settings(device="cuda:7"), "torch sees 0 GPUs; use cpu"),
        (Settings(precision="fp16"), "on a CPU use bf16 or fp32"),
    ],
)
def test_settings_that_this_machine_has_not(settings, words, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UserError, match=words):
        device.check_settings(settings)
    assert device.check_settings(Settings()) == Settings()


def test_fp16_asks_for_a_gpu():
    with pytest.raises(UserError, match="use bf16 or fp32"):
        device.decide(training_macs=1e9, device="cpu", precision="fp16")
