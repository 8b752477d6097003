"""The doctor's facts against torch's own."""

import json

import torch

from reslearn.jobs import doctor


def test_facts_are_torch_s_and_json():
    facts = json.loads(json.dumps(doctor.checkup()))
    assert facts["packages"]["torch"] == torch.__version__
    assert len(facts["devices"]) == torch.cuda.device_count() and facts["free_disk_gib"] > 0


def test_everything_stands_on_one_screen():
    lines = doctor.lines(doctor.checkup())
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
    facts = doctor.checkup() | {"cxx": None, "extras": {"arrow": ["pyarrow"], "dev": []}}
    lines = dict(doctor.lines(facts))
    assert "uncompiled" in lines["compiler"]
    assert lines["not here"] == "arrow (pip install 'reslearn[arrow]')" and lines["extras"] == "dev"
