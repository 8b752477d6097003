"""What reaches a terminal: no credentials of an address, and nothing else left out."""

from __future__ import annotations

import pytest

from reslearn.spec.text import shown


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("on s3://ID:SECRET@bucket/x with demo", "on s3://...@bucket/x with demo"),
        ("s3://b/x?key=ID&secret=SECRET#cache=2GB", "s3://b/x?key=...&secret=...#cache=2GB"),
        ("s3://b/x#aws_secret_access_key=SECRET", "s3://b/x#aws_secret_access_key=..."),
        ("'https://h/x?X-Amz-Signature=SECRET'\n", "'https://h/x?X-Amz-Signature=...'\\n"),
        ("https://h/w.pth#sha256=00ff", "https://h/w.pth#sha256=00ff"),
        ("https://h/x?monkey=1&width=9 me@host", "https://h/x?monkey=1&width=9 me@host"),
        ("cat\tdog t.csv#key=species", "cat\\tdog t.csv#key=species"),
    ],
)
def test_credentials_of_an_address_are_not_shown(text, told):
    assert shown(text) == told
