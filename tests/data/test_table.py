"""Columns go with their rows, and what a user's class reads is what it is, whatever lies behind it."""

import pickle

import numpy as np
import pytest

from reslearn.data.formats.folders import of_files
from reslearn.data.loaders import prepare
from reslearn.data.memory import ArrayDataset, Subset, View
from reslearn.data.table import as_pictures
from reslearn.spec.preprocess import default_preprocess

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


def arrays(kind=ArrayDataset):
    return kind(IMAGES, np.arange(6) % 2, classes=["a", "b"], ids=list("uvwxyz"), splits={"test": np.array([5])})


class Inverted(ArrayDataset):
    def read(self, i):
        image, label = super().read(i)
        return 255 - image, label


def patched():
    data = arrays()
    data.read = lambda i: (255 - IMAGES[i], i % 2)
    return data


@pytest.mark.parametrize("make", [lambda: arrays(Inverted), patched], ids=["class", "instance"])
def test_what_a_users_class_reads_counts(make):
    data = make()
    for chosen in (as_pictures(data), Subset(Subset(data, [1, 4, 5]), [0, 1, 2]), View(data)):
        assert (
            not chosen.reader.ours and chosen.reader.images is None and chosen.root.fingerprint() == data.fingerprint()
        )
        first = "uvwxyz".index(chosen.ids[0])
        assert np.array_equal(chosen.read(0)[0], 255 - IMAGES[first])
        assert np.array_equal(prepare(chosen, default_preprocess(8)).images[0], 255 - IMAGES[first])
    ours = arrays()
    assert as_pictures(ours) is ours and Subset(ours, [1]).reader is ours.reader


def test_columns_go_with_their_rows():
    data = arrays().told(groups=list("ggghhh"), hashes=[str(i) for i in range(6)], notes=("said",))
    part = Subset(Subset(data, [5, 3, 0]), [2, 0])
    assert (
        list(part.ids) == ["u", "z"] and list(part.table.groups) == ["g", "h"] and list(part.table.hashes) == ["0", "5"]
    )
    assert part.labels.tolist() == [0, 1] and not part.splits and part.notes == ("said",)
    view = View(data, np.array([5, 1]), hashes=None, splits={"val": np.array([0])})
    assert view.table.hashes is None and list(view.table.groups) == ["h", "g"] and list(view.splits) == ["val"]
    assert view.fingerprint() == data.fingerprint() != part.fingerprint() and view.root is part.root is data
    assert arrays().table.groups is None and arrays().sizes.tolist() == [-1] * 6


def test_a_part_of_many_pictures_is_sent_in_little_more_than_its_names(tmp_path):
    many = of_files(
        str(tmp_path), [f"a/{i:06d}.jpg" for i in range(10_000)], np.zeros(10_000, np.int64), classes=("a",)
    )
    sent = pickle.dumps(Subset(many, np.arange(0, 10_000, 2)))
    assert len(sent) < 10_000 * (13 + 5 * 8)
    assert pickle.loads(sent).ids[4] == "a/000008.jpg"
