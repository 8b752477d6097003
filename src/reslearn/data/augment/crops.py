"""Training crops of whole pictures of any size: random resized crops, and the paper's random scale with random crop.

The draws of a batch are made in one call; only cutting and resizing goes picture by picture.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from ...runtime.random import uniform
from ...spec.recipe import Augment
from ..dataset import Image, Indices
from ..preprocess import resize

ATTEMPTS = 10  # torchvision's and fb.resnet.torch's, before falling back to the centre
Box = tuple[int, int, int, int]  # top, left, height, width in source pixels


def cut_batch(images: list[Image], positions: Indices, augment: Augment, seed: int, size: int) -> list[Image]:
    """Pictures of any size to uint8 (size, size, 3), by `augment.crop` (`random-resized` or `scale`)."""
    if augment.crop == "scale":
        draws = uniform(seed, "scale-crop", positions, 3)
        return [scale_crop(image, d, augment, size) for image, d in zip(images, draws, strict=True)]
    draws = uniform(seed, "resized-crop", positions, 4 * ATTEMPTS)
    return [
        cut_box(image, random_resized_box(image.shape[0], image.shape[1], d, augment), size, augment)
        for image, d in zip(images, draws, strict=True)
    ]


def random_resized_box(height: int, width: int, draws: NDArray[np.float64], augment: Augment) -> Box:
    """A box of drawn area share and log-uniform aspect ratio (GoogLeNet's crop); the first that fits of 10 attempts.

    `draws` are (40,) uniform numbers. If none fits: the largest central box with a ratio inside the limits.
    """
    share, aspect, y, x = draws.reshape(ATTEMPTS, 4).T
    area = height * width * (augment.area[0] + share * (augment.area[1] - augment.area[0]))
    low, high = math.log(augment.ratio[0]), math.log(augment.ratio[1])
    ratio = np.exp(low + aspect * (high - low))
    w = np.round(np.sqrt(area * ratio)).astype(int)
    h = np.round(np.sqrt(area / ratio)).astype(int)
    good = np.flatnonzero((w > 0) & (w <= width) & (h > 0) & (h <= height))
    if len(good):
        k = good[0]
        return int(y[k] * (height - h[k] + 1)), int(x[k] * (width - w[k] + 1)), int(h[k]), int(w[k])
    if width < augment.ratio[0] * height:
        box_h, box_w = max(round(width / augment.ratio[0]), 1), width
    elif width > augment.ratio[1] * height:
        box_h, box_w = height, max(round(height * augment.ratio[1]), 1)
    else:
        box_h, box_w = height, width
    return (height - box_h) // 2, (width - box_w) // 2, box_h, box_w


def scale_crop(image: Image, draws: NDArray[np.float64], augment: Augment, size: int) -> Image:
    """The paper's crop (1512.03385 section 3.4): shorter side drawn from [256, 480], then a random size x size.

    Computed as one resize of the source box that the crop comes from, so nothing outside it is resampled.
    """
    height, width = image.shape[:2]
    low, high = augment.scale
    short = max(low + int(draws[0] * (high - low + 1)), size)
    factor = min(height, width) / short  # source pixels per output pixel
    h, w = max(round(height / factor), size), max(round(width / factor), size)
    top, left = int(draws[1] * (h - size + 1)), int(draws[2] * (w - size + 1))
    if augment.resize == "antialias":
        return np.ascontiguousarray(resize(image, h, w)[top : top + size, left : left + size])
    fy, fx = height / h, width / w
    box = (int(top * fy), int(left * fx), max(round(size * fy), 1), max(round(size * fx), 1))
    return cut_box(image, box, size, augment)


def cut_box(image: Image, box: Box, size: int, augment: Augment) -> Image:
    """The box of a picture resized to uint8 (size, size, 3), as `augment.resize` says."""
    top, left, height, width = box
    part = image[top : top + height, left : left + width]
    if augment.resize == "aliased":
        return np.asarray(cv2.resize(part, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    return resize(part, size, size)
