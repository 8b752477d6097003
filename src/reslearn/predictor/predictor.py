"""What is in these pictures? Files or arrays through the sealed model's own preprocessing, in fp32 unless told else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle.header import Bundle
from ..data.anything import Range, as_image, as_images
from ..data.dataset import Image
from ..data.formats.folders import DiskTree
from ..data.layout.listing import some
from ..data.layout.named_files import is_address
from ..data.layout.tree import Branch
from ..data.workers import parallel_map
from ..engine.models import Model, open_model, scorer_of
from ..engine.scorer import Logits, Scorer, at_once
from ..measure.metrics import check_answers, softmax
from ..spec.choices import Engine, Width
from ..spec.errors import UserError

UNKNOWN = "unknown"
Picture = Any  # whatever `as_image` takes: a path, a PIL image, pixels, a tensor


@dataclass(frozen=True)
class Answer:
    """One class and how probable the model holds it; `index` is None for `unknown`."""

    label: str
    index: int | None
    probability: float


@dataclass(frozen=True)
class Prediction:
    """A picture's most probable classes, best first.

    Where the sealed file has a threshold and the best class does not reach it, the first answer is `unknown` with the
    best class's probability, and the classes follow.
    """

    path: str | None  # None for a picture in memory
    predictions: tuple[Answer, ...]
    picture: object = field(default=None, repr=False, compare=False)  # what was given, where that was no path

    def __repr__(self) -> str:
        answers = ", ".join(f"{one.label} {one.probability:.3f}" for one in self.predictions)
        return f"Prediction({self.path or 'a picture'}: {answers})"

    def _repr_html_(self) -> str:
        """For a notebook: the picture, and a bar for each answer."""
        from .shown import as_html

        return as_html(self)

    @property
    def label(self) -> str:
        """The answer."""
        return self.predictions[0].label

    def to_json(self) -> dict[str, Any]:
        """The contract's keys."""
        return {"path": self.path, "predictions": [asdict(answer) for answer in self.predictions]}


@dataclass(frozen=True)
class Unread:
    """A file that has no answer, and why not in one line that begins with its path."""

    path: str
    error: str

    def to_json(self) -> dict[str, Any]:
        """The keys of a `Prediction`, without a class, and `error`."""
        return {"path": self.path, "predictions": [], "error": self.error}


def predict(
    loaded: Model | str | os.PathLike[str],
    images: Picture | Iterable[Picture],
    top: int = 5,
    *,
    precision: Width | None = None,
    batch_size: int = 64,
    device: str | None = None,
    engine: Engine | None = None,
    value_range: Range | None = None,
) -> list[Prediction]:
    """The `top` most probable classes of each picture, in order.

    `loaded` is a model of `reslearn.load`, a run folder or a sealed file. `images` is one picture or many: paths (a
    folder stands for the pictures in it), PIL images, RGB uint8 arrays (H, W, 3) or (N, H, W, 3), tensors (3, H, W) or
    (N, 3, H, W); floats with `value_range`, such as (0, 1). Raises `UserError` naming a file that cannot be read whole,
    and for what is no picture: without a declared range, floats cannot be told from 0..255.
    """
    if not isinstance(loaded, (Model, str, os.PathLike)):
        raise UserError(
            f"a model is a run folder, a sealed file, or what reslearn.load returned; found {type(loaded).__name__}"
        )
    loaded = open_model(loaded) if isinstance(loaded, (str, os.PathLike)) else loaded
    pictures = _with_folders(as_images(images))
    scorer = scorer_of(loaded, engine=engine, precision=precision, device=device, batch_size=batch_size)
    read = partial(as_image, value_range=value_range)
    return [one for one in _answers(loaded, scorer, pictures, top, read) if isinstance(one, Prediction)]


def _with_folders(pictures: Sequence[Picture]) -> list[Picture]:
    """Folders in place of which stand the pictures in them."""
    found: list[Picture] = []
    for picture in pictures:
        folder = isinstance(picture, (str, os.PathLike)) and os.path.isdir(picture)
        found += find_pictures([picture]) if folder else [picture]
    return found


def predict_files(
    loaded: Model,
    paths: Iterable[str | os.PathLike[str]],
    top: int = 5,
    *,
    precision: Width | None = None,
    batch_size: int = 64,
    engine: Engine | None = None,
    workers: int = 0,
) -> list[Prediction | Unread]:
    """`predict` for files of which some may be bad: these are `Unread` in their place, the others are answered.

    `workers` processes decode them.
    """
    scorer = scorer_of(loaded, engine=engine, precision=precision, batch_size=batch_size)
    return _answers(loaded, scorer, list(paths), top, _readable, workers)


def with_threshold(loaded: Model, threshold: float | None) -> Model:
    """`loaded` with another least probability to answer with; None: as it is."""
    if threshold is None:
        return loaded
    if not 0 <= threshold <= 1:
        raise UserError(f"--threshold is {threshold:g}; it must be a probability in 0..1")
    return replace(loaded, bundle=replace(loaded.bundle, threshold=threshold))


def _readable(path: Picture) -> Image | Unread:
    try:
        return as_image(path)
    except UserError as error:
        return Unread(str(path), str(error))


def _answers(
    loaded: Model,
    scorer: Scorer,
    pictures: Sequence[Picture],
    top: int,
    read: Callable[[Picture], Image | Unread],
    workers: int = 0,
) -> list[Prediction | Unread]:
    """What was asked for, as many at a time as are scored at once; `workers` processes read ahead."""
    if top < 1:
        raise UserError(f"top is {top}; it must be at least 1")
    preprocess, answers = loaded.bundle.preprocess, list[Prediction | Unread]()
    step = at_once(scorer.batch_size, preprocess.size, preprocess.size)
    with scorer.ready():  # moved once, not for every batch
        batches = [pictures[start : start + step] for start in range(0, len(pictures), step)]
        for batch, found in zip(batches, parallel_map(_Batch(read), batches, workers), strict=True):
            sound = [image for image in found if not isinstance(image, Unread)]
            logits = predict_batch(scorer, sound) if sound else ()
            rows = iter(softmax(logits, loaded.bundle.temperature or 1.0) if sound else ())
            for picture, one in zip(batch, found, strict=True):
                if not isinstance(one, Unread):
                    path = str(picture) if isinstance(picture, (str, os.PathLike)) else None
                    answers.append(Prediction(path, answer(next(rows), loaded.bundle, top), None if path else picture))
                else:
                    answers.append(one)
    return answers


class _Batch:
    """A batch of pictures to what is read of them; picklable, so that worker processes can have it."""

    def __init__(self, read: Callable[[Picture], Image | Unread]) -> None:
        self._read = read

    def __call__(self, pictures: Sequence[Picture]) -> list[Image | Unread]:
        return [self._read(picture) for picture in pictures]


def predict_batch(scorer: Scorer, images: Sequence[Image]) -> Logits:
    """(N, classes) logits of RGB uint8 pictures of any shapes."""
    logits = scorer.whole(images)
    check_answers(logits, scorer.precision)
    return logits


def answer(probabilities: NDArray[np.float64], bundle: Bundle, top: int) -> tuple[Answer, ...]:
    """One picture's probabilities (classes,) as answers."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    names = bundle.classes
    best = [Answer(names[i] if names else str(i), int(i), float(probabilities[i])) for i in order]
    if bundle.threshold is not None and best[0].probability < bundle.threshold:
        best.insert(0, Answer(UNKNOWN, None, best[0].probability))
    return tuple(best)


def find_pictures(paths: Iterable[str | os.PathLike[str]], *, note: Callable[[str], None] | None = None) -> list[Path]:
    """Files as they are given; a folder stands for the pictures anywhere inside it, sorted, as DATA would read it.

    `note` is told of the files in a folder that are no pictures. Raises `UserError` for a folder without any, and for
    an address.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            if is_address(str(path)) or is_address(os.fspath(path).replace(":/", "://", 1)):
                raise UserError(f"{path}: an address, not a file; download the picture and name the file")
            found.append(path)
            continue
        branch = Branch(DiskTree(str(path)), "")
        if not branch.pictures:
            raise UserError(f"{path}: no pictures in this folder")
        found += sorted(path / name for name in branch.pictures)
        if branch.strays and note is not None:
            note(f"{path}: {len(branch.strays)} file(s) that are no pictures, left out: {some(sorted(branch.strays))}")
    return found
