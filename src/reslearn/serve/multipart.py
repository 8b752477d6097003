"""The pictures of a request's body: a form's files, or the one that the body is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from .refusals import Refused

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

RAW = ("application/octet-stream", "binary/octet-stream")
LONGEST = 1000  # characters of a Content-Type; a boundary has 70 at most
_HOW = "send a form with files (curl -F file=@cat.jpg), or one picture as the body with Content-Type: image/jpeg"


@dataclass(frozen=True)
class Upload:
    """The bytes of one picture, and what its sender calls it."""

    name: str | None
    content: bytes

    @property
    def said(self) -> str:
        """How a line about it begins."""
        return self.name or "the picture"


def uploads(content_type: str | None, body: bytes, most: int) -> list[Upload]:
    """The pictures of a body, in order, at most `most`.

    Raises `Refused`: 400 for a form that is broken or holds no file, 413 for more pictures, 415 for another type, 422
    for a field that is no file.
    """
    if len(content_type or "") > LONGEST:
        raise Refused(400, f"Content-Type has over {LONGEST} characters; {_HOW}")
    kind, options = parse_options_header(content_type or RAW[0])
    told = kind.decode("latin-1").strip().lower()
    if told == "multipart/form-data":
        found = _form(options.get(b"boundary", b""), body, most)
        if not found:
            raise Refused(400, f"the form holds no file; {_HOW}")
        return found
    if told in RAW or told.startswith("image/"):
        if not body:
            raise Refused(400, f"the body is empty; {_HOW}")
        return [Upload(None, body)]
    raise Refused(415, f"Content-Type {told or 'of no kind'} is not taken; {_HOW}")


@dataclass
class _Part:
    headers: dict[bytes, bytes] = field(default_factory=dict)
    field_name: str = ""
    file_name: str | None = None
    is_file: bool = False
    pieces: list[bytes] = field(default_factory=list)


class _Reader:
    """What `python_multipart` calls while it reads a form."""

    def __init__(self, most: int) -> None:
        self.most, self.ended = most, False
        self.found: list[Upload] = []
        self.part = _Part()
        self._header = [bytearray(), bytearray()]

    def called(self) -> MultipartCallbacks:
        """By the names that the parser has for them."""
        return {
            "on_part_begin": self.on_part_begin, "on_header_field": self.on_header_field,
            "on_header_value": self.on_header_value, "on_header_end": self.on_header_end,
            "on_headers_finished": self.on_headers_finished, "on_part_data": self.on_part_data,
            "on_part_end": self.on_part_end, "on_end": self.on_end,
        }  # fmt: skip

    def on_part_begin(self) -> None:
        self.part = _Part()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def on_header_end(self) -> None:
        name, value = map(bytes, self._header)
        self.part.headers[name.lower()] = value
        self._header = [bytearray(), bytearray()]

    def on_headers_finished(self) -> None:
        part = self.part
        disposition, options = parse_options_header(part.headers.get(b"content-disposition", b""))
        if disposition != b"form-data":
            raise Refused(400, "a part of the form has no Content-Disposition: form-data")
        part.field_name = options.get(b"name", b"").decode(errors="replace")
        if b"filename" in options:
            part.file_name = options[b"filename"].decode(errors="replace")
        kind = part.headers.get(b"content-type", b"").lower()
        part.is_file = part.file_name is not None or kind.startswith(b"image/") or kind in map(str.encode, RAW)
        if not part.is_file:
            raise Refused(422, f"the form's field '{part.field_name}' is no file; options go into the query, as ?top=3")
        if len(self.found) >= self.most:
            raise Refused(413, f"more than {self.most} pictures; send them in several requests")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.part.pieces.append(data[start:end])

    def on_part_end(self) -> None:
        self.found.append(Upload(self.part.file_name or self.part.field_name or None, b"".join(self.part.pieces)))

    def on_end(self) -> None:
        self.ended = True


def _form(boundary: bytes, body: bytes, most: int) -> list[Upload]:
    if not boundary:
        raise Refused(400, "the form's Content-Type names no boundary")
    reader = _Reader(most)
    try:
        parser = MultipartParser(boundary, reader.called())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Refused(400, f"the form is broken ({error})") from None
    if not reader.ended:
        raise Refused(400, "the form breaks off before its closing boundary")
    return reader.found
