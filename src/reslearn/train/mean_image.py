"""P1's input: the mean image of the training set, subtracted. It is kept beside `run.json`, whose hash of it binds."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import safetensors.torch
import torch

from ..data.dataset import Dataset
from ..data.loaders import readable
from ..data.statistics import mean_image
from ..runtime.container import read_safetensors
from ..runtime.files import write_atomic
from ..spec.choices import OnBadFile
from ..spec.errors import UserError
from ..spec.preprocess import Preprocess
from ..spec.recipe import Recipe
from .records.run import RunRecord


def with_mean_image(
    recipe: Recipe,
    preprocess: Preprocess,
    data: Dataset,
    on_bad_file: OnBadFile,
    adopted: torch.Tensor | None = None,
) -> tuple[Preprocess, torch.Tensor | None]:
    """P1's input where the recipe asks for it: the per-pixel mean of the training set, subtracted, no division.

    `adopted` is the mean image of the weights that a run starts from, where its preprocessing names it.
    """
    if recipe.input_mean != "pixel":
        if preprocess.mean_image is not None and adopted is None:
            raise UserError("preprocess names a mean image, which comes with weights alone; give those, or none")
        return preprocess, adopted if preprocess.mean_image is not None else None
    mean, digest = mean_image(readable(data)[0] if on_bad_file == "skip" else data, preprocess)
    return replace(preprocess, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), mean_image=digest), mean


def save_mean_image(folder: Path, mean: torch.Tensor) -> None:
    """Keep the mean image beside `run.json`, for a resume."""
    write_atomic(folder / "mean_image.safetensors", safetensors.torch.save({"mean": mean}))


def load_mean_image(folder: Path, record: RunRecord) -> torch.Tensor | None:
    """The mean image of a run, checked against the hash in `run.json`."""
    if record.preprocess.mean_image is None:
        return None
    path = folder / "mean_image.safetensors"
    if not path.exists():
        raise UserError(f"{path}: gone, and the run needs it; train anew with --overwrite")
    mean = safetensors.torch.load(read_safetensors(path)[0])["mean"]
    if hashlib.sha256(mean.numpy().tobytes()).hexdigest() != record.preprocess.mean_image:
        raise UserError(f"{path}: altered since the run began; train anew with --overwrite")
    return mean
