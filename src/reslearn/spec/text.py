"""Text from outside as it is shown to people: names of files, classes and models may hold anything at all."""

from __future__ import annotations

import re

from .credentials import masked

# Control characters (C0, DEL, C1), the line and paragraph separators, and those that turn the direction of writing.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def shown(text: str) -> str:
    """`text` as one line that does nothing to a terminal: what would is escaped as in Python, \\n, \\x1b, \\u2028.

    The credentials of an address are left out: a terminal's words end up in logs.
    """
    return _UNSEEN.sub(lambda found: _escaped(found.group()), masked(text))


def counted(number: int, what: str, *, several: str = "") -> str:
    """`1 picture`, `2,000 pictures`; `several` is the plural where no s makes it, such as `classes`."""
    return f"{number:,} {what if number == 1 else several or f'{what}s'}"


def is_text(text: str) -> bool:
    """Whether bytes can be `text`: JSON can write half of a character, which no file or name holds."""
    try:
        text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def utf8(text: str) -> str:
    """`text`, what UTF-8 cannot hold of an odd file name being escaped as in Python, \\udce9."""
    return text.encode(errors="backslashreplace").decode()


def shown_json(text: str) -> str:
    """JSON text of one line likewise; the escapes are JSON's own, so every reader reads the same."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def _escaped(character: str) -> str:
    code = ord(character)
    return _NAMED.get(character, f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
