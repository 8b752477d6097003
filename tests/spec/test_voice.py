"""Advice in the words of who reads it."""

from __future__ import annotations

from reslearn.spec.voice import COMMAND, PYTHON, Voice


def test_an_option_a_field_and_a_call_in_each_voice():
    assert COMMAND.option("val_fraction", 0.2) == "--val-fraction 0.2" and COMMAND.option("model") == "--model"
    assert PYTHON.option("val_fraction", 0.2) == "val_fraction=0.2" and PYTHON.option("model") == "model="
    assert PYTHON.option("weights", "default") == "weights='default'"
    assert COMMAND.field("lr", 0.10) == "--set lr=0.1" and COMMAND.field("bn_batch", None) == "--set bn_batch=null"
    assert PYTHON.field("lr", 0.10) == "reslearn.recipe(..., lr=0.1)"
    assert PYTHON.field("augment.policy", "trivial") == "reslearn.recipe(..., augment={'policy': 'trivial'})"
    assert COMMAND.call("crossval") == "reslearn crossval" and PYTHON.call("crossval") == "reslearn.crossval"


def test_a_command_with_an_option_of_its_own():
    bench = Voice(own={"batch_size": "--batch"}, sets=False)
    assert bench.field("batch_size", 2) == "--batch 2" and bench.name("batch_size") == "--batch"
    assert bench.name("lr") == "lr"


def test_what_python_is_told_is_python():
    import reslearn

    assert reslearn.recipe("folder", augment={"policy": "trivial"}).augment.policy == "trivial"
    assert reslearn.recipe("folder", lr=0.1, batch_size=8, bn_batch=None).batch_size == 8
