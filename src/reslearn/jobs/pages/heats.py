"""Heat over the pictures of a report: where a network found the class that it named."""

from __future__ import annotations

import torch

from ...bundle.file import Loaded
from ...data.dataset import Dataset, Indices
from ...data.preprocess import apply, to_batch
from ...engine.models import Model
from ...engine.scorer import TorchScorer
from ...interpret.class_maps import class_maps, map_plan
from ...report.heat import heat_of, overlay
from .details import Heats


def heats_of(model: Model) -> Heats | None:
    """What draws heat for `look_inside`; None for an exported file, whose network has no layers to look at."""
    if not isinstance(model, Loaded):
        return None

    def heats(pictures: Dataset, places: Indices, classes: Indices) -> list[bytes]:
        preprocess = model.bundle.preprocess
        images = [apply(pictures.read(int(i))[0], preprocess) for i in places]
        plan = map_plan(model.net, preprocess.size)
        maps = class_maps(TorchScorer(model.net, model.normalise), plan, to_batch(images), torch.as_tensor(classes))
        return [overlay(image, heat_of(map_.numpy())) for image, map_ in zip(images, maps, strict=True)]

    return heats
