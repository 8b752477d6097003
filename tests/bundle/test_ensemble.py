"""Members of one ensemble answer in one order of classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reslearn.bundle.ensemble import reordering, seal_ensemble
from reslearn.bundle.file import load, save
from reslearn.data.parts.known import Known
from reslearn.spec.errors import UserError

from .sealing import TINY, bundle_of, tiny


def test_where_each_class_stands_among_another_models():
    assert reordering(["cat", "dog", "elk"], ["elk", "cat", "dog"]) == [1, 2, 0]
    assert reordering(["cat", "dog"], ["cat", "dog"]) is None
    assert reordering(None, ["cat"]) is None and reordering(["cat"], None) is None
    assert reordering(["caf\u00e9", "x"], ["x", "cafe\u0301"]) == [1, 0], "one name in two spellings of Unicode"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["cat", "elk"], "b.st has other classes than a.st: it knows elk and lacks dog"),
        (["cat", "dog", "elk"], "b.st has other classes than a.st: it knows elk$"),
        (["cat"], "b.st has other classes than a.st: it lacks dog$"),
    ],
)
def test_other_classes_are_named(given, said):
    with pytest.raises(UserError, match=said):
        reordering(["cat", "dog"], given, "a.st", "b.st")


def test_the_members_of_a_member_share_its_weight(tmp_path):
    files = [tmp_path / f"{seed}.safetensors" for seed in range(3)]
    for seed, file in enumerate(files):
        save(file, [tiny(seed)], bundle_of(TINY))
    assert [one.weight for one in seal_ensemble(tmp_path / "equal", files).members] == [1, 1, 1]
    pair = seal_ensemble(tmp_path / "pair", files, weights=[3, 1, 0])
    assert [one.weight for one in pair.members] == [3, 1], "who weighs nothing is left out"
    whole = seal_ensemble(tmp_path / "all", [tmp_path / "pair", files[2]], weights=[2, 5])
    assert [one.weight for one in whole.members] == [1.5, 0.5, 5]


def test_an_ensemble_has_seen_what_its_members_have_and_what_chose_them(tmp_path):
    known = [Known(np.array([1, 5]), np.array([9])), Known(np.array([5, 7]))]
    files = [tmp_path / f"{i}.safetensors" for i in range(2)]
    for i, file in enumerate(files):
        save(file, [tiny(i)], bundle_of(TINY), known=known[i])
    seal_ensemble(tmp_path / "both", files)
    seal_ensemble(tmp_path / "chosen", files, selected=Known(selected=np.array([11])))
    seal_ensemble(tmp_path / "quiet", files, selected=Known(selected=np.array([11])), forget=True)
    for name, selected in (("both", [9]), ("chosen", [9, 11])):
        found = load(tmp_path / name)
        assert found.known.trained.tolist() == [1, 5, 7] and found.known.selected.tolist() == selected
        assert found.bundle.seen.known_by == "content" and not found.bundle.seen.forgotten
    quiet = load(tmp_path / "quiet")
    assert quiet.bundle.seen.forgotten and not len(quiet.known.trained) and not len(quiet.known.selected)


def test_a_member_that_averages_otherwise_is_no_member(tmp_path):
    files = [tmp_path / f"{i}.safetensors" for i in range(2)]
    for i, file in enumerate(files):
        save(file, [tiny(i)], bundle_of(TINY))
    seal_ensemble(tmp_path / "mean", files, combine="logits")
    assert seal_ensemble(tmp_path / "one", files[:1], combine="softmax").combine == "softmax"
    with pytest.raises(UserError, match="mean: an ensemble averaging logits cannot be a member of one of softmax"):
        seal_ensemble(tmp_path / "all", [tmp_path / "mean", files[0]], combine="softmax")


def test_the_order_of_classes_is_the_first_one_s(tmp_path):
    """The rows of the others' heads move along, so that label 0 is one class."""
    files = [tmp_path / f"{i}.safetensors" for i in range(2)]
    save(files[0], [tiny(0)], bundle_of(TINY, classes=("cat", "dog", "eel")))
    save(files[1], [tiny(1)], bundle_of(TINY, classes=("eel", "cat", "dog")))
    seal_ensemble(tmp_path / "both", files, combine="logits")
    x = torch.randn(4, 3, 8, 8)
    expected = (tiny(0)(x) + tiny(1)(x)[:, [1, 2, 0]]) / 2
    torch.testing.assert_close(load(tmp_path / "both").net(x), expected)
