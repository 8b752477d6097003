"""Which characters the bytes of a text file mean: the one place that decides it, for tables, lists and labels.

UTF-8, UTF-16 and UTF-32 with or without a byte order mark; else Latin-1 (as Windows writes it) or Korean CP949 where
the bytes leave no doubt. Anything else is refused: a wrong guess would rename classes in silence.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from dataclasses import dataclass

from ...runtime.opening import read_document
from ...spec.errors import UserError

_MARKS = (  # UTF-32's little-endian mark begins as UTF-16's does
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_HIGH = re.compile(rb"[\x80-\xff]+")
_KOREAN = re.compile(rb"(?:[\xb0-\xc8][\xa1-\xfe])+")  # the Hangul of EUC-KR: what Korean text mostly is


@dataclass(frozen=True)
class Text:
    """Decoded text; `note` is a line for people where its characters were guessed."""

    text: str
    note: str = ""


def decode_text(raw: bytes, where: str) -> Text:
    """The text of `raw`, without a mark. Raises `UserError` naming `where` if its characters are uncertain."""
    for mark, charset in _MARKS:
        if raw.startswith(mark):
            return Text(_strict(raw[len(mark) :], charset, where))
    if raw.startswith((b"PK", b"\x1f\x8b")):
        raise UserError(f"{where}: not a text file (zip, Excel or gzip); unpack it, or save it as CSV")
    if b"\0" in raw:
        # UTF-16 without a mark: separators and line ends are ASCII, whose zero byte comes second in little-endian
        wide = "utf-16-le" if raw[1::2].count(0) >= raw[::2].count(0) else "utf-16-be"
        return Text(_strict(raw, wide, where))
    try:
        return Text(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return _one_byte(raw, where)


def text_file(path: str) -> Text:
    """`decode_text` of a whole file. Raises `UserError` where it cannot be read."""
    try:
        raw = read_document(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    return decode_text(raw, path)


def _strict(raw: bytes, charset: str, where: str) -> str:
    try:
        text = raw.decode(charset)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{where}: damaged {charset} text ({error.reason} at byte {error.start}); save it anew"
        ) from None
    if "\0" in text:
        raise UserError(f"{where}: not a text file (it holds zero bytes); give a CSV, TSV or list as UTF-8 text")
    return text


def _one_byte(raw: bytes, where: str) -> Text:
    """Bytes that are no UTF-8. Long runs of high bytes are another script's code page, of which there are many."""
    runs = _HIGH.findall(raw)
    with contextlib.suppress(UnicodeDecodeError):
        if sum(_KOREAN.fullmatch(run) is not None for run in runs) > len(runs) / 2:
            text = raw.decode("cp949")
            if all(char.isascii() or "\uac00" <= char <= "\ud7a3" for char in text):  # Chinese would have others too
                return _guessed(text, "Korean CP949", where)
    with contextlib.suppress(UnicodeDecodeError):
        if max(map(len, runs)) <= 2:
            windows = any(0x80 <= byte < 0xA0 for run in runs for byte in run)
            return _guessed(raw.decode("cp1252" if windows else "latin-1"), "Latin-1", where)
    raise UserError(f"{where}: neither UTF-8, UTF-16 nor surely Latin-1 or Korean CP949; save it as UTF-8")


def _guessed(text: str, name: str, where: str) -> Text:
    example = next((word for word in re.split(r"[\s,;]+", text) if not word.isascii()), "")
    return Text(text, f"{where}: not UTF-8, read as {name} ('{example}'); save it as UTF-8 if that is wrong")
