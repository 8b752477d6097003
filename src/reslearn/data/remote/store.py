"""Files below one address, by a driver of fsspec: listed once, read in ranges, again and again where a try fails."""

from __future__ import annotations

import functools
import hashlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ...spec.errors import UserError
from ..workers import in_threads
from .address import check_address
from .failures import Absent, Refused, first_line, refusal
from .web import below, is_web, parts, quoted

T = TypeVar("T")
TRIES = 8
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0  # seconds between two tries, doubled from one to the next
STALL = 20.0  # seconds for a range, and one more for each megabyte of it
THREADS = 16  # that ask at once: most of the time they wait
PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "hf": "huggingface_hub", "http": "aiohttp",
            "https": "aiohttp", "az": "adlfs", "abfs": "adlfs", "sftp": "paramiko", "oci": "ocifs"}  # fmt: skip
_NO_PARTS = frozenset(("", ".", ".."))  # of a file's path
Stamp = tuple[int, int, int, int]  # as `key_table.stamp_of`; a size of -1: not known when it was changed


@dataclass(frozen=True)
class Entry:
    """A file of the store by its path below the root, its bytes, and what changes with its contents (or nothing)."""

    name: str
    size: int
    version: str = ""


@dataclass(eq=False)
class Store:
    """What lies at `url`. It goes to other processes as it is: each makes connections of its own.

    Names are those of files; of a `typed` store they are the last part of an address, which a web server takes as it
    is, with the address's `query`.
    """

    url: str
    typed: bool = False
    query: str = ""
    _opened: dict[int, tuple[Any, str]] = field(default_factory=dict, repr=False)  # process -> file system and root

    @classmethod
    def of_file(cls, url: str) -> tuple[Store, str]:
        """The store that holds the file at `url`, and what the file is called in it."""
        above, name, query = parts(url)
        return cls(above, typed=True, query=query), name

    def __post_init__(self) -> None:
        check_address(self.url)

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "typed": self.typed, "query": self.query, "_opened": {}}

    @property
    def protocol(self) -> str:
        """`s3`, `https`, ..."""
        return self.url.partition("://")[0].lower()

    def _fs(self) -> tuple[Any, str]:
        """The file system and the root's path in it, made anew in each process."""
        here = os.getpid()
        if here not in self._opened:
            self._opened = {here: self._connect()}
        return self._opened[here]

    def _connect(self) -> tuple[Any, str]:
        import fsspec

        try:
            fs, root = fsspec.core.url_to_fs(
                f"{self.protocol}://{self.url.partition('://')[2]}", skip_instance_cache=True, use_listings_cache=False
            )
        except ImportError:
            package = PACKAGES.get(self.protocol, f"fsspec's driver for {self.protocol}://")
            raise UserError(
                f"{self.url}: {self.protocol}:// needs {package}, which is not installed; run: pip install {package}"
            ) from None
        except ValueError as error:
            raise UserError(f"{self.url}: {first_line(error)}; give an address such as s3://bucket/folder") from None
        return fs, root.rstrip("/")

    def _path(self, name: str) -> str:
        root = self._fs()[1]
        asked = name if self.typed or not is_web(self.url) else quoted(name)
        return f"{root}/{asked}{self.query}" if name else root

    def place(self, name: str) -> str:
        """The address of a file, for people."""
        return f"{self.url.rstrip('/')}/{name}{self.query}" if name else self.url

    def walk(self) -> list[Entry]:
        """Every file below the root, in lexical order. Raises `UserError` where there is nothing."""
        fs, root = self._patient(self._fs, self.url)
        found = self._patient(lambda: _listed(self._fs()[0], root), self.url) if _lists_all(fs) else self._descend(root)
        names = {path: self._name(root, path) for path in found if not path.endswith("/")}
        entries = [_entry(name, found[path]) for path, name in names.items() if name]
        for entry in entries:
            if not _NO_PARTS.isdisjoint(entry.name.split("/")):  # nor may it lead out of a folder that it is copied to
                raise UserError(
                    f"{self.place(entry.name)}: no folder can hold this name (a part is empty, `.` or `..`); rename it"
                )
        lacking = [entry.name for entry in entries if entry.size < 0]
        if lacking:  # a web server's list of links tells no sizes
            known = {entry.name: entry for entry in self.each(lambda name: self.about(name), lacking)}
            entries = [known.get(entry.name, entry) for entry in entries]
        return sorted(entries, key=lambda entry: entry.name)

    def _descend(self, root: str) -> dict[str, Any]:
        """What each file is, folder by folder: fsspec's own way down leaves out a folder that it fails to list."""
        found: dict[str, Any] = {}
        folders, seen = [root], {root.rstrip("/")}
        while folders:
            folder = folders.pop()
            try:
                here = self._patient(lambda folder=folder: self._fs()[0].ls(folder, detail=True), self.url)  # type: ignore[misc]
            except Absent:
                if folder == root:
                    raise
                continue  # a link that leads nowhere
            for one in here:
                path = one["name"]
                if self._name(root, path) is None:
                    continue
                if one["type"] != "directory":
                    found[path] = one
                elif path.rstrip("/") not in seen:
                    seen.add(path.rstrip("/"))
                    folders.append(path)
        return found

    def _name(self, root: str, path: str) -> str | None:
        """What a path of the driver is called below the root; None for what lies elsewhere."""
        return below(root, path) if is_web(self.url) else path.removeprefix(root).removeprefix("/")

    def about(self, name: str = "") -> Entry:
        """One file. Raises `UserError` where it is not there."""
        return _entry(name, self._info(name))

    def exists(self, name: str) -> bool:
        """Whether a file is there, and may be read. Raises `UserError` where no try tells."""
        try:
            return bool(self._info(name)["type"] == "file")
        except Refused:
            return False

    def one_file(self) -> Entry | None:
        """The file that lies at the address itself; None for a folder, for nothing, and for a page of links."""
        try:
            found = self._info("")
        except Refused:
            return None
        page = is_web(self.url) and (found.get("mimetype") or "text/html") in ("text/html", "application/xhtml+xml")
        return None if found["type"] != "file" or page else _entry("", found)

    def _info(self, name: str) -> dict[str, Any]:
        def get() -> dict[str, Any]:
            fs = self._fs()[0]
            return dict(fs.info(self._path(name), **_patience(fs)))

        return self._patient(get, self.place(name))

    def read(self, name: str, start: int, size: int) -> bytes:
        """So many bytes from `start` on. Raises `UserError` where they cannot be had after all tries."""

        def get() -> bytes:
            fs = self._fs()[0]
            found = fs.cat_file(self._path(name), start=start, end=start + size, **_patience(fs, size))
            if len(found) > size and start + size <= len(found):  # a server without ranges gives the whole file
                found = found[start : start + size]
            if len(found) != size:
                raise OSError(f"{len(found):,} of {size:,} bytes came")
            return bytes(found)

        return self._patient(get, self.place(name)) if size else b""

    def each(self, function: Callable[[Any], T], tasks: Iterable[Any]) -> list[T]:
        """`function` of each task, many at once, in their order."""
        return list(in_threads(function, tasks, THREADS))

    def _patient(self, attempt: Callable[[], T], place: str) -> T:
        """What `attempt` returns, tried again with growing pauses. Raises `UserError` that names the place."""
        pause = FIRST_PAUSE
        for count in range(1, TRIES + 1):
            try:
                return attempt()
            except UserError:
                raise
            except Exception as error:
                final = refusal(error, place)
                if final is not None:
                    raise final from None
                if count == TRIES:
                    raise UserError(f"{place}: not to be had in {TRIES} tries ({first_line(error)})") from None
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        raise AssertionError("unreachable")

    def stamp(self, entry: Entry) -> Stamp:
        """What the keys of pictures are kept under, if the store tells a file from a later one under its name."""
        if not entry.version:
            return -1, 0, 0, 0
        return entry.size, 0, 0, _number(entry.version)


def _patience(fs: Any, size: int = 0) -> dict[str, float]:
    """How long a driver that can be told so waits for an answer of `size` bytes."""
    return {"timeout": STALL + size / 1e6} if getattr(fs, "async_impl", False) else {}


def _entry(name: str, found: dict[str, Any]) -> Entry:
    size = found.get("size")
    version = next((found[key] for key in _VERSIONS if found.get(key) is not None), "")
    return Entry(name, -1 if size is None else int(size), str(version))


_VERSIONS = (
    "ETag",
    "etag",
    "blob_id",
    "sha256",
    "md5Hash",
    "LastModified",
    "last_modified",
    "Last-Modified",
    "mtime",
    "created",
)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def _lists_all(fs: Any) -> bool:
    """Whether a driver lists all that lies below a place by a way of its own, such as one request for many folders."""
    from fsspec.asyn import AsyncFileSystem
    from fsspec.spec import AbstractFileSystem

    kind = type(fs)
    if issubclass(kind, AsyncFileSystem):
        return kind._find is not AsyncFileSystem._find
    return kind.find is not AbstractFileSystem.find


def _listed(fs: Any, root: str) -> dict[str, Any]:
    return dict(fs.find(root, detail=True))


@functools.cache
def process_token() -> str:
    """What tells this process's files in the cache from others', where a store does not tell versions."""
    return os.urandom(8).hex()
