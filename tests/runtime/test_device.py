"""Settings follow from facts: threads from cores, processes and OMP_NUM_THREADS; the rest from flags and the work."""

from __future__ import annotations

import pytest

from reslearn.runtime import device
from reslearn.runtime.device import Workload
from reslearn.runtime.settings import Settings
from reslearn.spec.catalogue import get_spec
from reslearn.spec.errors import UserError
from reslearn.spec.recipes import get_recipe
from reslearn.train.setup import planned_workload


def narrow(macs):
    return Workload(macs, macs / 100)


@pytest.mark.parametrize(
    ("asked", "world", "threads"), [(None, 1, 8), (None, 4, 2), (None, 16, 1), ("3", 1, 3), ("3", 4, 3), ("0", 2, 4)]
)
def test_threads_are_the_cores_shared_out_unless_asked_for(asked, world, threads, monkeypatch):
    monkeypatch.setattr(device, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert device.decide(narrow(1e9), device="cpu", world=world).threads == threads


@pytest.mark.parametrize(("flags", "precision"), [("avx2 avx512_bf16", "bf16"), ("amx_bf16", "bf16"), ("avx2", "fp32")])
def test_bf16_where_the_processor_has_it(flags, precision, monkeypatch):
    monkeypatch.setattr(device, "cpu_flags", lambda: flags.split())
    assert device.decide(narrow(1e9), device="cpu").precision == precision
    assert device.decide(narrow(1e9), device="cpu", precision="fp32").precision == "fp32"


def test_only_long_runs_are_compiled_and_only_with_a_compiler(monkeypatch):
    monkeypatch.setattr(device, "has_compiler", lambda: True)
    short, long = (device.decide(narrow(macs), device="cpu") for macs in (1e9, 1e16))
    assert (short.compile, long.compile) == (False, True)
    monkeypatch.setattr(device, "has_compiler", lambda: False)
    assert not device.decide(narrow(1e16), device="cpu").compile


@pytest.mark.parametrize(
    ("flags", "tuned", "compiled"),
    [
        ("avx512_bf16", True, {"resnet20_cifar"}),
        ("avx2", True, {"resnet20_cifar"}),
        ("avx512_bf16", False, {"resnet20_cifar", "resnet18_w64_cifar", "resnet_speed_cifar"}),
        ("amx_bf16", True, {"resnet20_cifar", "resnet18_w64_cifar", "resnet_speed_cifar"}),
    ],
)
def test_compilation_where_it_was_measured_to_save_time(flags, tuned, compiled, monkeypatch):
    monkeypatch.setattr(device, "has_compiler", lambda: True)
    monkeypatch.setattr(device, "cpu_flags", lambda: flags.split())
    for name in ("resnet20_cifar", "resnet18_w64_cifar", "resnet_speed_cifar"):
        workload = planned_workload(get_spec(name), get_recipe("paper-cifar"), 50_000, 32)
        settings = device.decide(workload, device="cpu", tuned_allocator=tuned)
        assert settings.compile is (name in compiled), name


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
        device.decide(narrow(1e9), device="cpu", precision="fp16")
