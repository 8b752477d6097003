"""What a sealed file says of itself to people who only see its answers."""

from __future__ import annotations

import pytest

from reslearn.bundle.facts import facts_of
from reslearn.bundle.header import Bundle, Member
from reslearn.spec.catalogue import get_spec
from reslearn.spec.preprocess import default_preprocess

SCORE = {"images": 40, "top1": 0.75, "top1_interval": [0.6, 0.86], "loss": 1.0}


def facts(**fields):
    return facts_of(Bundle((Member(get_spec("resnet20_cifar")),), default_preprocess(32), **fields))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"path": "/somebody/flowers/", "train": 3060, "val": 340}, "flowers: 3,060 pictures, 340 to choose on"),
        ({"path": "C:\\somebody\\flowers", "train": 3060, "val": 0}, "flowers: 3,060 pictures"),
        ({"path": None, "train": 10}, "pictures given from Python: 10 pictures"),
        ({"path": "flowers"}, "flowers"),
        ({}, None),
        (None, None),
    ],
)
def test_of_what_it_was_trained_on_it_tells_no_folder(data, words):
    assert facts(data=data)["trained_on"] == words


def test_scores_that_are_whole_are_told_with_their_interval():
    told = facts(scores={"test": SCORE, "val": SCORE | {"top1_interval": None}})
    assert told["scores"] == [
        {"split": "test", "images": 40, "top1": 0.75, "interval": [0.6, 0.86], "protocol": "1-crop"}
    ]
    assert told["classes"][:2] == ["0", "1"] and told["network"] == "resnet20_cifar"
