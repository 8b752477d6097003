"""Whatever is done to pictures, runs and models, no picture that was trained on is scored without being counted.

A small world of pictures, sources and models, in which everything that the product can do happens at random. Beside it
stands an oracle that knows which content each model was trained and selected on.
"""

from __future__ import annotations

import random
import shutil
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from reslearn.bundle.file import load
from reslearn.data.care.splitting import split_data
from reslearn.data.formats.pack_index import PackOptions
from reslearn.data.formats.packing import write_pack
from reslearn.data.memory import Subset
from reslearn.data.parts.splits import choose_splits
from reslearn.data.sources import open_data
from reslearn.jobs.calibration import calibrate_model
from reslearn.jobs.convert import convert_weights
from reslearn.jobs.ensemble import ensemble_models
from reslearn.jobs.evaluation import evaluate_model
from reslearn.measure.scoring import Scoring
from reslearn.runtime.settings import Settings
from reslearn.spec.catalogue import get_spec
from reslearn.spec.errors import UserError
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import default_preprocess
from reslearn.spec.recipe import Recipe
from reslearn.train import crossval
from reslearn.train.fit import fit, resume
from reslearn.train.folds import choose_folds
from reslearn.train.records.crossval import CrossvalRecord, start
from reslearn.train.records.run import describe, labels_text
from reslearn.train.stopping import Interrupted

TINY = NetSpec(
    name="tiny", stem="cifar", stem_channels=4, block="basic", stage_blocks=(1,), stage_channels=(4,), num_classes=2
)
RECIPE = Recipe("tiny", "tests", iterations=3, batch_size=4, image_size=8)
LOSSLESS = (".bmp", ".png", ".tif", ".webp", ".ppm", ".tga")


@dataclass
class Model:
    """A model, and what the oracle knows of it."""

    path: Path
    trained: frozenset[int]
    selected: frozenset[int]


@dataclass
class Source:
    """Something to open, and which content each of its pictures has."""

    path: Path
    contents: dict[str, int]


class World:
    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.draw, self.made = root, random.Random(seed), 0
        self.files: dict[str, int] = {}  # below `live`: path -> content
        self.stored: list[Source] = []  # tars and packs of some earlier time
        self.models: list[Model] = []
        self.log: list[str] = []
        for label in "ab":
            (root / "live" / label).mkdir(parents=True)
            for _ in range(6):
                self.add(label)

    # -- pictures --------------------------------------------------------------------------------------------------

    def fresh(self) -> int:
        self.made += 1
        return self.made

    def pixels(self, content: int) -> np.ndarray:
        return np.random.default_rng(content).integers(0, 256, (9, 9, 3), dtype=np.uint8)

    def write(self, name: str, content: int) -> None:
        options = {"lossless": True, "exact": True} if name.endswith(".webp") else {}
        Pillow.fromarray(self.pixels(content)).save(self.root / "live" / name, **options)
        self.files[name] = content

    def add(self, label: str | None = None) -> None:
        content = self.fresh()
        self.write(f"{label or self.draw.choice('ab')}/{content:03d}{self.draw.choice(LOSSLESS)}", content)

    def some(self) -> str:
        return self.draw.choice(sorted(self.files))

    def new_name(self, name: str, suffix: str | None = None) -> str:
        label = name[0] if self.draw.random() < 0.8 else self.draw.choice("ab")
        return f"{label}/{self.fresh():03d}{suffix or Path(name).suffix}"

    def remove(self) -> None:
        name = self.some()
        if sum(other[0] == name[0] for other in self.files) > 5:
            (self.root / "live" / name).unlink()
            del self.files[name]

    def rename(self) -> None:
        name = self.some()
        other = self.new_name(name)
        shutil.move(self.root / "live" / name, self.root / "live" / other)
        self.files[other] = self.files.pop(name)

    def copy(self) -> None:
        name = self.some()
        other = self.new_name(name)
        shutil.copy(self.root / "live" / name, self.root / "live" / other)
        self.files[other] = self.files[name]

    def reencode(self) -> None:
        name = self.some()
        other = self.new_name(name, self.draw.choice(LOSSLESS))
        content = self.files.pop(name)
        (self.root / "live" / name).unlink()
        self.write(other, content)

    def swap_in_place(self) -> None:
        """Another picture under the same name, of the same size and format."""
        name = self.some()
        if name.endswith(".bmp"):
            self.write(name, self.draw.choice([self.fresh(), *self.files.values()]))

    def split_anew(self) -> None:
        manifest = self.root / "live" / "reslearn-manifest.json"
        manifest.unlink(missing_ok=True)
        if self.draw.random() < 0.7:
            split_data(str(self.root / "live"), ratio="2:1:1", seed=self.draw.randrange(100))

    # -- sources ---------------------------------------------------------------------------------------------------

    def live(self) -> Source:
        if (self.root / "live" / "reslearn-manifest.json").exists():  # what changed since is told so, and split again
            split_data(str(self.root / "live"), ratio="2:1:1")
        return Source(self.root / "live", dict(self.files))

    def tar(self) -> None:
        path = self.root / f"{self.fresh()}.tar"
        with tarfile.open(path, "w") as tar:
            for name in sorted(self.files):
                tar.add(self.root / "live" / name, name)
        self.stored.append(Source(path, dict(self.files)))

    def pack(self) -> None:
        source, path = self.source(), self.root / f"{self.fresh()}.pack"
        options = [
            PackOptions(),
            PackOptions("raw"),
            PackOptions("raw", 6),
            PackOptions("jpeg"),
            PackOptions("jpeg", 7),
        ]
        data = open_data(source.path)
        encoded = data.reader.encoded
        write_pack(data, path, self.draw.choice(options if encoded else options[1:]))
        self.stored.append(Source(path, {name: source.contents[name] for name in data.ids}))

    def table(self) -> Source:
        path = self.root / f"{self.fresh()}.csv"
        path.write_text("path,label\n" + "".join(f"live/{name},{name[0]}\n" for name in sorted(self.files)))
        return Source(path, {f"live/{name}": content for name, content in self.files.items()})

    def source(self) -> Source:
        kinds = [self.live, self.table, *(lambda s=s: s for s in self.stored[-3:])]
        return self.draw.choice(kinds)()

    # -- models ----------------------------------------------------------------------------------------------------

    def train(self) -> None:
        self.fit(None)

    def fine_tune(self) -> None:
        if self.models:
            self.fit(self.draw.choice(self.models))

    def fit(self, start: Model | None) -> None:
        source, out = self.source(), self.root / f"run{self.fresh()}"
        data = open_data(source.path)
        splits = choose_splits(data, val_fraction=0.25, split_seed=self.draw.randrange(100))
        train, val = (Subset(data, splits[name]) for name in ("train", "val"))
        best = self.draw.random() < 0.4 and len(val)
        recipe = replace(RECIPE, select="best", validate_every=0.5) if best else RECIPE
        loader = self.draw.choice(["resident", "streaming"])
        settings = Settings(compile=False, threads=1, loader=loader, workers=self.draw.choice([0, 0, 1]))
        weights = None if start is None else str(start.path)
        if start is not None and len(load(start.path).bundle.members) > 1:
            return  # an ensemble is nothing to start from
        options = {"out": out, "settings": settings, "weights": weights, "seed": self.draw.randrange(9)}
        if self.draw.random() < 0.4:
            with pytest.raises(KeyboardInterrupt):
                fit(TINY, train, val, recipe, watch=_Stop(self.draw.randrange(1, 3)), **options)
            run = resume(out, train_data=train, val_data=val)
        else:
            run = fit(TINY, train, val, recipe, **options)
        before = (frozenset(), frozenset()) if start is None else (start.trained, start.selected)
        trained, held = (frozenset(source.contents[name] for name in part.ids) for part in (train, val))
        model = Model(run.model, trained | before[0], before[1] | (held if best else frozenset()))
        if run.val is not None:
            self.counted(run.val["seen"], model, [source.contents[name] for name in val.ids])
        self.models.append(model)

    def crossval(self) -> None:
        source, out = self.source(), self.root / f"folds{self.fresh()}"
        data = open_data(source.path)
        try:
            where, method = choose_folds(data, 2, split_seed=self.draw.randrange(100))
        except UserError:  # copies, which stay together, leave a fold without a class
            return
        settings = Settings(compile=False, threads=1)
        start(out, CrossvalRecord(
            spec=get_spec(TINY, num_classes=len(data.classes)), recipe=RECIPE, preprocess=default_preprocess(8),
            settings=settings, count=2, folds=where, method=method, split_seed=0, seed=1, data=describe(data),
            environment={}, command="", created="", pictures=len(data),
            labels=labels_text(data.labels[[where.get(name, 0) > 0 for name in data.ids]]),
        ))  # fmt: skip
        if self.draw.random() < 0.4:
            with pytest.raises(Interrupted):
                crossval.proceed(out, data, watch=lambda fold: _Stop(2))
        done = crossval.proceed(out, data)
        for fold, run in enumerate(done.runs, 1):
            parts = [{source.contents[name] for name in where if (where[name] == fold) == held} for held in (0, 1)]
            self.models.append(Model(run.model, frozenset(parts[0]), frozenset()))
            self.counted(run.val["seen"], self.models[-1], [source.contents[n] for n in where if where[n] == fold])
        self.models.append(Model(done.model, frozenset(source.contents[name] for name in where), frozenset()))

    def convert(self) -> None:
        model = self.draw.choice(self.models) if self.models else None
        if model is not None and len(load(model.path).bundle.members) == 1:
            out = self.root / f"converted{self.fresh()}.safetensors"
            convert_weights(model.path, TINY, out=out)
            self.models.append(replace(model, path=out))

    def calibrate(self) -> None:
        if not self.models:
            return
        source, at = self.source(), self.draw.randrange(len(self.models))
        model, data = self.models[at], open_data(source.path)
        split = self.draw.choice(sorted({*data.splits} - {"train"})) if data.splits else "all"
        pictures = Subset(data, data.splits[split]) if data.splits else data
        calibrate_model(
            model.path, Subset(pictures, range(len(pictures))), scoring=Scoring(split="all", allow_seen=True)
        )
        chosen = frozenset(source.contents[name] for name in pictures.ids)
        for other in self.models:  # a run's folder and its file are one
            if other.path == model.path:
                other.selected |= chosen

    def ensemble(self) -> None:
        if len(self.models) < 2:
            return
        members = self.draw.sample(self.models, 2)
        if members[0].path == members[1].path or load(members[0].path).identity() == load(members[1].path).identity():
            return
        source, out = self.source(), self.root / f"ensemble{self.fresh()}.safetensors"
        data, greedy = open_data(source.path), self.draw.random() < 0.5
        data = Subset(data, range(len(data)))
        weights = None if greedy else [1.0, 1.0]
        value = ensemble_models(
            [one.path for one in members], data, greedy=greedy, weights=weights, out=out,
            scoring=Scoring("all", allow_seen=True),
        ).to_json()  # fmt: skip
        scored = [source.contents[name] for name in data.ids]
        for one, member in zip(members, value["members"], strict=True):
            self.counted(member["score"]["seen"], one, scored)
        inside = [one for one, member in zip(members, value["members"], strict=True) if member["weight"] > 0]
        trained = frozenset().union(*(one.trained for one in inside))
        selected = frozenset().union(*(one.selected for one in inside), scored if greedy else ())
        self.models.append(Model(out, trained, selected))

    # -- the oracle ------------------------------------------------------------------------------------------------

    def counted(self, seen: dict, model: Model, scored: list[int]) -> None:
        assert seen["known_by"] == "content"
        assert seen["trained"] == sum(content in model.trained for content in scored)
        assert seen["selected"] == sum(content in model.selected for content in scored)

    def look(self) -> None:
        """Score a model on pictures of any source, all of them or a declared part."""
        if not self.models:
            return
        model, source = self.draw.choice(self.models), self.source()
        data = open_data(source.path)
        split = self.draw.choice(sorted(data.splits)) if data.splits else "all"
        pictures = Subset(data, data.splits[split]) if data.splits else data
        scored = [source.contents[name] for name in pictures.ids]
        cache = self.root / "kept" if self.draw.random() < 0.5 else None
        # a copy without a run's folder: what the file itself knows
        alone = self.root / "alone.safetensors"
        shutil.copy(model.path, alone)
        done = evaluate_model(alone, data, split=split, allow_seen=True, cache=cache)
        self.counted(done.seen.to_json(), model, scored)
        trained = sum(content in model.trained for content in scored)
        tolerated = split == "train" or (split == "test" and trained <= len(scored) // 100)
        if trained and not tolerated:
            with pytest.raises(UserError, match=r"were trained on"):
                evaluate_model(alone, data, split=split, cache=cache)
        else:
            evaluate_model(alone, data, split=split, cache=cache)
        if trained and trained < len(scored):
            others = evaluate_model(alone, data, split=split, only_unseen=True)
            assert others.images == len(scored) - trained and others.seen.trained == 0

    def step(self) -> None:
        pictures = [self.add, self.remove, self.rename, self.copy, self.reencode, self.swap_in_place, self.split_anew]
        models = [self.train, self.fine_tune, self.crossval, self.convert, self.calibrate, self.ensemble]
        deed = self.draw.choice([*pictures, self.tar, self.pack, *models, self.look, self.look])
        self.log.append(deed.__name__)
        deed()


class _Stop:
    """Stops a training after some steps, as a kill would: nothing after that is written."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self, event: object) -> None:
        if hasattr(event, "loss"):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def live_a_while(root: Path, seed: int, steps: int) -> None:
    world = World(root, seed)
    world.train()
    for _ in range(steps):
        try:
            world.step()
        except BaseException as error:
            raise AssertionError(f"seed {seed}, after {', '.join(world.log)}") from error
    for _ in range(3):
        world.look()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_picture_is_scored_without_being_counted(tmp_path, seed):
    live_a_while(tmp_path, seed, 14)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 160))
def test_no_picture_is_scored_without_being_counted_for_long(tmp_path, seed):
    live_a_while(tmp_path, seed, 60)
