"""A closer look at one evaluated split: mix-ups, classes, calibration, and the pictures worth seeing."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from ...bundle.header import Bundle
from ...data.dataset import Dataset, Image, Indices
from ...measure.calibration import reliability
from ...measure.classes import names_of
from ...measure.confusion import class_scores, confusion_matrix, most_confused
from ...measure.evaluation import Evaluation
from ...measure.metrics import softmax
from ...report.values import Bins, ClassRow, Details, Picture

Heats = Callable[[Dataset, Indices, Indices], list[bytes]]  # pictures, which of them, classes -> picture files

SHOTS = 12  # pictures per gallery
PAIRS = 8
SMALL = 96  # pixels; pictures up to this are kept exactly, larger ones become thumbnails
THUMBNAIL = 240


def look_inside(
    evaluation: Evaluation, pictures: Dataset, bundle: Bundle, split: str, *, heats: Heats | None = None
) -> Details:
    """What the report shows of `pictures`, which `evaluation` scored in their order with the net of `bundle`.

    `heats` draws where the most confident mistakes speak for what was said of them.
    """
    logits, labels = evaluation.logits, evaluation.labels
    names = names_of(bundle.classes, logits.shape[1])
    temperature = bundle.temperature or 1.0
    confusion = confusion_matrix(logits, labels)
    scores = class_scores(confusion)
    bins = reliability(logits, labels, temperature=temperature)
    probabilities = softmax(logits, temperature)
    own = probabilities[np.arange(len(labels)), labels]
    said = probabilities.argmax(axis=1)
    sure_first = np.argsort(-probabilities.max(axis=1), kind="stable")

    def shots(order: Iterable[int]) -> tuple[Picture, ...]:
        return tuple(picture_of(pictures, i, probabilities[i], int(labels[i]), names) for i in order)

    def with_heat(shown: tuple[Picture, ...], order: Indices) -> tuple[Picture, ...]:
        drawn = [] if heats is None or not len(order) else heats(pictures, order, said[order])
        return tuple(replace(one, heat=heat) for one, heat in zip(shown, drawn, strict=True)) if drawn else shown

    mistakes = sure_first[said[sure_first] != labels[sure_first]][:SHOTS]
    hardest = np.argsort(own, kind="stable")
    hardest = hardest[~np.isin(hardest, mistakes)][:SHOTS]  # the most confident mistakes are shown already
    return Details(
        split=split,
        confusion=confusion,
        classes=names,
        per_class=tuple(
            ClassRow(
                name=name,
                support=int(scores.support[c]),
                precision=float(scores.precision[c]) if confusion[:, c].any() else np.nan,
                recall=float(scores.recall[c]) if scores.support[c] else np.nan,
                f1=float(scores.f1[c]) if scores.seen[c] else np.nan,
            )
            for c, name in enumerate(names)
        ),
        macro_f1=scores.average("macro")["f1"],
        weighted_f1=scores.average("weighted")["f1"],
        confused=most_confused(confusion, names, PAIRS),
        bins=Bins(confidence=bins.confidence, accuracy=bins.accuracy, count=bins.count),
        ece=bins.ece,
        plain_ece=reliability(logits, labels).ece,
        temperature=temperature,
        mistakes=with_heat(shots(mistakes), mistakes),
        hardest=shots(hardest),
    )


def ece_note(part: Details) -> str:
    """What a calibration error at temperature 1 is of, and what it is at the model's own."""
    return "ECE, 15 bins" + ("" if part.temperature == 1 else f"; {part.ece:.3f} at temperature {part.temperature:.2f}")


def picture_of(
    pictures: Dataset, i: int, probabilities: NDArray[np.float64], label: int, names: tuple[str, ...]
) -> Picture:
    """The card of picture `i`, given its probabilities (C,) and its true class; `names` are the network's classes."""
    image, _ = pictures.read(int(i))
    data, width, height = encode(image)
    said = int(probabilities.argmax())
    return Picture(
        data=data,
        width=width,
        height=height,
        truth=names[label],
        predicted=names[said],
        probability=float(probabilities[said]),
        truth_probability=float(probabilities[label]),
        name=pictures.ids[int(i)],
    )


def encode(image: Image) -> tuple[bytes, int, int]:
    """An RGB picture (H, W, 3) for a page, its width and height: a small one exactly, a larger one as a thumbnail."""
    picture = Pillow.fromarray(np.ascontiguousarray(image))
    small = max(picture.size) <= SMALL
    if not small:
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    if small:
        picture.save(buffer, "PNG", optimize=True)
    else:
        picture.save(buffer, "JPEG", quality=82)
    return buffer.getvalue(), picture.width, picture.height
