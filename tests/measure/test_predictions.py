"""Files of predictions: what was written comes back, and nothing else does."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save

from reslearn.measure.predictions import KEY, Predictions, merge_predictions, read_predictions, write_predictions
from reslearn.spec.errors import UserError

LOGITS = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
LABELS = np.array([0, 1, 1])


@pytest.fixture
def path(tmp_path):
    write_predictions(tmp_path / "p", Predictions(("x", "y", "z"), LABELS, LOGITS, ("cat", "dog"), LABELS + 1))
    return tmp_path / "p"


def test_no_bit_can_be_flipped(path):
    content = path.read_bytes()
    whole = read_predictions(path)
    assert np.array_equal(whole.logits, LOGITS) and np.array_equal(whole.fold, LABELS + 1)
    for at in range(len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 1 << (at % 8)
        path.write_bytes(flipped)
        try:
            found = read_predictions(path)
        except UserError:
            continue
        assert np.array_equal(found.logits, LOGITS) and (found.ids, found.classes) == (whole.ids, whole.classes)


def test_format_1_has_no_checksum_and_is_read(path):
    text = {"ids": ["x", "y", "z"], "classes": ["cat", "dog"], "format": 1}
    path.write_bytes(save({"logits": LOGITS, "labels": LABELS}, metadata={KEY: json.dumps(text)}))
    assert np.array_equal(read_predictions(path).logits, LOGITS)


@pytest.mark.parametrize("change", [{"ids": ["x"]}, {"classes": ["cat"]}, {"format": 3}, {"ids": None}])
def test_what_does_not_fit_is_one_line(path, change):
    text = {"ids": ["x", "y", "z"], "classes": ["cat", "dog"], "format": 1} | change
    path.write_bytes(save({"logits": LOGITS, "labels": LABELS}, metadata={KEY: json.dumps(text)}))
    with pytest.raises(UserError, match="not a file of predictions"):
        read_predictions(path)


def test_parts_are_one_set_in_the_order_of_their_names():
    parts = [
        Predictions(("z", "x"), LABELS[:2], LOGITS[:2], ("cat", "dog"), np.array([1, 1])),
        Predictions(("y",), LABELS[2:], LOGITS[2:], ("cat", "dog"), np.array([2])),
    ]
    whole = merge_predictions(parts)
    assert whole.ids == ("x", "y", "z") and whole.classes == ("cat", "dog")
    assert np.array_equal(whole.logits, LOGITS[[1, 2, 0]]) and np.array_equal(whole.labels, LABELS[[1, 2, 0]])
    assert whole.fold.tolist() == [1, 2, 1]
    assert merge_predictions([parts[0], replace(parts[1], fold=None)]).fold is None
    with pytest.raises(UserError, match="in two of the parts"):
        merge_predictions([parts[0], replace(parts[1], ids=("x",))])
    with pytest.raises(UserError, match="different classes"):
        merge_predictions([parts[0], replace(parts[1], classes=("cat", "elk"))])
