"""A whole picture of a kind that is not read: neither damaged nor no picture."""

from __future__ import annotations


class Unread(Exception):
    """`what` the picture is and what would be right; the door adds the file's name."""

    def __init__(self, what: str, remedy: str = "convert it to 8 or 16 bits grey or RGB") -> None:
        super().__init__(f"{what} is not read; {remedy}")
