"""Where pictures lie: in files, on servers, in memory, in a data set. Each is picklable, and read one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ..data.anything import Range, as_image, read_file
from ..data.dataset import Image
from ..data.formats.decode import decode_bytes
from ..data.formats.files import Encoded
from ..data.strings import StringTable
from ..data.table import Pictures
from ..runtime.opening import PICTURE
from ..spec.errors import UserError

SECONDS = 30  # that a server may take to answer


class Source(Protocol):
    """Pictures by their number; picklable, and reading is pure."""

    def __len__(self) -> int: ...

    def path(self, i: int) -> str | None:
        """What picture `i` is called; None in memory."""

    def read(self, i: int) -> Image:
        """Its pixels, RGB uint8 (H, W, 3). Raises `UserError` naming one that cannot be read whole."""


class Files:
    """Picture files by their paths."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = StringTable(names)

    def __len__(self) -> int:
        return len(self.names)

    def path(self, i: int) -> str:
        return self.names[i]

    def read(self, i: int) -> Image:
        return read_file(self.names[i])


class Addresses(Files):
    """Pictures on servers. Nothing of them is kept."""

    def read(self, i: int) -> Image:
        return decode_bytes(fetched(self.names[i]), self.names[i])


class Unreadable:
    """A file that was to hold pictures and does not."""

    def __init__(self, name: str, error: str) -> None:
        self.name, self.error = name, error

    def __len__(self) -> int:
        return 1

    def path(self, i: int) -> str:
        return self.name

    def read(self, i: int) -> Image:
        raise UserError(self.error)


class Memory:
    """Pictures in memory, of any kind that `data.anything` takes, or the bytes of their files."""

    def __init__(self, pictures: Sequence[Any], value_range: Range | None) -> None:
        self.pictures, self.value_range = list(pictures), value_range

    def __len__(self) -> int:
        return len(self.pictures)

    def path(self, i: int) -> None:
        return None

    def read(self, i: int) -> Image:
        picture = self.pictures[i]
        if isinstance(picture, (bytes, bytearray, memoryview)):
            return decode_bytes(bytes(picture), f"picture {i + 1}, of {len(picture):,} bytes in memory")
        return as_image(picture, self.value_range)


class Items:
    """Pictures that somebody's map-style data set gives by their number: its items, or the first of each pair."""

    def __init__(self, data: Any, value_range: Range | None) -> None:
        self.data, self.value_range = data, value_range

    def __len__(self) -> int:
        return len(self.data)

    def path(self, i: int) -> None:
        return None

    def read(self, i: int) -> Image:
        item = self.data[i]
        try:
            return as_image(item[0] if isinstance(item, (tuple, list)) and item else item, self.value_range)
        except UserError as error:
            raise UserError(f"item {i} of the data set: {error}") from None


class Rows:
    """The pictures of a data set, of all its parts, in its order."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures_ = pictures

    def __len__(self) -> int:
        return len(self.pictures_)

    def path(self, i: int) -> str:
        data = self.pictures_
        if isinstance(data.reader, Encoded):
            return data.reader.name(int(data.where[i]))
        return data.ids[i] if data.path is None else f"{data.path}: {data.ids[i]}"

    def read(self, i: int) -> Image:
        return self.pictures_.read(i)[0]


def fetched(address: str) -> bytes:
    """The bytes at an address, as many as a picture may have. Raises `UserError` in one line naming it."""
    import http.client
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as answer:
            content = bytes(answer.read(PICTURE + 1))
    except urllib.error.HTTPError as error:
        raise UserError(f"{address}: the server says {error.code} {error.reason}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise UserError(f"{address}: cannot be read ({getattr(error, 'reason', None) or error})") from None
    if len(content) > PICTURE:
        raise UserError(f"{address}: over {PICTURE:,} bytes, no picture; download it and look")
    return content
