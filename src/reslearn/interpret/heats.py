"""Heat for whoever shows answers as they come: small maps of prepared pictures, 0..1, ready to be sent as numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..bundle.file import Loaded
from ..data.dataset import Image
from ..data.preprocess import to_batch
from ..engine.exported import CAM
from ..engine.graphs import GraphScorer
from ..engine.models import Model
from ..engine.scorer import Scorer, TorchScorer
from ..spec.errors import UserError
from .class_maps import class_maps, map_plan

MOST = 28  # places a side
Rows = list[list[float]]


class Heats:
    """Draws heat of one opened model; threads may share it.

    A sealed file's network of torch draws it, whatever engine gives the answers; of an exported file, its own output
    `cam`. Raises `UserError` for an exported file without one.
    """

    def __init__(self, model: Model, scorer: Scorer) -> None:
        """`scorer` is what answers with `model`."""
        self._scorer: TorchScorer | GraphScorer
        if isinstance(model, Loaded):
            self._scorer = TorchScorer(model.net, model.normalise)
            self._plan = map_plan(model.net, model.bundle.preprocess.size)
        elif CAM in model.graph.outputs and isinstance(scorer, GraphScorer):
            self._scorer = scorer
        else:
            raise UserError("this exported file has no class maps; export it with --cam, or serve the sealed file")

    def __call__(self, images: Sequence[Image], classes: Sequence[int]) -> list[Rows]:
        """For each prepared picture, uint8 (S, S, 3), rows of heat in 0..1 where it speaks for its class."""
        batch, wanted = to_batch(list(images)), torch.tensor(list(classes))
        if isinstance(self._scorer, TorchScorer):
            maps = class_maps(self._scorer, self._plan, batch, wanted)
        else:
            found = self._scorer.outputs(self._scorer.taken(batch))[CAM]
            maps = torch.from_numpy(np.ascontiguousarray(found[np.arange(len(found)), wanted.numpy()])).float()
        return [_rows(one) for one in maps]


def _rows(map_: Tensor) -> Rows:
    positive = map_.relu()
    if max(positive.shape) > MOST:
        positive = F.adaptive_avg_pool2d(positive[None], MOST)[0]
    largest = float(positive.max())
    scaled = positive / largest if largest > 0 else positive
    return [[round(value, 3) for value in row] for row in scaled.tolist()]
