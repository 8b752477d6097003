"""Augmentation from elsewhere: a callable on one picture (torchvision's transforms, say), while training alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image as Pictures

from ...spec.errors import UserError
from ..dataset import Dataset, Image
from ..memory import View
from ..table import Reader

Transform = Callable[[Any], Any]


class Transformed(View):
    """`dataset` as `transform` shows it: each picture goes through it every time it is read.

    `transform` is given an RGB `PIL.Image` and returns one, or uint8 of shape (H, W, 3), or a uint8 tensor (3, H, W).
    Its draws are its own, so reading is no longer pure. Raises `UserError` for anything else that it returns.
    """

    def __init__(self, dataset: Dataset, transform: Transform) -> None:
        super().__init__(dataset, splits=dataset.splits)
        self.reader, self.transform = Reader(), transform  # what it shows lies nowhere

    def read(self, i: int) -> tuple[Image, int]:
        """Picture `i` after the transform, and its label."""
        image, label = self.source.read(i)
        return as_picture(self.transform(Pictures.fromarray(image))), label


def as_picture(result: Any) -> Image:
    """What a transform returned, as RGB uint8 (H, W, 3)."""
    if isinstance(result, Pictures.Image):
        return np.asarray(result.convert("RGB"))
    array = np.asarray(result)
    if array.dtype == np.uint8 and array.ndim == 3:
        if array.shape[2] == 3 and isinstance(result, np.ndarray):
            return array
        if array.shape[0] == 3:
            return np.ascontiguousarray(array.transpose(1, 2, 0))
    raise UserError(
        f"the transform returned {type(result).__name__} {array.dtype} {array.shape}; it must return a PIL image, "
        "uint8 (H, W, 3), or a uint8 tensor (3, H, W): leave ToTensor and Normalize out, the network normalises"
    )
