"""A finished run is read from its sealed file and its journal, or said not to be whole; it is trained no more."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from reslearn.bundle.file import read_bundle, reseal
from reslearn.data.memory import Subset
from reslearn.data.sources import open_data
from reslearn.runtime.settings import Settings
from reslearn.spec.errors import Fault, UserError
from reslearn.train.fit import finished_run, fit, sealed_run
from reslearn.train.parts import check_trainable
from reslearn.train.pictures import marks_of, seen_by
from reslearn.train.records.run import read_record


@pytest.fixture
def run(tiny_spec, tiny_recipe, tmp_path):
    data = open_data("digits")
    parts = Subset(data, np.arange(128)), Subset(data, np.arange(128, 192))
    recipe = replace(tiny_recipe, iterations=4, select="best")
    return fit(tiny_spec, *parts, recipe, out=tmp_path / "run", settings=Settings(threads=1))


def test_all_of_it_is_read_again(run):
    again = finished_run(run.path)
    assert again == run == sealed_run(run.path) and again.skipped == {}
    assert set(run.to_json()) == {"run", "model", "best_epoch", "val", "seconds", "images_per_second"}
    assert run.val["seen"] == {"trained": 0, "selected": 64, "known_by": "content"}


def test_a_score_of_before_that_says_nothing_of_what_was_seen(run):
    """The names in the record tell: no validation picture was trained on, all were selected on."""
    score = {name: value for name, value in read_bundle(run.path).scores["val"].items() if name != "seen"}
    reseal(run.path, scores={"val": score})
    assert finished_run(run.path).val["seen"] == {"trained": 0, "selected": 64, "known_by": "names"}


def test_what_is_missing_is_named(run, tmp_path):
    assert finished_run(tmp_path) is None
    journal = run.path / "metrics.jsonl"
    kept = journal.read_bytes()
    journal.write_bytes(b"".join(kept.splitlines(keepends=True)[:-1]))
    with pytest.raises(UserError, match=r"metrics\.jsonl: its last line is gone, though the run is sealed"):
        finished_run(run.path)
    journal.write_bytes(kept)
    run.model.unlink()
    assert finished_run(run.path) is None
    with pytest.raises(Fault, match="removed as soon as it was written"):
        sealed_run(run.path)
    (run.path / "run.json").unlink()
    run.model.mkdir()
    with pytest.raises(Fault, match="removed while the run was being trained"):
        sealed_run(run.path)


def test_another_s_model_is_not_the_run_s(run, tiny_spec, tiny_recipe, tmp_path):
    data = open_data("digits")
    recipe = replace(tiny_recipe, iterations=2)
    other = fit(tiny_spec, Subset(data, np.arange(64)), None, recipe, out=tmp_path / "other", settings=Settings())
    run.model.write_bytes(other.model.read_bytes())
    with pytest.raises(UserError, match=r"not the model that run\.json beside it tells of"):
        finished_run(run.path)


def test_a_choice_that_looked_at_test_is_handed_on(run, tiny_spec, tiny_recipe, tmp_path):
    """From a sealed file to the run that starts from it, to its score, and to that run's checkpoints."""
    assert marks_of(None) == {} == marks_of(run.path)
    reseal(run.path, data=read_bundle(run.path).data | {"selected_on": "test"})
    assert marks_of(run.model) == {"selected_on": "test"}
    data, weights = open_data("digits"), str(run.model)
    parts = Subset(data, np.arange(128)), Subset(data, np.arange(128, 192))
    recipe = replace(tiny_recipe, iterations=2)
    more = fit(tiny_spec, *parts, recipe, out=tmp_path / "more", weights=weights, settings=Settings())
    assert read_record(more.path).data["selected_on"] == "test" and more.val["selected_on_test"] is True
    assert run.val["selected_on_test"] is False
    checkpoint = max((more.path / "checkpoints").glob("step-*"))
    assert marks_of(checkpoint) == {"selected_on": "test"} == marks_of(more.path)
    assert seen_by(checkpoint).known_by == "content" and len(seen_by(checkpoint).trained)
    (tmp_path / "w.pth").write_bytes(b"anything")
    assert marks_of(tmp_path / "w.pth") == {} and seen_by(tmp_path / "w.pth").known_by == "nothing"


def test_parts_need_the_same_classes_in_one_order(run):
    data = open_data("digits")

    class Turned:
        classes = tuple(reversed(data.classes))

    check_trainable(data, None)
    check_trainable(data, data)
    with pytest.raises(UserError, match=r"val_data has the classes .* \(10 in all\), train_data 0, 1.*in one order"):
        check_trainable(data, Turned())


def test_the_journal_ends_with_the_digest_of_what_was_sealed(run):
    from reslearn.bundle.file import load
    from reslearn.train.together import digest

    last = json.loads((run.path / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["weights"] == digest(load(run.path).net) and last["best_epoch"] == run.best_epoch
