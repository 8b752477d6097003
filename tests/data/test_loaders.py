"""The loaders' promise: the same global batches whatever reads them; and no picture lost, doubled or invented."""

import hashlib
import multiprocessing

import numpy as np
import pytest
import torch

from reslearn.data.formats.packing import write_pack
from reslearn.data.loaders import eval_batches, prepare, readable, train_loader
from reslearn.data.memory import ArrayDataset, Subset
from reslearn.data.preprocess import Normalise, apply, to_batch
from reslearn.data.sources import open_data
from reslearn.runtime.process_group import World
from reslearn.spec.errors import UserError
from reslearn.spec.preprocess import default_preprocess
from reslearn.spec.recipe import Augment

EVERYTHING = Augment(
    crop="pad", flip="alternating", policy="rand", jitter=0.3, pca=0.1, erase=0.25, mixup=0.4, cutmix=1.0, repeats=2
)


def array_data(n=50, size=16):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, n)
    images = rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    return ArrayDataset(images, labels, classes=list("abcde"), ids=[str(i) for i in range(n)])


def loader(data, augment=EVERYTHING, batch_size=12, size=16, seed=7, **options):
    return train_loader(
        data,
        normalise=Normalise(default_preprocess(size)),
        augment=augment,
        batch_size=batch_size,
        seed=seed,
        **options,
    )


def digest(batch):
    parts = [batch.images.contiguous(), batch.labels, torch.from_numpy(batch.samples)]
    parts += [x for x in (batch.partner, batch.share) if x is not None]
    return hashlib.sha256(b"".join(p.numpy().tobytes() for p in parts)).hexdigest()


def digests(data, start=0, stop=13, **options):
    return [digest(batch) for batch in loader(data, **options).batches(start, stop)]


@pytest.fixture(scope="module")
def reference():
    return digests(array_data(), kind="resident")


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than cores is the point
@pytest.mark.parametrize("workers", [0, 1, 2, 4])
def test_batches_are_the_same_for_any_number_of_workers(reference, workers):
    assert digests(array_data(), kind="streaming", workers=workers) == reference
    assert len(set(reference)) == len(reference)


def test_batches_are_the_same_from_spawned_workers(folder, tmp_path):
    data = open_data(folder({"a": 5, "b": 5}))
    streaming = loader(data, kind="streaming", workers=0)
    expected = [digest(b) for b in streaming.batches(0, 3)]
    from reslearn.data.loading.batch import Finisher
    from reslearn.data.loading.sampling import EndlessOrder
    from reslearn.data.loading.streaming import StreamingLoader

    packed = write_pack(data, tmp_path / "a.pack")  # holds a memory map, which cannot be sent to another process
    finish = Finisher(Normalise(default_preprocess(16)), EVERYTHING, 7)
    sequence = EndlessOrder(packed.labels, seed=7, augment=EVERYTHING, batch_size=12)
    spawned = StreamingLoader(packed, sequence, finish, workers=1, start_method="spawn")
    assert [digest(b) for b in spawned.batches(0, 3)] == expected


@pytest.mark.parametrize("kind", ["resident", "streaming"])
def test_ranks_hold_contiguous_parts_of_the_same_global_batches(kind):
    data = array_data()
    whole = list(loader(data, kind=kind).batches(0, 6))
    ranks = [list(loader(data, kind=kind, world=World(r, 2)).batches(0, 6)) for r in range(2)]
    for step, batch in enumerate(whole):
        parts = [ranks[r][step] for r in range(2)]
        assert torch.equal(torch.cat([p.images for p in parts]), batch.images)
        assert torch.equal(torch.cat([p.labels for p in parts]), batch.labels)
        assert torch.equal(torch.cat([p.share for p in parts]), batch.share)
        assert np.array_equal(np.concatenate([p.positions for p in parts]), batch.positions)


@pytest.mark.parametrize("options", [{"kind": "resident"}, {"kind": "streaming", "workers": 2}])
def test_a_resume_in_the_middle_of_an_epoch_sees_the_same_batches(reference, options):
    assert digests(array_data(), start=3, stop=13, **options) == reference[3:]


def test_a_streaming_loader_can_be_left_early_and_asked_again(reference):
    streaming = loader(array_data(), kind="streaming", workers=2)
    for batch in streaming.batches(0, 13):
        assert digest(batch) == reference[0]
        break
    assert [digest(b) for b in streaming.batches(4, 9)] == reference[4:9]


@pytest.mark.parametrize("crop", ["random-resized", "scale"])
def test_crops_of_whole_pictures_do_not_depend_on_workers(folder, crop):
    data = open_data(folder({"a": 6, "b": 6}, size=(40, 56)))
    augment = Augment(crop=crop, scale=(18, 30), flip="random", pca=0.1)
    one, two = (digests(data, stop=4, augment=augment, kind="streaming", workers=w) for w in (0, 2))
    assert one == two
    assert loader(data, augment=augment).kind == "streaming"
    with pytest.raises(UserError, match="streaming"):
        loader(data, augment=augment, kind="resident")


def test_an_epoch_shows_every_picture_once_and_batches_run_across_its_end():
    data = array_data(50)
    training = loader(data, augment=Augment(), batch_size=12)
    assert training.epoch_length == 50 and training.steps_per_epoch == 5
    seen = np.concatenate([b.samples for b in training.batches(0, 25)])  # 300 positions: 6 epochs
    assert all(len(b.labels) == 12 for b in training.batches(0, 25))
    epochs = seen.reshape(6, 50)
    assert all(sorted(epoch.tolist()) == list(range(50)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 6


def test_a_set_smaller_than_a_batch_trains():
    batch = next(iter(loader(array_data(5), augment=Augment(), batch_size=16).batches(0, 1)))
    assert np.bincount(batch.samples).tolist()[:5] == [3, 3, 3, 3, 3] or len(batch.labels) == 16
    assert np.bincount(batch.samples, minlength=5).max() <= 4


def test_images_and_labels_belong_together():
    data = array_data(50)
    for batch in loader(data, augment=Augment(), batch_size=10).batches(0, 5):
        assert batch.labels.tolist() == data.labels[batch.samples].tolist()
        mean = torch.tensor(default_preprocess(16).mean).view(1, 3, 1, 1)
        std = torch.tensor(default_preprocess(16).std).view(1, 3, 1, 1)
        pixels = (batch.images * std + mean) * 255
        expected = torch.from_numpy(data.images[batch.samples]).permute(0, 3, 1, 2)
        assert (pixels - expected).abs().max() < 0.01


def test_resident_is_chosen_when_the_set_fits(monkeypatch):
    from reslearn.data import loaders

    assert loader(array_data()).kind == "resident"
    monkeypatch.setattr(loaders, "free_bytes", lambda device: 1000)
    assert loader(array_data()).kind == "streaming"


@pytest.fixture
def damaged(folder):
    root = folder({"a": 6, "b": 6})
    for name in ("a/001.jpg", "b/003.jpg"):
        file = root / name
        file.write_bytes(file.read_bytes()[:300])
    return open_data(root)


@pytest.mark.parametrize("options", [{"kind": "resident"}, {"kind": "streaming"}, {"kind": "streaming", "workers": 2}])
def test_a_bad_file_stops_training_with_its_name(damaged, options):
    with pytest.raises(UserError, match=r"(a/001|b/003)\.jpg: damaged or truncated") as error:
        for _ in loader(damaged, augment=Augment(), **options).batches(0, 2):
            pass
    assert "\n" not in str(error.value)


def test_skip_goes_on_lists_what_it_skipped_and_does_so_alike_everywhere(damaged):
    runs = []
    for options in ({"kind": "resident"}, {"kind": "streaming"}, {"kind": "streaming", "workers": 2}):
        training = loader(damaged, on_bad_file="skip", **options)
        batches = list(training.batches(0, 4))
        assert sorted(training.skipped) == ["a/001.jpg", "b/003.jpg"]
        assert all("damaged or truncated" in reason for reason in training.skipped.values())
        bad = [list(damaged.ids).index(name) for name in training.skipped]
        assert not set(bad) & {int(s) for b in batches for s in b.samples}
        runs.append([digest(b) for b in batches])
    assert runs[0] == runs[1] == runs[2]


def test_nothing_readable_is_an_error_even_with_skip(folder):
    root = folder({"a": 2, "b": 2})
    for file in root.rglob("*.jpg"):
        file.write_bytes(b"\xff\xd8 not an image")
    for kind in ("resident", "streaming"):
        with pytest.raises(UserError, match="none of the"):
            list(loader(open_data(root), augment=Augment(), on_bad_file="skip", kind=kind, batch_size=4).batches(0, 1))


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_sees_every_picture_once_in_order(folder, workers):
    data = open_data(folder({"a": 7, "b": 4}, size=(20, 30)))
    value = default_preprocess(16)
    out = list(eval_batches(data, value, batch_size=4, workers=workers))
    assert [len(x) for x in out] == [4, 4, 3]
    assert torch.equal(torch.cat(out), to_batch([apply(data.read(i)[0], value) for i in range(11)]))
    prepared = prepare(data, value)
    same = torch.cat(list(eval_batches(prepared, value, batch_size=5)))
    assert torch.equal(torch.cat(out), same)


@pytest.mark.parametrize("workers", [0, 1])
def test_evaluation_never_substitutes(damaged, workers):
    with pytest.raises(UserError, match=r"a/001\.jpg"):
        list(eval_batches(damaged, default_preprocess(16), batch_size=4, workers=workers))


def test_prepared_pictures_of_another_preprocessing_are_not_reused():
    data = array_data(8, size=16)
    small = prepare(data, default_preprocess(8))
    again = prepare(Subset(small, [0, 1, 2]), default_preprocess(16))
    assert again.images.shape == (3, 16, 16, 3)
    same = prepare(Subset(small, [2, 1]), default_preprocess(8))
    assert np.array_equal(same.images, small.images[[2, 1]])


def test_progress_is_told_and_ends_at_the_count():
    calls = []
    loader(array_data(200, size=8), progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (200, 200) and [d for d, _ in calls] == sorted(d for d, _ in calls)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"world": World(0, 5)}, "multiple of the 5 processes"),
        ({"batch_size": 6, "world": World(0, 2)}, "must be even"),
        ({"kind": "residnet"}, "'resident', 'streaming'"),
        ({"on_bad_file": "ignore"}, "'stop', 'skip'"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(UserError, match=message):
        loader(array_data(), **options)


def test_no_worker_outlives_its_loader():
    streaming = loader(array_data(), kind="streaming", workers=2)
    next(iter(streaming.batches(0, 3)))
    assert multiprocessing.active_children()
    del streaming
    for child in multiprocessing.active_children():
        child.join(10)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 2])
def test_readable_leaves_out_what_cannot_be_read_and_says_why(damaged, workers):
    kept, left_out = readable(damaged, workers)
    assert len(kept) == 10 and sorted(left_out) == ["a/001.jpg", "b/003.jpg"] and not set(kept.ids) & set(left_out)
    assert all("damaged or truncated" in reason for reason in left_out.values())
    assert readable(kept) == (kept, {})
