"""Switches of the process: held by many threads at once, set by the first, put back by the last."""

from __future__ import annotations

import threading

import pytest
import torch

from reslearn.runtime.switches import exact_fp32, held, owned

LEAVES = ("cuda.matmul", "cudnn.conv", "cudnn.rnn", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn")


def leaf(name):
    library, operation = name.split(".")
    return getattr(getattr(torch.backends, library), operation)


@pytest.fixture
def restored():
    before = [leaf(name).fp32_precision for name in LEAVES]
    yield
    torch.set_float32_matmul_precision("highest")
    for name, precision in zip(LEAVES, before, strict=True):
        leaf(name).fp32_precision = precision


def old_names():
    torch.set_float32_matmul_precision("medium")


def new_names():
    leaf("mkldnn.matmul").fp32_precision = "bf16"
    leaf("mkldnn.conv").fp32_precision = "bf16"


@pytest.mark.parametrize("loosen", [old_names, new_names])
def test_fp32_is_exact_while_it_is_held_whoever_loosened_it(restored, loosen):
    loosen()
    before = [leaf(name).fp32_precision for name in LEAVES]
    assert "bf16" in before
    with exact_fp32():
        assert {leaf(name).fp32_precision for name in LEAVES} == {"ieee"}
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == ("highest", False)
    assert [leaf(name).fp32_precision for name in LEAVES] == before


def test_the_first_thread_to_leave_takes_nothing_from_the_second(restored):
    torch.set_float32_matmul_precision("high")
    entered, leave, found = threading.Event(), threading.Event(), []

    def second():
        with exact_fp32():
            entered.set()
            leave.wait(600)
            found.append(torch.get_float32_matmul_precision())

    thread = threading.Thread(target=second)
    with exact_fp32():
        thread.start()
        entered.wait(600)
    leave.set()
    thread.join()
    assert found == ["highest"]
    assert torch.get_float32_matmul_precision() == "high"


def test_what_failed_to_be_taken_is_not_held():
    calls = []

    def broken():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), held("thing", broken):
        pass
    with held("thing", lambda: lambda: calls.append("back")):
        calls.append("in")
    assert calls == ["in", "back"]


def test_threads_are_put_back(restored):
    before = torch.get_num_threads()
    with owned(3), owned(3):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == before
