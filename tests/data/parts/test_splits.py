"""Splits: stratified to within one sample, grouped without parting, stable when the data grows."""

import hashlib
import shutil
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from reslearn.data.formats.files import Files
from reslearn.data.formats.pack_index import PackOptions
from reslearn.data.formats.packing import write_pack
from reslearn.data.memory import ArrayDataset, Subset
from reslearn.data.parts.splits import assign, check_folds, choose_splits, quotas
from reslearn.data.sources import open_data
from reslearn.spec.errors import UserError
from reslearn.train.folds import choose_folds

RATIOS = [
    {"train": 0.6, "val": 0.2, "test": 0.2},
    {"train": 0.7, "val": 0.15, "test": 0.15},
    {"train": 0.9, "val": 0.1},
    {f"fold{k}": 1 / 7 for k in range(7)},
]


def data(labels, ids=None, groups=None, hashes=None, splits=None):
    labels = np.asarray(labels, dtype=np.int64)
    out = ArrayDataset(
        np.zeros((len(labels), 1, 1, 3), np.uint8),
        labels,
        classes=[str(i) for i in range(int(labels.max(initial=0)) + 1)],
        ids=ids if ids is not None else [f"p{i}" for i in range(len(labels))],
        splits=splits,
        path="memory",
    )
    columns = {"groups": groups, "hashes": hashes}
    return out.told(**{name: list(column) for name, column in columns.items() if column is not None})


# What the release before this rule chose, on `with_copies` without copies (seeds 0 and 7) and on digits.
RELEASED = [
    ["a/10.bmp", "a/12.bmp", "b/11.bmp", "b/19.bmp"],
    ["a/05.bmp", "a/16.bmp", "b/13.bmp", "b/16.bmp"],
]
DIGITS = "59ba7c4412086739"
LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=120)


@given(LABELS, st.sampled_from(RATIOS), st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_every_class_is_within_one_sample_of_its_share(labels, fractions, seed):
    where = assign(data(labels), fractions, seed=seed)
    shares = np.array(list(fractions.values()))
    for c in set(labels):
        counts = np.bincount(where[np.array(labels) == c], minlength=len(shares))
        assert np.abs(counts - counts.sum() * shares).max() < 1 + 1e-6
    total = np.bincount(where, minlength=len(shares))
    assert np.abs(total - len(labels) * shares).max() <= len(shares)


@given(LABELS, st.sampled_from(RATIOS))
@settings(max_examples=50, deadline=None)
def test_identity_alone_decides_never_the_order_of_files(labels, fractions):
    ids = [f"p{i}" for i in range(len(labels))]
    shuffled = np.random.default_rng(len(labels)).permutation(len(labels))
    one = assign(data(labels, ids), fractions)
    two = assign(data(np.array(labels)[shuffled], [ids[i] for i in shuffled]), fractions)
    assert np.array_equal(one[shuffled], two)


@given(LABELS, LABELS, st.sampled_from(RATIOS))
@settings(max_examples=100, deadline=None)
def test_adding_files_moves_no_known_sample_and_new_ones_go_where_their_class_is_short(first, more, fractions):
    before = assign(data(first), fractions)
    both = data(first + more, [f"p{i}" for i in range(len(first))] + [f"q{i}" for i in range(len(more))])
    known = np.concatenate([before, np.full(len(more), -1)])
    after = assign(both, fractions, known=known)
    assert np.array_equal(after[: len(first)], before)
    shares = np.array(list(fractions.values()))
    for c in set(first + more):
        mine = both.labels == c
        counts, old = (np.bincount(w[(w >= 0) & mine], minlength=len(shares)) for w in (after, known))
        received = counts > old
        assert (counts - counts.sum() * shares < 1 + 1e-6)[received].all()  # nothing goes where there is enough


def test_new_samples_fill_up_a_split_that_was_short():
    known = np.array([0] * 10 + [-1] * 10)
    after = assign(data([0] * 20), {"train": 0.5, "val": 0.5}, known=known)
    assert np.bincount(after).tolist() == [10, 10] and (after[:10] == 0).all()
    over = assign(data([0] * 12), {"train": 0.5, "val": 0.5}, known=np.array([0] * 10 + [-1] * 2))
    assert np.bincount(over).tolist() == [10, 2]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), min_size=1, max_size=40),
    st.sampled_from(RATIOS),
    st.integers(0, 3),
)
@settings(max_examples=150, deadline=None)
def test_no_group_is_parted_and_each_class_is_within_its_largest_group(sizes, fractions, seed):
    labels = np.repeat([c for c, _ in sizes], [n for _, n in sizes])
    groups = np.repeat([f"g{i}" for i in range(len(sizes))], [n for _, n in sizes])
    where = assign(data(labels, groups=groups), fractions, seed=seed)
    assert all(len(set(where[groups == g])) == 1 for g in set(groups))
    shares = np.array(list(fractions.values()))
    for c in set(labels.tolist()):
        largest = max(n for k, n in sizes if k == c)
        counts = np.bincount(where[labels == c], minlength=len(shares))
        assert np.abs(counts - counts.sum() * shares).max() <= largest + 1e-6


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_groups_of_mixed_classes_stay_whole_and_near_their_shares(seed):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(30), rng.integers(1, 12, 30))
    labels = rng.integers(0, 4, len(groups))
    fractions = {"train": 0.6, "val": 0.2, "test": 0.2}
    where = assign(data(labels, groups=[f"g{g}" for g in groups]), fractions, seed=seed)
    assert all(len(set(where[groups == g])) == 1 for g in range(30))
    for c in range(4):
        largest = max(np.bincount(groups)[g] for g in set(groups[labels == c]))
        counts = np.bincount(where[labels == c], minlength=3)
        assert np.abs(counts - counts.sum() * np.array([0.6, 0.2, 0.2])).max() <= largest


def test_known_duplicates_are_one_group_and_join_named_groups():
    hashes = ["x", "x", "y", "z", "w", "v", "u", "t"]
    groups = ["", "a", "a", "", "", "", "", ""]
    for seed in range(20):
        where = assign(data([0] * 8, groups=groups, hashes=hashes), {"train": 0.5, "val": 0.5}, seed=seed)
        assert where[0] == where[1] == where[2]


def test_the_papers_45k_5k():
    """papers.md 3.2: 5k of CIFAR-10's 50k training pictures are held out."""
    labels = np.tile(np.arange(10), 6000)
    splits = {"train": np.arange(50_000), "test": np.arange(50_000, 60_000)}
    chosen = choose_splits(data(labels, splits=splits), val_fraction=0.1)
    assert len(chosen["train"]) == 45_000 and len(chosen["val"]) == 5_000 and len(chosen["test"]) == 10_000
    assert (np.bincount(labels[chosen["val"]]) == 500).all()
    assert not set(chosen["train"]) & set(chosen["val"]) and chosen["val"].max() < 50_000


def test_choose_splits_respects_what_is_declared():
    declared = {"train": np.arange(6), "val": np.arange(6, 8), "test": np.arange(8, 10)}
    chosen = choose_splits(data([0, 1] * 5, splits=declared))
    assert {k: v.tolist() for k, v in chosen.items()} == {k: v.tolist() for k, v in declared.items()}
    none = choose_splits(data([0, 1] * 5), val_fraction=0)
    assert len(none["train"]) == 10 and len(none["val"]) == 0 and "test" not in none
    with pytest.raises(UserError, match="declares test and no train"):
        choose_splits(data([0, 1] * 5, splits={"test": np.arange(10)}))
    with pytest.raises(UserError, match="reslearn crossval"):
        choose_splits(data([0, 1] * 5, splits={"fold0": np.arange(5), "fold1": np.arange(5, 10)}))
    for wrong in (1.0, -0.1, float("nan")):
        with pytest.raises(UserError, match=r"--val-fraction .* \[0, 1\)"):
            choose_splits(data([0, 1]), val_fraction=wrong)


@given(st.lists(st.integers(0, 12), min_size=2, max_size=60), st.sampled_from([0.1, 0.3, 0.7, 0.95]), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_no_class_is_held_out_whole(labels, fraction, seed):
    chosen = choose_splits(data(labels), val_fraction=fraction, split_seed=seed)
    labels = np.array(labels)
    assert set(labels[chosen["train"]]) == set(labels)
    assert sorted([*chosen["train"], *chosen["val"]]) == list(range(len(labels)))


def test_classes_of_one_picture_stay_in_train():
    labels = [*range(20), *[20] * 20]
    for seed in range(5):
        chosen = choose_splits(data(labels), split_seed=seed)
        assert set(range(20)) <= set(chosen["train"]) and len(chosen["val"]) >= 1


def test_a_class_in_one_group_stays_in_train_with_all_of_it_or_is_an_error():
    labels, groups = [0] * 8 + [1] * 4 + [0] * 8, ["a"] * 8 + ["b"] * 4 + [f"c{i}" for i in range(8)]
    for fraction in (0.2, 0.5, 0.8):
        chosen = choose_splits(data(labels, groups=groups), val_fraction=fraction)
        assert set(range(8, 12)) <= set(chosen["train"]) and len(chosen["val"])
    with pytest.raises(UserError, match=r"memory: class '0' lies in one group .* --val-fraction 0"):
        choose_splits(data([0, 0, 1, 1], groups=["g"] * 4), val_fraction=0.9)


def with_copies(root, copies=()):
    """Two classes of 20 pictures of noise, BMP and so all of one size, and copies (from, to) under other names."""
    draw = np.random.default_rng(3)
    for cls in "ab":
        (root / cls).mkdir(parents=True)
        for i in range(20):
            Pillow.fromarray(draw.integers(0, 256, (4, 4, 3), dtype=np.uint8)).save(root / cls / f"{i:02d}.bmp")
    for source, target in copies:
        shutil.copy(root / source, root / target)
    return open_data(root)


def test_exact_duplicates_lie_on_one_side_whatever_they_are_called(tmp_path):
    copies = [(f"a/{i:02d}.bmp", f"a/copy{i}.bmp") for i in range(12)] + [
        ("b/00.bmp", "b/x.bmp"),
        ("b/00.bmp", "b/y.bmp"),
    ]
    folder = with_copies(tmp_path / "d", copies)
    with tarfile.open(tmp_path / "d.tar", "w") as tar:
        tar.add(tmp_path / "d", "d")
    write_pack(folder, tmp_path / "d.pack", PackOptions("raw"))
    for source in ("d", "d.tar", "d.pack"):
        for seed in range(6):
            dataset = open_data(tmp_path / source)
            chosen = choose_splits(dataset, val_fraction=0.25, split_seed=seed)
            parts = [{dataset.read(int(i))[0].tobytes() for i in chosen[name]} for name in ("train", "val")]
            assert parts[0] and parts[1] and not parts[0] & parts[1]
            folds, _ = choose_folds(dataset, 4, split_seed=seed)
            by_picture = {}
            for i, name in enumerate(dataset.ids):
                by_picture.setdefault(dataset.read(i)[0].tobytes(), set()).add(folds[name])
            assert all(len(where) == 1 for where in by_picture.values())


def test_a_set_without_duplicates_splits_as_ever(tmp_path):
    folder = with_copies(tmp_path / "d")
    names = [[folder.ids[i] for i in choose_splits(folder, split_seed=seed)["val"]] for seed in (0, 7)]
    assert names == RELEASED
    digits = open_data("digits")
    found = hashlib.sha256(choose_splits(digits)["val"].astype("<i8").tobytes()).hexdigest()
    assert found[:16] == DIGITS


def test_only_files_of_equal_size_are_read(tmp_path, monkeypatch):
    folder = with_copies(tmp_path / "d", [("a/00.bmp", "b/x.bmp")])
    for i, name in enumerate(folder.ids):
        if name not in {"a/00.bmp", "a/01.bmp", "b/x.bmp"}:
            with open(tmp_path / "d" / name, "ab") as file:
                file.write(bytes(i + 1))
    read = []
    real = Files.raw
    monkeypatch.setattr(Files, "raw", lambda self, i: read.append(self.names[i]) or real(self, i))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    choose_splits(open_data(tmp_path / "d"))
    assert sorted(read) == ["a/00.bmp", "a/01.bmp", "b/x.bmp"]


def test_where_all_pictures_are_one_they_are_divided_as_if_they_differed():
    chosen = choose_splits(data([0, 1] * 20))
    assert len(chosen["val"]) == 4


def test_the_held_out_part_keeps_groups_whole():
    groups = [f"g{i // 5}" for i in range(50)]
    chosen = choose_splits(data([i // 5 % 2 for i in range(50)], groups=groups), val_fraction=0.2)
    assert not {groups[i] for i in chosen["train"]} & {groups[i] for i in chosen["val"]}
    assert 5 <= len(chosen["val"]) <= 15


def test_digits_have_a_fixed_stratified_test_split():
    digits = open_data("digits")
    assert len(digits) == 1797 and len(digits.splits["test"]) == 360
    share = np.bincount(digits.labels[digits.splits["test"]]) - np.bincount(digits.labels) * 360 / 1797
    assert np.abs(share).max() < 1
    assert np.array_equal(open_data("digits").splits["test"], digits.splits["test"])
    assert not np.array_equal(open_data("digits", split_seed=1).splits["test"], digits.splits["test"])
    chosen = choose_splits(digits)
    assert len(chosen["val"]) in (143, 144) and not set(chosen["val"]) & set(digits.splits["test"])
    from sklearn.datasets import load_digits

    image, label = digits.read(7)
    assert (
        np.array_equal(image[..., 1], np.round(load_digits().images[7] * 255 / 16)) and label == load_digits().target[7]
    )


def test_folds_are_stratified_disjoint_and_cover_all():
    labels = np.arange(53) % 4
    folds = assign(data(labels), {f"fold{k}": 1 / 5 for k in range(5)}, seed=2)
    assert set(folds) == set(range(5))
    for c in range(4):
        counts = np.bincount(folds[labels == c], minlength=5)
        assert counts.max() - counts.min() <= 1
    with pytest.raises(UserError, match="class '1' has only 13"):
        check_folds(data(labels), 14)
    with pytest.raises(UserError, match="--folds is 1"):
        check_folds(data(labels), 1)


def test_quotas_spread_the_roundings():
    quota = quotas(np.full(100, 7), np.array([0.6, 0.2, 0.2]))
    assert (quota.sum(1) == 7).all() and np.abs(quota.sum(0) - [420, 140, 140]).max() <= 1


def test_a_subset_of_a_subset_and_its_identities():
    whole = data([0, 1] * 5)
    inner = Subset(Subset(whole, [2, 4, 6, 8]), [3, 0])
    assert list(inner.ids) == ["p8", "p2"] and inner.labels.tolist() == [0, 0] and len(inner) == 2
    with pytest.raises(UserError, match=r"0\.\.9"):
        Subset(whole, [10])
