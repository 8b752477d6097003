"""Classes by name, and the sentences that name them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from reslearn.measure.classes import class_map, names_of
from reslearn.measure.ensemble import check_weights
from reslearn.measure.evaluate import check_width
from reslearn.measure.evaluation import AtTemperature, score
from reslearn.measure.metrics import check_answers
from reslearn.spec.errors import UserError, some
from reslearn.spec.preprocess import default_preprocess
from reslearn.spec.seen import Seen

NAMES = [f"n{i}" for i in range(12)]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (NAMES[:1], "n0"),
        (NAMES[:8], "n0, n1, n2, n3, n4, n5, n6, n7"),
        (NAMES[:9], "n0, n1, n2, n3, n4, n5, n6, n7, ... (9 in all)"),
        (NAMES, "n0, n1, n2, n3, n4, n5, n6, n7, ... (12 in all)"),
    ],
)
def test_a_sentence_names_eight(names, said):
    assert some(names, 8) == said


def test_a_name_in_two_spellings_is_one_class():
    assert class_map(["x", "caf\u00e9"], ["cafe\u0301", "x"], 2).tolist() == [1, 0]
    assert class_map(NAMES, NAMES[::-1], 12).tolist() == list(range(11, -1, -1))


@pytest.mark.parametrize(("classes", "has"), [(2, False), (5, False), (6, True), (7, True)])
def test_top_5_needs_six_classes(classes, has):
    logits = np.tile(np.arange(classes, dtype=np.float32), (classes, 1))  # the last class is answered first
    found = score(logits, np.arange(classes), default_preprocess(8))
    assert (found.images, found.top1, found.top1_error) == (classes, 1 / classes, 100 * (classes - 1) / classes)
    assert found.top5 == (5 / classes if has else None)
    assert (found.top5_interval is not None) == (found.top5_error is not None) == has
    if has:
        assert found.top5_error == 100 * (classes - 5) / classes and found.top5_interval[0] < 5 / classes


def test_answers_that_are_no_numbers_are_counted():
    nan, inf = float("nan"), float("inf")
    check_answers([[0.0, -inf], [1.0, 2.0]], "fp32")  # no probability at all is an answer
    for bad, words in (([[nan, 0], [0, 0]], "1 of 2"), ([[inf, 0], [0, nan]], "2 of 2"), ([[nan, nan]], "1 of 1")):
        with pytest.raises(UserError, match=f"for {words} pictures .*; its weights are too large"):
            check_answers(bad, "fp32")
    with pytest.raises(UserError, match="fp16 is too narrow, try fp32"):
        check_answers([[nan]], "fp16")


@pytest.mark.parametrize("weights", [[float("inf")], [float("nan"), 1], [1e308, 1e308], [0.0], [2, -1], []])
def test_weights_that_make_no_average(weights):
    with pytest.raises(UserError, match="weights are"):
        check_weights(weights)
    check_weights([0.0, 1e-9])


def test_a_score_of_fp32_needs_weights_of_fp32():
    net = torch.nn.Linear(2, 2)
    check_width(net, "fp32")
    net.half()
    check_width(net, "fp16")
    with pytest.raises(UserError, match=r"weights are float16, so its score is none of fp32; net\.float\(\)"):
        check_width(net, "fp32")


def test_classes_without_names_are_called_by_their_numbers():
    assert names_of(("cat", "dog"), 2) == ("cat", "dog") and names_of(None, 3) == ("0", "1", "2")


@pytest.mark.parametrize("classes", [5, 6])
def test_a_score_draws_itself_with_its_own_numbers(classes):
    """In a notebook, and in one line: what stands there is what the fields say."""
    logits = np.tile(np.arange(classes, dtype=np.float32), (classes, 1))
    found = score(logits, np.arange(classes), default_preprocess(8), seen=Seen(3, 0, "content"))
    low, high = (f"{100 * share:.2f}" for share in found.top1_interval)
    html, line = found._repr_html_(), repr(found)
    assert f"{100 / classes:.2f} % of {classes} pictures right" in html and f"{low} .. {high} %" in html
    assert f"{found.loss:.4f}" in html and str(found.seen) in html and found.preprocess_hash in html
    assert ("top-5" in html) == (classes == 6) and ("83.33 % right" in html) == (classes == 6)
    assert line.startswith(f"Evaluation({classes} pictures, {100 / classes:.2f} % right (95 %: {low} .. {high}), loss")
    assert "calibrated" not in html
    told = replace(found, calibrated=AtTemperature(2.0, 1.25, 0.125))
    assert "loss 1.2500, ECE 0.125 at temperature 2" in told._repr_html_()
