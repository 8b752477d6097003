"""`fit(transform=...)`: a run that its record alone cannot repeat, and says so."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import ImageOps

import reslearn
from reslearn.data.memory import Subset
from reslearn.data.parts.splits import choose_splits
from reslearn.train.fit import NOT_REPRODUCIBLE
from reslearn.train.records.run import read_record
from reslearn.train.stopping import Interrupted


@pytest.fixture(scope="module")
def parts():
    data = reslearn.open_data("digits")
    splits = choose_splits(data)
    return Subset(data, splits["train"]), Subset(data, splits["val"])


def test_a_transform_is_seen_in_training_alone_and_marks_the_run(tmp_path, parts, tiny_spec, tiny_recipe):
    seen = []
    recipe = replace(tiny_recipe, iterations=4)
    run = reslearn.fit(
        tiny_spec, *parts, recipe, out=tmp_path / "run", transform=lambda p: seen.append(1) or ImageOps.invert(p)
    )
    plain = reslearn.fit(tiny_spec, *parts, recipe, out=tmp_path / "plain")
    assert len(seen) >= 4 * recipe.batch_size
    assert run.val["images"] == plain.val["images"] == len(parts[1])
    assert run.val["loss"] != plain.val["loss"]
    assert read_record(tmp_path / "run").notes == (NOT_REPRODUCIBLE,)
    assert read_record(tmp_path / "plain").notes == ()
    assert "ImageOps" not in (tmp_path / "run/model.safetensors").read_bytes()[:20000].decode(errors="replace")


def test_resuming_asks_for_the_transform_again(tmp_path, parts, tiny_spec, tiny_recipe):
    left = iter(range(200))

    def dies(picture):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return picture

    with pytest.raises(Interrupted, match="stopped at once: what came after the last checkpoint is lost"):
        reslearn.fit(tiny_spec, *parts, replace(tiny_recipe, iterations=6), out=tmp_path / "run", transform=dies)
    with pytest.raises(reslearn.UserError, match="transform given from Python"):
        reslearn.resume(tmp_path / "run")
    assert reslearn.resume(tmp_path / "run", transform=lambda p: p).val is not None
