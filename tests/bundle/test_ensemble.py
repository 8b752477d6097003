"""Members of one ensemble answer in one order of classes."""

from __future__ import annotations

import pytest

from reslearn.bundle.ensemble import class_order
from reslearn.spec.errors import UserError


def test_where_each_class_stands_among_another_models():
    assert class_order(["cat", "dog", "elk"], ["elk", "cat", "dog"]) == [1, 2, 0]
    assert class_order(["cat", "dog"], ["cat", "dog"]) is None
    assert class_order(None, ["cat"]) is None and class_order(["cat"], None) is None
    assert class_order(["caf\u00e9", "x"], ["x", "cafe\u0301"]) == [1, 0], "one name in two spellings of Unicode"


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
        class_order(["cat", "dog"], given, "a.st", "b.st")
