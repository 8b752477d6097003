"""What is in these pictures? Files or arrays through the sealed model's own preprocessing, in fp32 unless told else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle.header import Bundle
from ..data.dataset import Image
from ..data.formats.decode import NotAPicture, decode_bytes, formats, read_bytes
from ..data.formats.folders import DiskTree
from ..data.layout.listing import some
from ..data.layout.named_files import is_address
from ..data.layout.tree import Branch
from ..engine.models import Model, scorer_of
from ..engine.scorer import Logits, Scorer, at_once
from ..measure.metrics import check_answers, softmax
from ..spec.choices import Engine, Width
from ..spec.errors import UserError

UNKNOWN = "unknown"
Picture = str | os.PathLike[str] | Image


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

    path: str | None  # None for an array
    predictions: tuple[Answer, ...]

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
    loaded: Model,
    images: Picture | Iterable[Picture],
    top: int = 5,
    *,
    precision: Width | None = None,
    batch_size: int = 64,
    device: str | None = None,
    engine: Engine | None = None,
) -> list[Prediction]:
    """The `top` most probable classes of each picture, in order.

    A picture is a file's path or an RGB uint8 array (H, W, 3). Raises `UserError` naming a file that cannot be read
    whole, and for an array of any other kind: without a declared range, floats cannot be told from 0..255.
    """
    pictures = [images] if isinstance(images, (str, os.PathLike, np.ndarray)) else list(images)
    scorer = scorer_of(loaded, engine=engine, precision=precision, device=device, batch_size=batch_size)
    return [one for one in _answers(loaded, scorer, pictures, top, read_picture) if isinstance(one, Prediction)]


def predict_files(
    loaded: Model,
    paths: Iterable[str | os.PathLike[str]],
    top: int = 5,
    *,
    precision: Width | None = None,
    batch_size: int = 64,
    engine: Engine | None = None,
) -> list[Prediction | Unread]:
    """`predict` for files of which some may be bad: these are `Unread` in their place, the others are answered."""
    scorer = scorer_of(loaded, engine=engine, precision=precision, batch_size=batch_size)
    return _answers(loaded, scorer, list(paths), top, _readable)


def _readable(path: Picture) -> Image | Unread:
    try:
        return read_picture(path)
    except UserError as error:
        return Unread(str(path), str(error))


def _answers(
    loaded: Model, scorer: Scorer, pictures: Sequence[Picture], top: int, read: Callable[[Picture], Image | Unread]
) -> list[Prediction | Unread]:
    """What was asked for, as many at a time as are scored at once."""
    if top < 1:
        raise UserError(f"top is {top}; it must be at least 1")
    preprocess, answers = loaded.bundle.preprocess, list[Prediction | Unread]()
    step = at_once(scorer.batch_size, preprocess.size, preprocess.size)
    with scorer.ready():  # moved once, not for every batch
        for start in range(0, len(pictures), step):
            batch = pictures[start : start + step]
            found = [read(picture) for picture in batch]
            sound = [image for image in found if not isinstance(image, Unread)]
            logits = predict_batch(scorer, sound) if sound else ()
            rows = iter(softmax(logits, loaded.bundle.temperature or 1.0) if sound else ())
            for picture, one in zip(batch, found, strict=True):
                if not isinstance(one, Unread):
                    path = None if isinstance(picture, np.ndarray) else str(picture)
                    answers.append(Prediction(path, answer(next(rows), loaded.bundle, top)))
                else:
                    answers.append(one)
    return answers


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


def read_picture(picture: Picture) -> Image:
    """An RGB uint8 picture from a file's path or an array."""
    if isinstance(picture, (str, os.PathLike)):
        raw = read_bytes(str(picture))
        if not raw:
            raise UserError(f"{picture}: the file is empty (0 bytes), no picture")
        try:
            return decode_bytes(raw, str(picture))
        except NotAPicture:  # its owner may well want to keep it
            raise UserError(f"{picture}: not a picture in a format that is read: {', '.join(formats())}") from None
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        found = f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
        raise UserError(f"a picture is a path or an RGB uint8 array (height, width, 3); found {found}")
    return picture


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
