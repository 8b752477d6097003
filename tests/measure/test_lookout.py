"""What a model has seen is looked up before a score is believed, and nothing is written before that."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from reslearn.data.memory import ArrayDataset, Subset
from reslearn.data.parts.keyed import Keyed
from reslearn.data.parts.known import NOTHING, Known
from reslearn.data.sources import open_data
from reslearn.measure.lookout import Lookout, Writes
from reslearn.spec.errors import UserError
from reslearn.spec.seen import Seen


@pytest.mark.parametrize("lookouts", [1, 2, 3])
def test_nothing_is_written_before_all_is_looked_up(lookouts):
    writes, done = Writes(lookouts), []
    writes(lambda: done.append("first"))
    writes(lambda: done.append("second"))
    for _ in range(lookouts - 1):
        writes.settled()
        assert done == []
    writes.settled()
    assert done == ["first", "second"]
    writes(lambda: done.append("third"))
    assert done == ["first", "second", "third"]


def pixels(count=5):
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


@pytest.fixture(params=["memory", "files"])
def data(request, tmp_path):
    """Five pictures, as an array or as files that must be decoded."""
    if request.param == "memory":
        return ArrayDataset(pixels(), np.zeros(5, np.int64), classes=("a",), ids=list("vwxyz"))
    for i, image in enumerate(pixels()):
        (tmp_path / "data" / "ab"[i > 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "data" / "ab"[i > 2] / f"{i}.png")
    return open_data(tmp_path / "data")


def knows(data, trained, selected=()):
    """What a model knows that has been trained on some of the pictures, and selected on others."""
    rows = []
    for places in (trained, selected):
        keyed = Keyed(Subset(data, list(places)))
        keyed.complete()
        rows.append(np.array(keyed.rows))
    return Known().with_pictures(*rows)


def test_pictures_are_recognised_before_they_are_decoded_and_after(data):
    asked, written = [], []
    models = [knows(data, [1, 3]), knows(data, [3], [0])]
    lookout = Lookout(data, models, rule=lambda found: asked.append(found.trained().tolist()))
    lookout.writes(lambda: written.append(1))
    lookout.before()
    lookout.before()
    assert asked == [[False, True, False, True, False]] and written == []
    lookout.after()
    lookout.after()
    assert asked == 2 * [[False, True, False, True, False]] and written == [1]
    assert lookout.seen() == Seen(2, 1, "content") and lookout.seen(models[1]) == Seen(1, 1, "content")
    assert lookout.seen(NOTHING).known_by == "nothing"
    assert (lookout.pictures.rows != 0).any(axis=1).all()


def test_the_same_pixels_in_another_file_are_found_once_they_are_decoded(tmp_path):
    for folder, level in (("one", 0), ("two", 9)):
        for i, image in enumerate(pixels()):
            (tmp_path / folder / "ab"[i > 2]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(tmp_path / folder / "ab"[i > 2] / f"{i}.png", compress_level=level)
    asked = []
    known = knows(open_data(tmp_path / "one"), [0, 4])
    lookout = Lookout(open_data(tmp_path / "two"), [known], rule=lambda found: asked.append(int(found.trained().sum())))
    lookout.before()
    lookout.after()
    assert asked == [0, 2]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_rule_that_refuses_keeps_all_from_being_written(data, when):
    written, calls = [], []

    def refuse(found):
        calls.append(1)
        if len(calls) == ("before", "after").index(when) + 1:
            raise UserError("seen")

    lookout = Lookout(data, [NOTHING], rule=refuse)
    lookout.writes(lambda: written.append(1))
    with pytest.raises(UserError, match="seen"):
        lookout.before()
        lookout.after()
    assert written == []


def test_what_another_process_has_looked_up_counts_before_anything_is_decoded(data, monkeypatch):
    """Of two processes each looks up half of the files; the first one's rule hears of all of them."""
    others, asked = Keyed(data), []
    others.ask_files(np.arange(5))

    class Two:
        rank, size, first = 0, 2, True

        def largest(self, rows):
            return np.maximum(rows, others.rows)

    monkeypatch.setattr("reslearn.measure.lookout.joined", Two)
    Lookout(data, [knows(data, [0, 1, 3])], rule=lambda found: asked.append(found.trained().tolist())).before()
    assert asked == [[True, True, False, True, False]]
