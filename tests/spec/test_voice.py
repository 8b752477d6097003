"""Advice in the words of who reads it."""

from __future__ import annotations

import pytest

from reslearn.spec.voice import COMMAND, PYTHON, Voice, as_arguments


def test_an_option_a_field_and_a_call_in_each_voice():
    assert COMMAND.option("val_fraction", 0.2) == "--val-fraction 0.2" and COMMAND.option("model") == "--model"
    assert PYTHON.option("val_fraction", 0.2) == "val_fraction=0.2" and PYTHON.option("model") == "model=..."
    assert PYTHON.option("weights", "default") == "weights='default'"
    assert COMMAND.field("lr", 0.10) == "--set lr=0.1" and COMMAND.field("bn_batch", None) == "--set bn_batch=null"
    assert PYTHON.field("lr", 0.10) == "reslearn.recipe(..., lr=0.1)"
    assert PYTHON.field("augment.policy", "trivial") == "reslearn.recipe(..., augment={'policy': 'trivial'})"
    assert COMMAND.call("crossval") == "reslearn crossval" and PYTHON.call("crossval") == "reslearn.crossval"
    assert (
        COMMAND.call("resume", "a/b") == "reslearn resume a/b"
        and PYTHON.call("resume", "a/b") == "reslearn.resume('a/b')"
    )


def test_a_command_with_an_option_of_its_own():
    bench = Voice(own={"batch_size": "--batch"}, sets=False)
    assert bench.field("batch_size", 2) == "--batch 2" and bench.name("batch_size") == "--batch"
    assert bench.name("lr") == "lr"


def test_what_python_is_told_is_python():
    import reslearn

    assert reslearn.recipe("folder", augment={"policy": "trivial"}).augment.policy == "trivial"
    assert reslearn.recipe("folder", lr=0.1, batch_size=8, bn_batch=None).batch_size == 8


@pytest.mark.parametrize(
    ("option", "argument"),
    [
        ("--epochs is -1; it must be positive", "epochs is -1; it must be positive"),
        ("--set lr=5x: expected a number", "lr=5x: expected a number"),
        ("name another with --split, or leave --split out", "name another with split=..., or leave split=... out"),
        ("hold out none with --val-fraction 0", "hold out none with val_fraction=0"),
        ("use --split val", "use split='val'"),
        ("name them with --weights FILE, or not", "name them with weights=FILE, or not"),
        ("--allow-seen scores all", "allow_seen=True scores all"),
        ("--out runs/a--b: not empty; a new --out", "out='runs/a--b': not empty; a new out=..."),
        ("--prune or --no-verify", "prune=True or verify=False"),
        ("--class 7: there are 3", "of_class=7: there are 3"),
        ("give --ratio (such as 6:2:2) or --folds K", "give ratio=... (such as 6:2:2) or folds=K"),
        ("`reslearn resume r --data NEW` or --overwrite", "`reslearn resume r --data NEW` or overwrite=True"),
        ("--set: unknown field 'lrr'", "unknown field 'lrr'"),
    ],
)  # fmt: skip
def test_a_message_about_options_names_arguments_where_a_function_was_called(option, argument):
    assert as_arguments(option) == argument
    assert as_arguments(argument) == argument
