"""`digits` against scikit-learn's own loader, whose file is read without importing it."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from sklearn.datasets import load_digits

from reslearn.data.formats.digits import open_digits, read_table


@pytest.mark.parametrize("there", [True, False])
def test_the_table_is_scikit_learn_s(there, monkeypatch):
    if not there:  # a release that lays its files out otherwise
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    table, raw = read_table(), load_digits()
    assert np.array_equal(table[:, :-1], raw.data) and np.array_equal(table[:, -1], raw.target)


def test_every_digit_is_in_one_split():
    data = open_digits()
    assert len(data) == 1797 and data.read(0)[0].shape == (8, 8, 3)
    assert sorted([*data.splits["train"], *data.splits["test"]]) == list(range(1797))
