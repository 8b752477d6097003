"""What is read of the processor, affinity and a container's quota, against made-up ones and the system's own tools."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess

import pytest

from reslearn.runtime import processor
from reslearn.runtime.processor import physical_cores, read_processor


def test_a_processor_by_its_own_words(cpuinfo):
    found = read_processor(cpuinfo("sapphire"))
    assert (found.vendor, found.family, found.model) == ("GenuineIntel", 6, 143)
    assert found.bf16_kind == "amx_bf16" and "fpu" in found.flags
    assert found.kind == "Intel(R) Xeon(R) Platinum 8488C (GenuineIntel 6/143)"
    assert read_processor(cpuinfo("zen4")).bf16_kind == "avx512_bf16"
    assert read_processor(cpuinfo("haswell")).bf16_kind == ""


@pytest.mark.parametrize("text", ["", "\n", "nonsense", "cpu family : many\nmodel : 7x\n", "Features : fp asimd\n"])
def test_a_system_that_says_little_is_a_processor_all_the_same(text):
    found = read_processor(text)
    assert (found.vendor, found.family) == ("", 0) and found.kind == found.name


@pytest.mark.skipif(not shutil.which("lscpu") or platform.machine() != "x86_64", reason="needs lscpu on x86-64")
def test_this_machine_against_lscpu(monkeypatch):
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    said = subprocess.run(["lscpu"], capture_output=True, text=True, check=True, env=os.environ | {"LC_ALL": "C"})
    fields = dict(line.split(":", 1) for line in said.stdout.splitlines() if ":" in line)
    found = read_processor()
    assert found.vendor == fields["Vendor ID"].strip() and found.model == int(fields["Model"])
    assert found.flags == set(fields["Flags"].split())


@pytest.mark.parametrize(
    ("most", "kind", "bf16"),
    [
        ("", "sapphire", "amx_bf16"),
        ("avx512_core_bf16", "sapphire", "avx512_bf16"),
        ("AVX512_CORE", "zen4", ""),
        ("AVX2", "sapphire", ""),
        ("no such set", "zen4", "avx512_bf16"),
    ],
)
def test_what_may_not_be_used_is_not_there(most, kind, bf16, cpuinfo, tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(cpuinfo(kind))
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", most)
    assert read_processor().bf16_kind == bf16


@pytest.mark.parametrize(
    ("cores", "threads", "allowed", "behind"),
    [(4, 1, range(4), 4), (4, 2, range(8), 4), (4, 2, range(4), 4), (4, 2, (0, 4), 1), (4, 2, (0, 1, 4), 2)],
)
def test_two_threads_of_a_core_are_one_core(cores, threads, allowed, behind, cpuinfo):
    assert physical_cores(cpuinfo("haswell", cores, threads), allowed) == behind


def test_processors_of_which_nothing_is_said_count_each():
    assert physical_cores("processor : 0\n\nprocessor : 1\n", range(2)) == 2
    assert physical_cores("", range(6)) == 6


@pytest.mark.parametrize(
    ("quota", "allowed"),
    [("max 100000\n", 8), ("200000 100000\n", 2), ("150000 100000", 2), ("50000 100000", 1), ("", 8)],
)
def test_a_container_s_share(quota, allowed, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(processor, "QUOTA", tmp_path / "cpu.max")
    if quota:
        (tmp_path / "cpu.max").write_text(quota)
    assert processor.cores() == allowed
