"""Pictures that a model has seen are known again by any of their keys; how well they are known is never overstated."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from reslearn.data.memory import ArrayDataset
from reslearn.data.parts.keyed import Keyed
from reslearn.data.parts.keys import FILE, ORIGINAL, PIXELS, ROW
from reslearn.data.parts.known import FORGOTTEN, NOTHING, Known, Named, count, filter_of, union
from reslearn.data.sources import open_data
from reslearn.data.workers import parallel_map
from reslearn.spec.errors import UserError
from reslearn.spec.seen import Seen, seen_from_json, summed

GRADES = ("content", "names", "nothing")


def some_rows(n, seed=0):
    return np.random.default_rng(seed).integers(1, 256, (n, ROW), dtype=np.uint8)


def pictures(n=4):
    images = np.random.default_rng(0).integers(0, 256, (n, 5, 4, 3), dtype=np.uint8)
    labels = np.arange(n) % 2
    return ArrayDataset(images, labels, classes=("a", "b"), ids=[f"p{i}" for i in range(n)])


@pytest.mark.parametrize("part", [FILE, PIXELS, ORIGINAL])
def test_any_one_key_is_enough(part):
    rows = some_rows(6)
    known = Known().with_pictures(rows[:3], rows[2:4])
    alone = np.zeros_like(rows)
    alone[:, part] = rows[:, part]
    trained, selected = known.marks(pictures(6), alone)
    assert trained.tolist() == [True] * 3 + [False] * 3
    assert selected.tolist() == [False, False, True, True, False, False]


def test_a_key_that_is_not_known_matches_nothing():
    rows = some_rows(4)
    rows[:, ORIGINAL] = 0
    known = Known().with_pictures(rows)
    assert not known.marks(pictures(4), np.zeros_like(rows))[0].any()
    assert len(known.trained) == 8 and (np.diff(known.trained) > 0).all()


@given(st.lists(st.sampled_from(GRADES), min_size=1, max_size=4))
def test_together_they_are_known_as_well_as_the_weakest(grades):
    parts = [Known(filter_of(some_rows(2, i)), known_by=grade) for i, grade in enumerate(grades)]
    whole = union(parts)
    assert whole.known_by == max(grades, key=GRADES.index)
    rows = np.concatenate([some_rows(2, i) for i in range(len(grades))])
    seen, trained = count(parts, pictures(len(rows)), rows)
    assert trained.all() and seen == Seen.counted(len(rows), 0, whole.known_by)
    assert seen.to_json()["trained"] == (None if whole.known_by == "nothing" else len(rows))
    assert count([whole], pictures(len(rows)), rows)[0] == seen


def test_what_is_not_known_is_not_none():
    none = np.zeros((4, ROW), np.uint8)
    for one in (NOTHING, FORGOTTEN):
        assert count([one], pictures(), none)[0].to_json() == {"trained": None, "selected": None, "known_by": "nothing"}
    named = Named(["p0", "p2", "gone"], ["p1"], "names", NOTHING)
    assert count([named], pictures(), none)[0] == Seen(2, 1, "names")
    unsure = count([named, NOTHING], pictures(), none)[0]
    assert unsure.to_json() == Seen().to_json() and unsure.at_least == (2, 1)
    assert summed([unsure, Seen(1, 0, "content")]).at_least == (3, 1)
    assert summed([Seen(1, 0, "content"), Seen(0, 2, "names")]) == Seen(1, 2, "names")
    assert seen_from_json(None) == seen_from_json({"known_by": "rumour"}) == Seen()
    assert seen_from_json(Seen(1, 2, "names").to_json()) == Seen(1, 2, "names")
    for damaged in ("3", None, True, -1, 2.0):
        assert seen_from_json({"trained": damaged, "selected": 0, "known_by": "content"}) == Seen()


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (Seen(0, 0, "content"), "none of these pictures"),
        (Seen(1200, 3, "content"), "1,200 in training and 3 in selection"),
        (Seen(2, 0, "names"), "2 in training (known by their names alone)"),
        (Seen(at_least=(2, 0)), "2 in training at least"),
        (Seen(at_least=(2, 1)), "2 in training and 1 in selection at least"),
        (Seen(), "not known: the model does not say what it has seen"),
    ],
)
def test_words(seen, words):
    assert str(seen) == words and seen.worth_saying == (words != "none of these pictures")


@pytest.mark.parametrize("workers", [0, 2])
def test_reading_notes_the_keys_whoever_reads(tmp_path, workers):
    for i, image in enumerate(pictures(6).images):
        path = tmp_path / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Pillow.fromarray(image).save(path)
    data = Keyed(open_data(tmp_path))
    whole = Keyed(open_data(tmp_path))
    whole.complete()
    for _ in parallel_map(lambda i: data.read(i)[1], [0, 1, 2, 4], workers):
        pass
    read = np.array([1, 1, 1, 0, 1, 0], bool)
    assert np.array_equal(data.rows[read], whole.rows[read]) and not data.rows[~read].any()
    data.ask_files()
    assert np.array_equal(data.rows[:, FILE], whole.rows[:, FILE]) and not data.rows[3, PIXELS].any()
    data.complete()
    assert np.array_equal(data.rows, whole.rows)


def test_an_unreadable_picture_stops_or_stays_unknown(tmp_path):
    for i, image in enumerate(pictures(4).images):
        path = tmp_path / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Pillow.fromarray(image).save(path)
    path.write_bytes(b"\x89PNG nothing")
    data = Keyed(open_data(tmp_path))
    with pytest.raises(UserError, match=path.name):
        data.complete()
    data.complete(on_bad_file="skip")
    assert data.rows[:3].any(axis=1).all() and not data.rows[3].any()


@pytest.mark.slow
def test_a_million_known_pictures_are_small_and_quick():
    rows = some_rows(1_000_000)
    rows[:, ORIGINAL] = 0
    known = Known().with_pictures(rows)
    assert known.trained.nbytes + known.selected.nbytes < 100e6
    asked = np.concatenate([rows[:500_000], some_rows(500_000, 1)])
    labels = np.zeros(len(asked), np.int64)
    many = ArrayDataset(np.zeros((len(asked), 1, 1, 3), np.uint8), labels, classes=("a", "b"), ids=range(len(asked)))
    tracemalloc.start()
    start = time.perf_counter()
    seen = count([known], many, asked)[0]
    assert time.perf_counter() - start < 10
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    assert seen == Seen(500_000, 0, "content")
