"""Numbers of bytes as people write them."""

from __future__ import annotations

import re

from .errors import UserError

_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?(?:([kmgt])(i?))?b?", re.ASCII | re.IGNORECASE)


def parse_size(text: str, what: str, example: str) -> int:
    """Bytes of `16MiB` (powers of 1,024), `20GB`, `500k` (powers of 1,000), `1048576`.

    Raises `UserError`, which names `what` (an option) and an `example`, for other text and for nothing at all.
    """
    found = _SIZE.fullmatch(text.strip())
    size = 0
    if found is not None:
        number, letter, binary = found.groups()
        size = int(float(number) * (1024 if binary else 1000) ** ("kmgt".index(letter.lower()) + 1 if letter else 0))
    if size < 1:
        raise UserError(f"{what} is {text!r}; it must be a size such as {example}")
    return size
