"""`explain`: which places of a picture speak for a class, whether that can be believed, and more of a net."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..bundle.file import Loaded, load
from ..data.anything import Range
from ..data.dataset import Image, Indices
from ..engine.scorer import TorchScorer
from ..interpret.class_maps import MapPlan, class_maps, grain, map_plan
from ..interpret.faithfulness import Faithfulness, Learned, faithfulness
from ..interpret.sheets import MapSheet, feature_sheets, first_filters
from ..measure.metrics import check_answers, softmax
from ..predictor.answers import Answer, answer
from ..report.heat import heat_of
from ..runtime.device import present
from ..spec.choices import MapMethod
from ..spec.errors import UserError, check_at_least, unknown
from .class_looks import ClassLook, Like, class_looks, neighbours
from .looked_at import SMALL, Looked, looked_at, spread

SHOWN = 24  # pictures, unless told
TESTED = {True: 100, False: 16}  # pictures that maps are tested on: small ones, larger ones
TOP = 5
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ExplainRequest:
    """What is asked of `explain`, beside model and pictures; None: chosen."""

    method: MapMethod | None = None
    of_class: str | int | None = None  # each picture's own best class if None
    layer: str | None = None
    split: str | None = None
    shown: int = SHOWN
    tested: int | None = None
    training_data: str | os.PathLike[str] | None = None  # where the nearest pictures are looked for
    device: str | None = None

    def __post_init__(self) -> None:
        check_at_least("--pictures", self.shown, 1)
        check_at_least("--faithfulness", self.tested, 0)


@dataclass(frozen=True, eq=False)
class PictureMap:
    """One picture, what the model says it is, and the map of one class.

    `map` (S, S) float32 is signed, above 0 where a place speaks for the class; `image` uint8 (S, S, 3) is the picture
    as the network reads it, whose pixels the map has.
    """

    path: str | None
    label: str  # of the class that is explained
    index: int
    probability: float
    predictions: tuple[Answer, ...]
    truth: str | None
    image: Image = field(repr=False)
    map: Floats = field(repr=False)
    nearest: tuple[Like, ...] = field(default=(), repr=False)

    @property
    def heat(self) -> Floats:
        """What speaks for the class, in 0..1: the map cut at 0, its highest places at 1."""
        return heat_of(self.map)

    def _repr_html_(self) -> str:
        """For a notebook: the picture, and the heat over it."""
        from .pages.explained import in_notebook

        return in_notebook(self)

    def to_json(self) -> dict[str, Any]:
        """All but pixels."""
        return {
            "path": self.path, "label": self.label, "index": self.index, "probability": self.probability,
            "truth": self.truth, "predictions": [asdict(one) for one in self.predictions],
            "nearest": [one.to_json() for one in self.nearest],
        }  # fmt: skip


@dataclass(frozen=True)
class Unexplained:
    """A picture that could not be read, and why not in one line that names it."""

    path: str | None
    error: str

    def to_json(self) -> dict[str, Any]:
        """Path and error."""
        return {"path": self.path, "error": self.error}


@dataclass(frozen=True, eq=False)
class Explained:
    """The outcome of `explain`: a map of each picture, in order, and how far maps of this model can be believed."""

    model: Path
    sha256: str
    network: str
    method: MapMethod
    layers: tuple[str, ...]  # where the map is from, of each member; `input`: from the pixels
    pictures: tuple[PictureMap, ...]
    unread: tuple[Unexplained, ...]
    faithfulness: Faithfulness | None
    data: str | None
    found: int  # pictures that there are; `pictures` are at most as many as were asked for
    filters: Floats = field(repr=False)
    sheets: tuple[MapSheet, ...] = field(default=(), repr=False)
    classes: tuple[ClassLook, ...] = field(default=(), repr=False)
    looked: int = 0  # pictures that the looks at classes are of
    neighbours_of: str | None = None  # the data that the nearest pictures are from
    page: Path | None = None

    def __repr__(self) -> str:
        where = "" if self.page is None else f", page {self.page}"
        return f"Explained({self.network}: {len(self)} of {self.found:,} pictures by {self.method}{where})"

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, i: int) -> PictureMap:
        return self.pictures[i]

    def to_json(self) -> dict[str, Any]:
        """The contract's keys."""
        return {
            "model": str(self.model), "sha256": self.sha256, "method": self.method, "layers": list(self.layers),
            "pictures": [*(one.to_json() for one in self.pictures), *(one.to_json() for one in self.unread)],
            "faithfulness": None if self.faithfulness is None else self.faithfulness.to_json(),
            "classes": [one.to_json() for one in self.classes],
            "page": None if self.page is None else str(self.page),
        }  # fmt: skip


def explain(
    model: Loaded | str | os.PathLike[str],
    pictures: object,
    request: ExplainRequest,
    *,
    out: str | os.PathLike[str] | None = None,
    value_range: Range | None = None,
) -> Explained:
    """Maps of `pictures`: files, folders, DATA, pictures in memory; a page about them goes to `out`.

    Pictures that cannot be read are listed in `unread`. Raises `UserError` for what is no model of torch's, no picture,
    and for a method, layer or class that does not fit; where nothing can be read, for the first picture.
    """
    loaded = opened(model, request.device)
    bundle = loaded.bundle
    plan = map_plan(loaded.net, bundle.preprocess.size, method=request.method, layer=request.layer)
    wanted = None if request.of_class is None else class_index(bundle.classes, bundle.num_classes, request.of_class)
    scorer = TorchScorer(loaded.net, loaded.normalise)
    looked = looked_at(loaded, pictures, split=request.split, shown=request.shown, value_range=value_range)
    if not len(looked):
        raise UserError(looked.unread[0][1])
    logits = scorer(looked.images)
    check_answers(logits, scorer.precision)
    classes = logits.argmax(1) if wanted is None else np.full(len(logits), wanted)
    shown = spread(len(looked), request.shown)
    done = _pictures(loaded, plan, scorer, looked, logits, classes, shown)
    training = neighbours(loaded, scorer, looked, shown, request.training_data)
    looks = class_looks(loaded, plan, scorer, looked) if looked.truths is not None else ()
    explained = Explained(
        model=loaded.path,
        sha256=bundle.sha256,
        network=" + ".join(dict.fromkeys(member.spec.name for member in bundle.members)),
        method=plan.method,
        layers=plan.layers,
        pictures=tuple(
            replace(one, nearest=found)
            for one, found in zip(done, training.of if training else [()] * len(done), strict=True)
        ),
        unread=tuple(Unexplained(*one) for one in looked.unread),
        faithfulness=_tested(plan, scorer, looked, classes, _learned(logits, looked.truths), request.tested),
        data=looked.data,
        found=looked.found,
        filters=first_filters(loaded.net),
        sheets=tuple(feature_sheets(scorer, looked.images[shown[0]])),
        classes=looks,
        looked=len(looked),
        neighbours_of=None if training is None else training.data,
        page=None if out is None else Path(out),
    )
    if out is not None:
        from .pages.explained import write_explained

        write_explained(out, explained)
    return explained


def opened(model: object, device: str | None) -> Loaded:
    """A sealed file with its network. Raises `UserError` for an exported file, which has no layers to look at."""
    if isinstance(model, (str, os.PathLike)):
        return load(model, device=present(device))
    if not isinstance(model, Loaded):
        raise UserError(
            "explain looks into a network: give a run folder, a sealed file, or what reslearn.load returned; found "
            f"{type(model).__name__}"
        )
    return model


def class_index(names: Sequence[str] | None, count: int, wanted: str | int) -> int:
    """The index of a class by its name, or of a network without names, by its number; a number is no name of a class
    unless it is one. Raises `UserError` for one that there is not."""
    if names and wanted in names:
        return list(names).index(str(wanted))
    try:
        index = int(wanted)
    except ValueError:
        raise unknown("class", wanted, names or map(str, range(count))) from None
    if not 0 <= index < count:
        raise UserError(f"--class {wanted}: the model has {count} classes, 0..{count - 1}")
    return index


def _pictures(
    loaded: Loaded, plan: MapPlan, scorer: TorchScorer, looked: Looked, logits: Floats, classes: NDArray[Any],
    shown: Sequence[int],
) -> list[PictureMap]:  # fmt: skip
    places = list(shown)
    maps = class_maps(scorer, plan, looked.images[places], torch.from_numpy(classes[places])).numpy()
    bundle = loaded.bundle
    probabilities = softmax(logits[places], bundle.temperature or 1.0)
    names = bundle.classes or tuple(map(str, range(bundle.num_classes)))
    return [
        PictureMap(
            path=looked.names[place],
            label=names[int(classes[place])],
            index=int(classes[place]),
            probability=float(probabilities[row, int(classes[place])]),
            predictions=answer(probabilities[row], bundle, TOP),
            truth=None if looked.truths is None else names[int(looked.truths[place])],
            image=looked.image(place),
            map=maps[row],
        )
        for row, place in enumerate(places)
    ]


def _tested(
    plan: MapPlan, scorer: TorchScorer, looked: Looked, classes: NDArray[Any], learned: Learned | None,
    asked: int | None,
) -> Faithfulness | None:  # fmt: skip
    size = looked.images.shape[-1]
    count = TESTED[size <= SMALL] if asked is None else asked
    if not count:
        return None
    places = list(spread(len(looked), count))
    images, wanted = looked.images[places], torch.from_numpy(classes[places])
    maps = class_maps(scorer, plan, images, wanted)
    return faithfulness(scorer, images, wanted, maps, grain=grain(plan, scorer, size), learned=learned)


def _learned(logits: Floats, truths: Indices | None) -> Learned | None:
    """None also where all pictures are of one class: any network may be right about these."""
    counts = np.bincount(truths) if truths is not None else np.zeros(0, int)
    if truths is None or np.count_nonzero(counts) < 2:
        return None
    return Learned(int((logits.argmax(1) == truths).sum()), len(truths), int(counts.max()))
