"""The doctor's facts against torch's own, and the rates it shows with their source."""

import json
from dataclasses import replace

import pytest
import torch

from reslearn.jobs import doctor
from reslearn.runtime import measuring
from reslearn.runtime.choice import this_machine
from reslearn.runtime.load import Load
from reslearn.runtime.machine import Rates, cache_file


def test_facts_are_torch_s_and_json():
    facts = json.loads(json.dumps(doctor.checkup().to_json()))
    base = torch.__version__.partition("+")[0]  # whose build, as +cu130, the metadata of some wheels leave out
    assert facts["packages"]["torch"].partition("+")[0] == base
    assert len(facts["devices"]) == torch.cuda.device_count() and facts["free_disk_gib"] > 0


def test_everything_stands_on_one_screen():
    lines = doctor.checkup().lines()
    assert len(lines) <= 20 and all("\n" not in text and text for _, text in lines)
    assert {name for name, _ in lines} >= {
        "device",
        "bf16, AMX",
        "compiler",
        "allocator",
        "threads",
        "extras",
        "free disk",
    }


def test_a_machine_without_a_compiler_is_told_what_that_means(monkeypatch):
    found = doctor.checkup()
    without = {**found.environment, "cxx": None}
    lines = dict(replace(found, environment=without, extras={"arrow": ["pyarrow"], "dev": []}).lines())
    assert "uncompiled" in lines["compiler"]
    assert lines["not here"] == "arrow (pip install pyarrow)" and lines["extras"] == "dev"


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """measured(others) makes the next measurement find bf16 twice as fast while others use so many cores."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def prepare(others):
        def measure(count):
            rates = Rates(count, {"fp32": 100.0, "bf16": 200.0}, bandwidth=20.0, source="measured here on 2026-01-02")
            return rates, Load(others, 2, count)

        monkeypatch.setattr(measuring, "measure", measure)

    return prepare


def test_rates_are_measured_kept_and_shown_with_their_source(measured):
    measured(0.0)
    lines = dict(doctor.checkup(measure=True).lines())
    assert "fp32 100, bf16 200 GFLOP/s; copies 20 GB/s" in lines["rates"] and "2026-01-02" in lines["rates"]
    assert lines["measured"].startswith("kept in") and "2.00 times the work of fp32" in lines["bf16, AMX"]
    again = dict(doctor.checkup().lines())
    assert again["rates"] == lines["rates"] and "measured" not in again


def test_a_busy_measurement_is_shown_and_decides_nothing(measured):
    measured(1.9)
    found = doctor.checkup(measure=True)
    lines = dict(found.lines())
    assert "; not kept: other programs used 1.9" in lines["measured"] and found.to_json()["measured"]["busy"]
    assert lines["measured"].startswith("fp32 100") and "fp32 100" not in lines["rates"]
    assert "2.00 times" not in lines["bf16, AMX"]


def test_a_cache_file_that_is_not_believed_is_named(measured):
    measured(0.0)
    doctor.checkup(measure=True)
    machine = this_machine()
    cache_file(machine.processor, machine.threads).write_text("{}")
    lines = dict(doctor.checkup().lines())
    assert "is not believed" in lines["ignored"] and "2026-01-02" not in lines["rates"]
