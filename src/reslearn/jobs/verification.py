"""`verify`: an exported file beside the sealed file it was made of, on real pictures, on every engine."""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from ..bundle.file import Loaded, load
from ..data.dataset import Dataset, Image, Indices
from ..engine.exported import Exported, open_exported
from ..engine.graphs import GraphScorer
from ..engine.models import graph_scorer
from ..engine.needs import OF_ENGINE, installed
from ..measure.agreement import Agreement, Comparison, seeded_pictures
from ..measure.classes import class_map
from ..measure.evaluate import chosen_part
from ..measure.lookout import Lookout
from ..runtime.notes import note
from ..spec.choices import Engine
from ..spec.errors import UserError
from ..spec.seen import Seen
from .unlabelled import open_pictures

CHUNK = 64  # pictures read at once


def verify_files(
    exported: str | os.PathLike[str],
    model: str | os.PathLike[str],
    data: Dataset | str | os.PathLike[str],
    *,
    split: str | None = None,
    engine: Engine | None = None,
) -> list[Agreement]:
    """A row for each engine that the file is right on and that is installed, or for `engine` alone.

    Without `split`, `test` where the data declares one, all of it where it declares none; pictures need no labels.
    Raises `UserError` for files that are not a sealed one and an export of it, or not of the same number of classes.
    """
    opened, loaded = open_exported(exported), load(model)
    if opened.graph.made_of_sha256 != loaded.bundle.sha256:
        if opened.bundle.num_classes != loaded.bundle.num_classes:
            raise UserError(
                f"{exported}: made of {opened.graph.made_of}, which has other classes than {model}; name that one"
            )
        note(f"{exported}: made of {opened.graph.made_of}, not of this {model}")
    return verified_on(opened, loaded, chosen_part(open_pictures(data), split), engine=engine)


def verified_on(
    exported: Exported, loaded: Loaded, pictures: Dataset, *, engine: Engine | None = None
) -> list[Agreement]:
    """The rows of `verify_files` for opened files, on all of `pictures`."""
    if not len(pictures):
        raise UserError(f"{pictures.path or 'the data'}: no pictures to verify on")
    lookout = Lookout(pictures, [exported.known])
    lookout.before()
    comparison = Comparison(exported, loaded, scorers_of(exported, engine))
    labels = labels_of(exported, pictures)
    for start in range(0, len(pictures), CHUNK):
        places = np.arange(start, min(start + CHUNK, len(pictures)))
        read = [lookout.pictures.read(int(i))[0] for i in places]
        for some in of_one_shape(read):
            comparison.add([read[i] for i in some], None if labels is None else labels[places[some]])
    lookout.after()
    return comparison.rows(lookout.seen(exported.known))


def of_one_shape(pictures: Sequence[Image]) -> Iterable[Indices]:
    """The places of pictures of one shape, for each shape: a graph that prepares pictures takes a batch of one."""
    places: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i, picture in enumerate(pictures):
        places[picture.shape].append(i)
    return [np.array(some) for some in places.values()]


def verified_on_seeded(exported: Exported, loaded: Loaded, *, engine: Engine | None = None) -> list[Agreement]:
    """The rows on made-up pictures, which no one has seen and nobody has to have."""
    comparison = Comparison(exported, loaded, scorers_of(exported, engine))
    for batch in seeded_pictures(exported.graph.size):
        comparison.add(batch)
    return comparison.rows(Seen(0, 0, "content"))


def scorers_of(exported: Exported, engine: Engine | None = None) -> list[GraphScorer]:
    """A scorer of each engine that is right and installed, or of `engine`. Raises `UserError` where there is none."""
    right = exported.graph.engines
    engines = (engine,) if engine else tuple(one for one in right if all(map(installed, OF_ENGINE[one])))
    if not engines:
        raise UserError(f"{exported.path}: none of its engines is installed; run: pip install {' or '.join(right)}")
    return [graph_scorer(exported, one) for one in engines]


def labels_of(exported: Exported, pictures: Dataset) -> Indices | None:
    """The pictures' classes as the network counts them; None where they have none or other ones."""
    bundle = exported.bundle
    if not pictures.classes:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return class_map(bundle.classes, pictures.classes, bundle.num_classes)[pictures.labels]
    except UserError:
        return None
