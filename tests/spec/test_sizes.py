"""Numbers of bytes as people write them."""

from __future__ import annotations

import pytest

from reslearn.spec.errors import UserError
from reslearn.spec.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("16MiB", 16 << 20), ("500kB", 500_000), ("1 GiB", 1 << 30), ("77", 77), ("1.5kib", 1536), ("9b", 9),
        ("20G", 20 * 10**9), (" 1tb ", 10**12), ("2Ki", 2048),
    ],
)  # fmt: skip
def test_sizes(text, size):
    assert parse_size(text, "--size", "20GB") == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1e6", "0x10", "1 2", "0", "0.1", "1iB", "many", "\u0661", "1PB"])
def test_what_is_none(text):
    with pytest.raises(UserError, match=r"^--size is .* such as 20GB$"):
        parse_size(text, "--size", "20GB")
