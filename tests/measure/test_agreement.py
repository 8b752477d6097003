"""An engine beside the network that its file was made of: gaps, answers and speed, counted here by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reslearn.bundle.file import Loaded
from reslearn.bundle.header import Bundle, Member
from reslearn.measure import agreement
from reslearn.measure.agreement import BOUNDS, Comparison, Gap, seeded_pictures
from reslearn.nets.build import create_model
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import default_preprocess
from reslearn.spec.seen import Seen

SPEC = NetSpec("tiny", "cifar", 4, "basic", (1, 1), (4, 8), num_classes=3)


@pytest.fixture
def loaded():
    torch.manual_seed(0)
    bundle = Bundle((Member(SPEC),), default_preprocess(8), classes=("a", "b", "c"))
    return Loaded(create_model(SPEC).eval(), bundle, path=None)


@pytest.fixture
def compared(loaded, monkeypatch):
    """compared(change, ...) puts pictures through the network and one engine that answers with changed logits."""

    def make(change, *, outputs=("logits",), width="fp32", given="float", seconds=2.0):
        clock, wanted = SimpleNamespace(now=0.0), []
        graph = SimpleNamespace(outputs=outputs, precision=width, input=given)
        exported = SimpleNamespace(graph=graph, bundle=loaded.bundle, mean_image=None)

        def answer(batch):
            clock.now += seconds
            return {name: change(name, rows) for name, rows in wanted.pop(0).items()}

        scorer = SimpleNamespace(engine="openvino", precision=width, prepares=None, taken=lambda x: x, outputs=answer)
        monkeypatch.setattr(agreement.time, "perf_counter", lambda: clock.now)
        comparison = Comparison(exported, loaded, [scorer])
        outlet = comparison.outlet

        def note(images):
            found = type(outlet).forward(outlet, images)
            wanted.append({name: rows.numpy().copy() for name, rows in zip(outlet.names, found, strict=True)})
            return found

        monkeypatch.setattr(outlet, "forward", note)
        return comparison

    return make


def pictures(count, seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8))


def test_the_same_answers_agree(compared):
    comparison = compared(lambda name, rows: rows)
    comparison.add(pictures(4), np.array([0, 1, 2, 0]))
    comparison.add(pictures(2, 1), np.array([1, 1]))
    [row] = comparison.rows(Seen(1, 2, "content"))
    assert (row.engine, row.precision, row.pictures, row.max_gap, row.mean_gap) == ("openvino", "fp32", 6, 0.0, 0.0)
    assert row.agreement == 1.0 and row.top1 == row.top1_reference and row.ok and row.images_per_second == 1.5
    assert row.to_json()["seen"] == {"trained": 1, "selected": 2, "known_by": "content"}


def test_gaps_are_the_largest_and_the_mean_of_all(compared, loaded):
    def change(name, rows):
        rows = rows.copy()
        rows[0, 1] += 50.0 if len(rows) == 4 else 3.0
        return rows

    comparison = compared(change)
    comparison.add(pictures(4), np.array([1, 1, 1, 1]))
    comparison.add(pictures(2, 1), np.array([1, 1]))
    [row] = comparison.rows(Seen())
    assert row.max_gap == pytest.approx(50, abs=1e-3) and row.mean_gap == pytest.approx(53 / 18, abs=1e-4)
    assert not row.ok and row.top1 == pytest.approx(row.top1_reference + (1 - row.agreement))


def test_without_labels_or_logits_there_is_no_top1(compared):
    comparison = compared(lambda name, rows: rows)
    comparison.add(pictures(3))
    [row] = comparison.rows(Seen())
    assert row.top1 is None is row.top1_reference and row.agreement == 1.0
    maps = compared(lambda name, rows: rows + (0.5 if name == "stages.1" else 0.25), outputs=("stages.0", "stages.1"))
    maps.add(pictures(3))
    [row] = maps.rows(Seen())
    assert row.agreement is None is row.top1 and row.max_gap == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize(("width", "given"), sorted(BOUNDS))
@pytest.mark.parametrize("share", [0.9, 1.1])
def test_a_bound_is_a_share_of_the_largest_output(width, given, share, compared):
    def change(name, rows):
        size = float(np.abs(rows).max())
        return rows + np.float32(share * BOUNDS[width, given] * size)

    comparison = compared(change, width=width, given=given)
    comparison.add(pictures(5))
    assert comparison.rows(Seen())[0].ok == (share < 1)


def test_int8_is_judged_by_the_mean(compared):
    def change(name, rows):
        rows = rows.copy()
        rows[0, 0] += np.abs(rows).max()  # one of fifteen
        return rows

    for width, right in (("int8", True), ("bf16", False)):
        comparison = compared(change, width=width)
        comparison.add(pictures(5))
        assert comparison.rows(Seen())[0].ok == right


def test_what_is_no_number_differs_without_bound():
    gap = Gap()
    assert gap.mean == 0.0
    gap.add(np.float32([[1, 2]]), np.float32([[1, -4]]))
    assert (gap.most, gap.mean, gap.size, gap.count) == (6.0, 3.0, 4.0, 2)
    gap.add(np.float32([[np.nan, 0]]), np.float32([[1, 0]]))
    assert gap.most == np.inf and gap.count == 4


def test_made_up_pictures_are_of_several_shapes_and_always_the_same():
    first, second = ([np.stack(batch) for batch in seeded_pictures(32)] for _ in range(2))
    assert [batch.shape for batch in first] == [(1, 32, 32, 3), (2, 44, 32, 3), (7, 32, 52, 3), (2, 70, 99, 3)]
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
    for batch in first:
        assert batch.dtype == np.uint8 and 40 < batch.std() < 90 and 90 < batch.mean() < 165
        rough = np.abs(np.diff(batch.astype(float), axis=1)).mean()
        assert 8 < rough < 30, "smooth, and some noise"
