"""What two models differ in besides their answers is told by name: network, recipe, weights, data, preprocessing."""

from __future__ import annotations

import json
import shutil

from reslearn.bundle.file import load, reseal
from reslearn.jobs.differing import differences


def test_rates_are_told_as_steps_are_taken_with_them(run, tmp_path):
    recipe = load(run).bundle.recipe
    for name, changes in (("a", {"lr": 0.4, "batch_size": 16, "lr_batch": 128}), ("b", {"lr": 0.02, "batch_size": 16}),
                          ("c", {"lr": 0.4, "batch_size": 64, "lr_batch": 128})):  # fmt: skip
        shutil.copytree(run, tmp_path / name)
        reseal(tmp_path / name, recipe={**recipe, **changes})
    a, b, c = (load(tmp_path / name) for name in "abc")
    [rate] = [one for one in differences(a, b) if one.what == "recipe.lr"]
    assert str(rate) == "recipe.lr: 0.4 at 128, so 0.05 at batches of 16 / 0.02"
    assert rate.to_json() == {"what": "recipe.lr", "a": 0.4, "b": 0.02}
    assert "recipe.lr: 0.4 at 128, so 0.05 at batches of 16 / 0.4 at 128, so 0.2 at batches of 64" in map(
        str, differences(a, c)
    )


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
