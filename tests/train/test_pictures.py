"""A run notes the keys of its pictures while it reads them, and ends with the same record whatever happened to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as Pillow

from reslearn.bundle.file import load, read_bundle
from reslearn.data.formats.files import Files
from reslearn.data.memory import Subset
from reslearn.data.parts.keyed import Keyed
from reslearn.data.parts.known import filter_of
from reslearn.data.parts.splits import choose_splits
from reslearn.data.sources import open_data
from reslearn.runtime.settings import Settings
from reslearn.spec.errors import UserError
from reslearn.spec.net import NetSpec
from reslearn.spec.recipe import Recipe
from reslearn.spec.seen import Seen
from reslearn.train import pictures
from reslearn.train.fit import fit, resume
from reslearn.train.pictures import FILE_NAME, read_pictures, seen_by

TINY = NetSpec(
    name="tiny", stem="cifar", stem_channels=4, block="basic", stage_blocks=(1,), stage_channels=(4,), num_classes=2
)
RECIPE = Recipe("tiny", "tests", iterations=6, batch_size=4, image_size=8, checkpoint_every=1e-6)


@pytest.fixture
def folder(tmp_path):
    draw = np.random.default_rng(1)
    for cls in "ab":
        (tmp_path / "pictures" / cls).mkdir(parents=True)
        for i in range(10):
            image = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Pillow.fromarray(image).save(tmp_path / "pictures" / cls / f"{i}.png")
    return tmp_path / "pictures"


def parts(folder):
    data = open_data(folder)
    splits = choose_splits(data, val_fraction=0.2)
    return Subset(data, splits["train"]), Subset(data, splits["val"])


def settings(loader, workers=0):
    return Settings(compile=False, threads=1, loader=loader, workers=workers)


class Stop:
    def __init__(self, steps):
        self.left = steps

    def __call__(self, event):
        if hasattr(event, "loss"):
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt


@pytest.mark.parametrize(("loader", "workers"), [("resident", 0), ("streaming", 0), ("streaming", 2)])
@pytest.mark.parametrize("stopped", [None, 1, 5])
def test_the_record_is_the_same_however_it_was_read(folder, tmp_path, loader, workers, stopped):
    train, val = parts(folder)
    out = tmp_path / "run"
    if stopped is None:
        fit(TINY, train, val, RECIPE, out=out, settings=settings(loader, workers))
    else:
        with pytest.raises(KeyboardInterrupt):
            fit(TINY, train, val, RECIPE, out=out, settings=settings(loader, workers), watch=Stop(stopped))
        assert read_pictures(out) is not None  # as far as it had come
        resume(out, train_data=train, val_data=val)
    for part, rows in ((train, read_pictures(out).train), (val, read_pictures(out).val)):
        whole = Keyed(part)
        whole.complete()
        assert np.array_equal(rows, whole.rows)
    assert np.array_equal(load(out).known.trained, filter_of(read_pictures(out).train))


def test_each_picture_is_read_once_for_its_keys_and_its_pixels(folder, tmp_path, monkeypatch):
    train, _ = parts(folder)
    read = []
    real = Files.raw
    monkeypatch.setattr(Files, "raw", lambda self, i: read.append(i) or real(self, i))
    fit(TINY, train, None, RECIPE, out=tmp_path / "run", settings=settings("resident"))
    again = [i for i in read if read.count(i) > 1]
    assert set(read) == set(train.indices.tolist()) and set(again) <= {train.indices[0]}  # whose size is asked first


@pytest.mark.parametrize(("loader", "workers"), [("streaming", 0), ("streaming", 2)])
def test_a_picture_that_is_replaced_while_the_run_is_trained_stops_it(folder, tmp_path, loader, workers):
    """Read once more it would be trained on, and the first one no longer known; put back, the run goes on."""
    train, val = parts(folder)
    long = replace(RECIPE, iterations=200)
    old = {name: (folder / name).read_bytes() for name in train.ids}

    def swap(event):
        if getattr(event, "step", 0) == 8:  # two epochs: all have been read
            for name in train.ids:
                image = np.random.default_rng(77).integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Pillow.fromarray(image).save(folder / name)

    with pytest.raises(UserError, match="became another picture while the run was trained"):
        fit(TINY, train, val, long, out=tmp_path / "run", settings=settings(loader, workers), watch=swap)
    with pytest.raises(UserError, match="16 pictures replaced"):
        resume(tmp_path / "run", train_data=train, val_data=val)
    for name, content in old.items():
        (folder / name).write_bytes(content)
    resume(tmp_path / "run", train_data=train, val_data=val)
    assert np.array_equal(load(tmp_path / "run").known.trained, filter_of(read_pictures(tmp_path / "run").train))


def test_a_damaged_record_is_made_anew(folder, tmp_path):
    train, val = parts(folder)
    with pytest.raises(KeyboardInterrupt):
        fit(TINY, train, val, RECIPE, out=tmp_path / "run", settings=settings("resident"), watch=Stop(3))
    file = tmp_path / "run" / FILE_NAME
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert read_pictures(tmp_path / "run") is None
    resume(tmp_path / "run", train_data=train, val_data=val)
    assert len(load(tmp_path / "run").known.trained) == 2 * len(train)


def test_a_run_can_forget(folder, tmp_path):
    train, val = parts(folder)
    run = fit(TINY, train, val, RECIPE, out=tmp_path / "run", settings=settings("resident"), forget_pictures=True)
    assert run.val["seen"] == Seen(0, 0, "content").to_json()  # it knew while it trained
    assert not (tmp_path / "run" / FILE_NAME).exists()
    assert read_bundle(run.path).seen.forgotten and seen_by(run.path).known_by == "nothing"
    more = fit(TINY, val, None, RECIPE, out=tmp_path / "more", weights=str(run.model), settings=settings("resident"))
    assert read_bundle(more.path).seen.known_by != "content"


def test_a_checkpoint_has_seen_what_its_run_has(folder, tmp_path):
    train, val = parts(folder)
    best = replace(RECIPE, select="best", validate_every=1.0)
    fit(TINY, train, val, best, out=tmp_path / "run", settings=settings("resident"))
    checkpoint = max((tmp_path / "run" / "checkpoints").glob("step-*"))
    known = seen_by(checkpoint)
    assert known.known_by == "content"
    assert np.array_equal(known.trained, load(tmp_path / "run").known.trained)
    assert np.array_equal(known.selected, load(tmp_path / "run").known.selected) and len(known.selected)


class Drawing:
    """A user's data set whose pictures are drawn anew whenever they are read, or always alike."""

    def __init__(self, source, anew):
        self.source, self.draw, self.anew = source, np.random.default_rng(0), anew
        self.path, self.ids, self.labels, self.splits = None, source.ids, source.labels, {}
        self.classes = source.classes

    def __len__(self):
        return len(self.source)

    def fingerprint(self):
        return "drawing"

    def read(self, i):
        image, label = self.source.read(i)
        return image + self.draw.integers(0, 9, image.shape, np.uint8) if self.anew else image, label


@pytest.mark.parametrize(("anew", "grade"), [(True, "nothing"), (False, "content")])
def test_pictures_that_are_drawn_anew_are_not_known_by_content(folder, tmp_path, anew, grade):
    train, val = parts(folder)
    run = fit(TINY, Drawing(train, anew), val, RECIPE, out=tmp_path / "run", settings=settings("streaming"))
    assert read_bundle(run.path).seen.known_by == grade


@pytest.mark.parametrize("older", [False, True])
def test_a_resume_decodes_again_only_what_another_release_would_show_otherwise(folder, tmp_path, monkeypatch, older):
    train, val = parts(folder)
    with pytest.raises(KeyboardInterrupt):
        fit(TINY, train, val, RECIPE, out=tmp_path / "run", settings=settings("streaming"), watch=Stop(5))
    before = read_pictures(tmp_path / "run").train
    if older:
        monkeypatch.setattr(pictures, "DECODER", pictures.DECODER + 1)
    decoded, decode = [], Files.decode
    monkeypatch.setattr(Files, "decode", lambda source, row, raw: decoded.append(row) or decode(source, row, raw))
    resume(tmp_path / "run", train_data=train, val_data=val)
    again = set(decoded) - set(val.indices.tolist())
    assert (len(again) == 16) if older else (len(again) <= 9), "the last two batches, and whose size is asked first"
    assert np.array_equal(read_pictures(tmp_path / "run").train, before), "by either decoder: the pixels are the same"
    assert len(load(tmp_path / "run").known.trained) == 2 * len(train)
