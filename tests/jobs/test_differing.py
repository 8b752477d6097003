"""What two models differ in besides their answers is told by name: network, recipe, weights, data, preprocessing."""

from __future__ import annotations

import json
import shutil

from reslearn.bundle.file import load, reseal
from reslearn.jobs.differing import differences


def test_each_kind_of_difference_is_named(run, tmp_path):
    assert differences(load(run), load(run)) == ()
    other = tmp_path / "other"
    shutil.copytree(run, other)
    record = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps(record | {"weights": "w.pth"}))
    bundle = load(other).bundle
    reseal(other, recipe={**bundle.recipe, "lr": 0.5}, data={**bundle.data, "path": "elsewhere", "train": 7})
    found = {one.what: (one.a, one.b) for one in differences(load(run), load(other))}
    assert found == {
        "recipe.lr": (bundle.recipe["lr"], 0.5),
        "weights": (None, "w.pth"),
        "data.path": (bundle.data["path"], "elsewhere"),
        "data.train": (bundle.data["train"], 7),
    }
    assert [str(one) for one in differences(load(run), load(other))][1] == "weights: none / w.pth"
