"""Choices that options, Python and files on disk share, each written once."""

from __future__ import annotations

from typing import Literal

OnBadFile = Literal["stop", "skip"]  # skip: go on without a picture that cannot be read, and list it
Prefer = Literal["plain", "ema"]  # which of the weights in a file that holds both
Combine = Literal["softmax", "logits"]  # what is averaged of several answers: their probabilities, or their logits
Encoding = Literal["original", "raw", "jpeg"]  # how a pack holds pictures: bytes as they are, pixels, or JPEG anew
