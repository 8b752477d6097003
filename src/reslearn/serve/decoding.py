"""Uploaded bytes to prepared pictures, in threads. Ordinary pictures never wait behind a bomb: what is large or of a
rare kind is decoded apart, one at a time, which bounds the memory of all, too; and what it took is given back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import Image
from ..data.formats.decode import decode_bytes
from ..data.pictures.headers import read_header
from ..data.preprocess import apply
from ..runtime.allocator import trim
from ..runtime.processor import cores
from ..spec.errors import UserError
from ..spec.preprocess import Preprocess

T = TypeVar("T")
LIGHT = 1 << 24  # pixels
SLIM = 32  # times as long as it is wide, at most
HEADER_HERE = 1 << 16  # bytes of a file; the header of a larger one, with all before its pixels, is read in a thread
FREED = 1 << 24  # bytes of decoded pictures after which what threads keep of them goes back to the system
APART = 2.0  # seconds between two such times, at least: getting memory anew costs time, too


class Decoding:
    """Threads that decode; `most` pixels are the largest picture."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._light = ThreadPoolExecutor(cores(), "reslearn decoding")
        self._heavy = ThreadPoolExecutor(1, "reslearn decoding large")
        self._freed, self._gave = 0, time.monotonic()

    async def read(self, raw: bytes, name: str, preprocess: Preprocess) -> Image | str:
        """One picture, uint8 (S, S, 3), or in one line why there is none."""
        light = is_light(raw) if len(raw) <= HEADER_HERE else await self.aside(lambda: is_light(raw))
        return await self.aside(lambda: self._read(raw, name, preprocess), light=light)

    async def prepare(self, image: NDArray[np.uint8], name: str, preprocess: Preprocess) -> Image | str:
        """Pixels (H, W, 3) that came decoded, likewise."""
        return await self.aside(lambda: _prepared(image, name, preprocess), light=_is_ordinary(*image.shape[:2]))

    async def aside(self, work: Callable[[], T], *, light: bool = True) -> T:
        """What would keep the event loop busy, in one of these threads."""
        return await asyncio.get_running_loop().run_in_executor(self._light if light else self._heavy, work)

    def close(self) -> None:
        """Forget what has not begun; waits for nothing."""
        for pool in (self._light, self._heavy):
            pool.shutdown(wait=False, cancel_futures=True)

    def _read(self, raw: bytes, name: str, preprocess: Preprocess) -> Image | str:
        try:
            image = decode_bytes(raw, name, self._most)
            self._freed += image.nbytes
            prepared = _prepared(image, name, preprocess)
            del image
            self._give_back()
            return prepared
        except UserError as error:
            return str(error)
        except MemoryError:
            return f"{name}: there is no memory for a picture of this size; resize it"

    def _give_back(self) -> None:
        """Let the system have what was freed, where that is much."""
        now = time.monotonic()
        if self._freed >= FREED and now - self._gave >= APART:
            self._freed, self._gave = 0, now
            trim()


def is_light(raw: bytes) -> bool:
    """Whether this is a JPEG or PNG of ordinary size, by its header."""
    header = read_header(raw)
    return header is not None and _is_ordinary(header.height, header.width)


def _is_ordinary(height: int, width: int) -> bool:
    short, long = sorted((height, width))
    return 0 < short * long <= LIGHT and long <= SLIM * short


def _prepared(image: NDArray[np.uint8], name: str, preprocess: Preprocess) -> Image | str:
    try:
        return apply(image, preprocess)
    except UserError as error:
        return f"{name}: {error}"
