"""Members of one ensemble answer in one order of classes."""

from __future__ import annotations

import pytest

from reslearn.bundle.ensemble import reordering, seal_ensemble
from reslearn.bundle.file import save
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
