"""Made-up machines: each gets the precision, the compilation and the threads that its values ask for."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from reslearn.runtime import choice, machine, processor
from reslearn.runtime.choice import Machine, Workload, decide, planned_workload, settings_here, this_machine, workload
from reslearn.runtime.machine import Rates, shipped_rates
from reslearn.runtime.processor import read_processor
from reslearn.runtime.settings import Settings
from reslearn.spec.catalogue import get_spec
from reslearn.spec.errors import UserError
from reslearn.spec.recipes import get_recipe

SHORT = Workload(1e9, 1e7)
RESNET20, WIDE, POOLED = "resnet20_cifar", "resnet18_w64_cifar", "resnet_speed_cifar"


def long_run(name):
    """64,000 iterations of the paper's: hours on any CPU."""
    return planned_workload(get_spec(name), get_recipe("paper-cifar"), 50_000, 32)


@pytest.fixture
def made_up(cpuinfo):
    """made_up("zen4", threads=2) -> that machine, with the rates that are shipped for it and a compiler."""

    def make(kind, threads=2, **fields):
        chip = read_processor(cpuinfo(kind, threads))
        return Machine(chip, threads, **{"rates": shipped_rates(chip, threads), "compiler": True} | fields)

    return make


@pytest.mark.parametrize(
    ("kind", "threads", "precision", "compiled"),
    [
        ("zen4", 2, "bf16", {RESNET20}),
        ("zen4", 64, "bf16", {RESNET20}),
        ("sapphire", 2, "bf16", {RESNET20, WIDE, POOLED}),
        ("sapphire-without-amx", 2, "fp32", {RESNET20}),  # its bf16 is slower than its fp32
        ("cooper-lake", 2, "fp32", {RESNET20}),  # has the flag; nobody measured it
        ("zen5", 4, "fp32", {RESNET20}),
        ("haswell", 4, "fp32", {RESNET20}),
    ],
)
def test_each_kind_gets_what_its_values_ask_for(kind, threads, precision, compiled, made_up):
    for name in (RESNET20, WIDE, POOLED):
        made = decide(long_run(name), device="cpu", machine=made_up(kind, threads), tuned_allocator=True)
        assert (made.precision, made.threads) == (precision, threads), kind
        assert made.compile is (name in compiled), (kind, name)


@pytest.mark.parametrize(
    ("fp32", "bf16", "precision"),
    [
        (100.0, 119.0, "fp32"),
        (100.0, 120.0, "bf16"),
        (298.0, 164.0, "fp32"),
        (138.0, 335.0, "bf16"),
        (100.0, 100.0, "fp32"),
    ],
)
def test_bf16_from_a_fifth_more_on(fp32, bf16, precision, made_up):
    rates = Rates(2, {"fp32": fp32, "bf16": bf16}, source="measured here on 2026-01-02")
    made = decide(SHORT, device="cpu", machine=made_up("zen2", rates=rates))
    assert made.precision == precision and "measured here on 2026-01-02" in made.source
    convolving = replace(rates, convolution={"fp32": fp32, "bf16": bf16}, matrix={"fp32": 1.0, "bf16": 9.0})
    assert decide(SHORT, device="cpu", machine=made_up("zen2", rates=convolving)).precision == precision


def test_a_measurement_overrules_the_shipped_table(made_up):
    slow = Rates(2, {"fp32": 140.0, "bf16": 90.0}, source="measured here on 2026-01-02")
    assert decide(SHORT, device="cpu", machine=made_up("zen4", rates=slow)).precision == "fp32"


def test_what_was_not_measured_trains_in_fp32_and_says_what_measures_it(made_up):
    made = decide(SHORT, device="cpu", machine=made_up("cooper-lake"))
    assert made.precision == "fp32" and "reslearn doctor --measure" in made.source and "6/85" in made.source
    some = decide(SHORT, device="cpu", machine=made_up("cooper-lake", whole=False))
    assert "OMP_NUM_THREADS=2 reslearn doctor --measure" in some.source
    without = Rates(2, {"fp32": 100.0}, source="measured here on 2026-01-02")
    assert decide(SHORT, device="cpu", machine=made_up("zen4", rates=without)).precision == "fp32"


@pytest.mark.parametrize("kind", ["zen4", "sapphire-without-amx", "cooper-lake"])
@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_a_precision_that_is_asked_for_rules(kind, asked, made_up):
    made = decide(SHORT, device="cpu", machine=made_up(kind), precision=asked)
    assert made.precision == asked and made.source.startswith(f"{asked}: asked for")


def test_fp16_asks_for_a_gpu(made_up):
    fast = Rates(2, {"fp32": 100.0, "fp16": 900.0})
    with pytest.raises(UserError, match="use bf16 or fp32"):
        decide(SHORT, device="cpu", precision="fp16", machine=made_up("zen4", rates=fast))
    assert decide(SHORT, device="cpu", machine=made_up("zen4", rates=fast)).precision == "fp32"


@pytest.mark.parametrize(
    ("capability", "precision"),
    [((9, 0), "bf16"), ((8, 0), "bf16"), ((7, 5), "fp16"), ((7, 0), "fp16"), ((6, 1), "fp32")],
)
def test_a_gpu_decides_by_its_capability(capability, precision, made_up, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    machine = made_up("cooper-lake", 16, capability=capability)
    made = decide(long_run(WIDE), machine=machine)
    assert (made.device, made.precision, made.threads) == ("cuda", precision, 16) and "measure" not in made.source
    assert decide(long_run(WIDE), machine=machine, device="cpu").device == "cpu"


@pytest.mark.parametrize(
    ("gpus", "begun", "goes_on"),
    [
        (0, Settings(device="cuda", precision="bf16", workers=3), {"device": "cpu", "precision": "bf16", "workers": 3}),
        (0, Settings(device="cuda:1", precision="fp16", loader="streaming"), {"device": "cpu", "loader": "streaming"}),
        (1, Settings(device="cuda:1", precision="fp16"), {"device": "cuda", "precision": "fp16", "threads": 1}),
        (1, Settings(device="cuda", precision="fp16", compile=True), {"device": "cuda", "compile": False}),
        (1, Settings(precision="bf16", threads=7), {"device": "cpu", "precision": "bf16", "threads": 7}),
        (0, Settings(precision="fp16"), {"device": "cpu"}),
    ],
)
def test_settings_from_elsewhere_are_followed_as_far_as_this_machine_can(gpus, begun, goes_on, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setenv("CXX", "a-compiler-that-is-not-here")
    counted = []
    found = settings_here(begun, lambda: counted.append(begun) or SHORT)
    assert bool(counted) == (gpus == 0 and (begun.device != "cpu" or begun.precision == "fp16"))  # else for nothing
    assert {name: getattr(found, name) for name in goes_on} == goes_on
    assert found.device != "cpu" or found.precision != "fp16"
    assert "asked for" not in found.source


@pytest.mark.parametrize(
    ("name", "pictures", "compiled"),
    [
        (RESNET20, 2e5, False),  # the quick start: some ten seconds
        (RESNET20, 1.6e6, True),  # a fifth of the paper's schedule: two minutes eager, 40 s compiled (H200)
        (WIDE, 1.6e5, False),
        (WIDE, 1e8, True),
    ],
)
def test_a_gpu_compiles_narrow_networks_sooner(name, pictures, compiled, made_up, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    machine = made_up("cooper-lake", 16, capability=(9, 0))
    assert decide(workload(get_spec(name), 32, pictures), machine=machine).compile == compiled


def test_only_long_runs_are_compiled_and_only_with_a_compiler(made_up):
    assert not decide(SHORT, device="cpu", machine=made_up("zen4"), tuned_allocator=True).compile
    made = decide(long_run(RESNET20), device="cpu", machine=made_up("zen4", compiler=False), tuned_allocator=True)
    assert not made.compile and "no C++ compiler" in made.source


@pytest.mark.parametrize("name", [RESNET20, WIDE, POOLED])
def test_a_measurement_stands_for_a_long_run_and_says_what_compiling_saves_of_it(name, made_up):
    step = replace(workload(get_spec(name), 32, 128), endless=True)
    made = decide(step, device="cpu", machine=made_up("zen4"), tuned_allocator=True)
    assert made.compile == decide(long_run(name), device="cpu", machine=made_up("zen4"), tuned_allocator=True).compile
    assert re.search(
        r"; compiled: compiling saves [1-9]\d? % of a long run;|; eager: compiling saves nothing;", made.source
    )


@pytest.mark.parametrize(("epochs", "compiled"), [(0.1, False), (4, False), (8, True)])
def test_the_quick_start_is_compiled_on_zen_4_and_shorter_runs_are_not(epochs, compiled, made_up):
    recipe = replace(get_recipe("fast-cifar"), epochs=epochs)
    planned = planned_workload(get_spec(RESNET20), recipe, 45_000, 32)
    assert decide(planned, device="cpu", machine=made_up("zen4"), tuned_allocator=True).compile is compiled


@pytest.mark.parametrize("name", [RESNET20, WIDE, POOLED])
def test_where_pages_are_given_back_every_long_run_gains(name, made_up):
    assert decide(long_run(name), device="cpu", machine=made_up("zen4"), tuned_allocator=False).compile


@pytest.mark.parametrize(("kind", "precision"), [("zen4", "bf16"), ("sapphire-without-amx", "fp32")])
def test_inference_follows_from_the_same_values(kind, precision, made_up):
    for pictures, compiled in ((1, False), (1e6, True)):
        planned = workload(get_spec("resnet50"), 224, pictures, training=False)
        made = decide(planned, device="cpu", machine=made_up(kind), tuned_allocator=True)
        assert (made.precision, made.threads, made.compile) == (precision, 2, compiled)


@pytest.mark.parametrize(
    ("asked", "world", "threads"),
    [(None, 1, 8), (None, 4, 2), (None, 16, 1), ("3", 1, 3), ("3", 4, 3), ("0", 2, 4), ("9" * 5000, 1, 8)],
)
def test_threads_are_the_cores_shared_out_unless_asked_for(asked, world, threads, monkeypatch):
    monkeypatch.setattr(choice, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    made = decide(SHORT, device="cpu", world=world)
    assert made.threads == threads
    why = made.source.rpartition("; ")[2]
    assert why.startswith(f"{threads} threads: OMP_NUM_THREADS") == (asked == "3")
    assert ("is no number of threads" in why) == (asked not in (None, "3"))


def test_a_core_with_two_threads_gets_one_where_that_was_measured_to_do_more(made_up):
    rates = Rates(4, {"fp32": 100.0}, source="measured here on 2026-01-02")
    assert decide(SHORT, device="cpu", machine=made_up("haswell", 8, rates=rates)).threads == 4
    assert decide(SHORT, device="cpu", machine=made_up("haswell", 8, rates=rates, asked=True)).threads == 8


def test_the_machine_is_read_from_the_system_and_the_user_s_cache(cpuinfo, monkeypatch, tmp_path):
    """From /proc/cpuinfo and a kept measurement to settings, with nothing in between replaced."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    (tmp_path / "cpuinfo").write_text(cpuinfo("cooper-lake", 2))
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(choice, "cores", lambda: 2)
    assert decide(SHORT, device="cpu").precision == "fp32"
    fast = Rates(2, {"fp32": 100.0, "bf16": 190.0}, source="measured here on 2026-01-02")
    path = machine.keep_rates(this_machine().processor, 2, fast)
    made = decide(SHORT, device="cpu")
    assert made.precision == "bf16" and "1.90 times" in made.source
    path.write_text(path.read_text().replace("190.0", "199.0"))  # no longer what was measured
    assert decide(SHORT, device="cpu").precision == "fp32"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"threads": 0}, "threads is 0; it must be at least 1"),
        ({"workers": -1}, "workers is -1; it must be at least 0"),
        ({"threads": 100_000}, "threads is 100000; it must be at least 1 and at most 4,096"),
        ({"workers": 4097}, "workers is 4097; it must be at least 0 and at most 4,096"),
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


def test_threads_that_nobody_can_use_are_told(made_up):
    many = decide(SHORT, device="cpu", machine=made_up("zen4", threads=64, asked=True, cores=2))
    assert many.threads == 64 and "more than the 2 cores" in many.source
    assert "more than" not in decide(SHORT, device="cpu", machine=made_up("zen4", asked=True, cores=2)).source
    odd = decide(SHORT, device="cpu", machine=made_up("zen4", ignored="abc"))
    assert "OMP_NUM_THREADS='abc' is no number of threads" in odd.source
