"""`run.json` at the edges of what it may hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from reslearn.spec.errors import UserError
from reslearn.train.records.run import labels_text, read_labels, read_parts
from reslearn.train.records.terms import check_seed

RUN = Path(__file__).parents[2] / "fixtures" / "release" / "run" / "run.json"


def test_seeds_are_those_that_torch_takes():
    before = torch.random.get_rng_state()
    try:
        for seed in (-(2**63), -1, 0, 2**64 - 1):
            check_seed(seed)
            torch.manual_seed(seed)
        for seed in (-(2**63) - 1, 2**64):
            with pytest.raises(UserError, match=f"seed is {seed}"):
                check_seed(seed)
            with pytest.raises((RuntimeError, ValueError)):
                torch.manual_seed(seed)
    finally:
        torch.random.set_rng_state(before)


@pytest.mark.parametrize("labels", [[], [0], [5, 5], [0, 0, 0], [1, 0, 0, 1], [3] * 1000, list(range(50))])
def test_labels_come_back(labels):
    found = read_labels(labels_text(labels), len(labels), "run.json")
    assert (found is None and labels == []) or found.tolist() == labels


@pytest.mark.parametrize("text", ["2x", "x2", "1.5", "-1", "3x0", "1 2 3", "2x0 1", f"{10**18}x0", f"1 {10**18}"])
def test_labels_of_other_pictures_are_damage(text):
    with pytest.raises(UserError, match=r"run\.json: no labels of 2 pictures"):
        read_labels(text, 2, "run.json")


@pytest.mark.parametrize("written", [2, 1, 0, 3, "1", None, True, 1.0])
def test_a_record_of_another_format(written, tmp_path):
    value = json.loads(RUN.read_text()) | {"format": written}
    (tmp_path / "run.json").write_text(json.dumps(value))
    if type(written) is int and written <= 2:
        assert read_parts(tmp_path / "run.json")["spec"].num_classes == 2
    else:
        with pytest.raises(UserError, match=r"newer than this reslearn reads \(2\)"):
            read_parts(tmp_path / "run.json")
