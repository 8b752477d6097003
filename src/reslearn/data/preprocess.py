"""Applies `spec.preprocess`: resize and crop on uint8, then mean and std. Every path (training, evaluation, predict,
serving) comes through `apply` and `Normalise`, so they cannot disagree."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..spec.errors import UserError
from ..spec.preprocess import Preprocess
from .dataset import Image

MOST = 1 << 27  # pixels that a picture may have between resizing and cutting: 0.4 GB


def apply(image: Image, preprocess: Preprocess) -> Image:
    """RGB uint8 (H, W, 3) of any size to uint8 (size, size, 3): resized with antialiasing and cropped or padded."""
    height, width = image.shape[:2]
    size = preprocess.size
    if preprocess.mode == "squash":
        return resize(image, size, size, preprocess.interpolation)
    if preprocess.mode == "crop":
        return centre_crop(uncropped(image, preprocess), size)
    h, w = _scaled(height, width, size / max(height, width))
    out = np.empty((size, size, 3), np.uint8)
    out[:] = np.round(np.asarray(preprocess.mean) * 255).astype(np.uint8)
    top, left = (size - h) // 2, (size - w) // 2
    out[top : top + h, left : left + w] = resize(image, h, w, preprocess.interpolation)
    return out


def uncropped(image: Image, preprocess: Preprocess) -> Image:
    """What mode `crop` cuts its centre from: the whole picture, its shorter side `resize` pixels.

    Raises `UserError` for a strip that would come to be of more than `MOST` pixels.
    """
    height, width = image.shape[:2]
    h, w = _scaled(height, width, preprocess.resize / min(height, width))
    if h * w > MOST:  # a strip of a few pixels' height, which grows with it
        raise UserError(
            f"a picture of {width}x{height} would be enlarged to {w}x{h} pixels before its centre is cut out; "
            "crop it to what is to be seen"
        )
    return resize(image, h, w, preprocess.interpolation)


def _scaled(height: int, width: int, factor: float) -> tuple[int, int]:
    # The side that gave the factor comes out exact; the other is cut down as torchvision does.
    return max(int(height * factor + 1e-6), 1), max(int(width * factor + 1e-6), 1)


def resize(image: Image, height: int, width: int, interpolation: Literal["bilinear", "bicubic"] = "bilinear") -> Image:
    """Antialiased resize of uint8 (H, W, 3), within 0.05 grey levels of Pillow's on average."""
    if image.shape[:2] == (height, width):
        return image
    image = np.ascontiguousarray(image)
    if not image.flags.writeable:
        image = image.copy()  # torch wants memory it may write to, though nothing here does
    x = torch.from_numpy(image)[None].permute(0, 3, 1, 2)  # in this order torch sees channels_last: twice as fast
    y = interpolate(x, size=(height, width), mode=interpolation, antialias=True, align_corners=False)
    return np.ascontiguousarray(y.permute(0, 2, 3, 1)[0].numpy())


def centre_crop(image: Image, size: int) -> Image:
    """The centre `size` x `size` (a view), rounded to the pixel as torchvision rounds it."""
    top, left = round((image.shape[0] - size) / 2), round((image.shape[1] - size) / 2)
    return image[top : top + size, left : left + size]


class Normalise(nn.Module):
    """uint8 (B, 3, H, W) to `dtype` (B, 3, H, W): pixels in 0..1 minus `mean`, divided by `std`.

    `mean_image`, float (3, S, S) in 0..1, is the paper's per-pixel mean and takes the place of the channel mean; from
    pictures of any other shape its mean colour is subtracted. The memory format (contiguous or channels_last) is kept.
    The only place where mean and std are applied. Raises `UserError` where a mean image is named and none is given.
    """

    scale: Tensor  # (3, 1, 1)
    shift: Tensor  # (3, 1, 1), or (3, S, S) of a mean image
    colour: Tensor  # (3, 1, 1), the shift of pictures that are not S x S

    def __init__(
        self, preprocess: Preprocess, mean_image: Tensor | None = None, *, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        if preprocess.mean_image is not None and mean_image is None:
            raise UserError("this preprocessing subtracts a per-pixel mean image; its tensor is missing")
        self.preprocess, self.mean_image, self.dtype = preprocess, mean_image, dtype
        std = torch.tensor(preprocess.std, dtype=torch.float64).view(-1, 1, 1)
        mean = colour = torch.tensor(preprocess.mean, dtype=torch.float64).view(-1, 1, 1)
        if mean_image is not None:
            mean, colour = mean_image.cpu().double(), mean_image.cpu().mean((1, 2), keepdim=True).double()
        for name, value in (("scale", 1 / (255 * std)), ("shift", mean / std), ("colour", colour / std)):
            self.register_buffer(name, value.to(dtype), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        shape, x = images.shape, images.to(self.dtype)
        scale, shift = self.scale, self.shift if self.shift.shape[1:] == shape[2:] else self.colour
        if x.is_contiguous():
            return x.mul_(scale).sub_(shift)
        # channels_last: constants tiled to one flat row, because an inner loop over 3 channels is six times slower
        rows = x.permute(0, 2, 3, 1).reshape(shape[0], -1)
        scale, shift = (v.expand(shape[1:]).permute(1, 2, 0).reshape(-1) for v in (scale, shift))
        rows = rows.mul_(scale).sub_(shift)
        return rows.view(shape[0], shape[2], shape[3], shape[1]).permute(0, 3, 1, 2)


def to_batch(images: list[Image]) -> Tensor:
    """Equal-sized uint8 (S, S, 3) pictures to one uint8 tensor (B, 3, S, S), in channels_last memory (no transpose)."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
