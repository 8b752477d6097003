"""One file from a server: gone on with where it broke off, checked against its digest, whole or absent.

Several processes may ask for the same file at once: one fetches it, the others wait and then find it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from ..spec.credentials import without_secrets
from ..spec.errors import UserError
from .files import file_sha256, naming
from .notes import note
from .opening import open_to_append

_CHUNK = 1 << 20
_TRIES = 4  # in a row that bring nothing new
_PAUSE = 0.5  # seconds between them
_TIMEOUT = 60  # seconds without a byte
_NONE = "look at the network and the address, or name a file that is here"

_SAID = {
    401: "it wants to know who asks",
    403: "it does not let you have it",
    404: "there is no such file",
    410: "there is no such file any more",
    429: "it has too many requests; wait and run the command again",
}


class _Broken(Exception):
    """The connection ended before the file did."""


def fetch(url: str, target: Path, sha256: str) -> Path:
    """`target`, which has a digest that begins with `sha256`: as it is there, or fetched from `url`.

    Raises `UserError`, in one line, for a server that cannot be reached or refuses, and where what it sends has another
    digest. A part of a file stays as `target.part` and is gone on with.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _alone(target):
        if target.exists():
            if file_sha256(target).startswith(sha256):
                return target
            target.unlink()
            note(f"{target}: altered since it was fetched, so it is fetched again")
        return fetch_alone(url, target, sha256)


def fetch_unknown(url: str, folder: Path, name: str) -> tuple[str, Path]:
    """The sha256 of what lies at `url`, and where it is kept: in `folder` under its digest, to be asked for by that."""
    folder.mkdir(parents=True, exist_ok=True)
    address = hashlib.sha256(url.encode()).hexdigest()[:16]
    part = folder / f"{address}.part"
    with _alone(folder / address):
        part.unlink(missing_ok=True)  # of a file that nobody has named nothing is known, nor whether this was a part
        _download(url, part)
        digest = file_sha256(part)
        target = place_of(folder, digest, name)
        target.parent.mkdir(exist_ok=True)
        os.replace(part, target)
    return digest, target


def place_of(folder: Path, digest: str, name: str) -> Path:
    """Where a file that is known by its digest is kept."""
    return folder / digest[:16] / name


def fetch_alone(
    url: str, target: Path, sha256: str, *, told: Callable[[int], None] = lambda done: None, remedy: str = ""
) -> Path:
    """`target`, which is not there yet, from `url`: for a caller that has seen to it that no other process does so.

    `told` gets the bytes that are there after each piece; `remedy` follows what a server says that refuses. Otherwise
    as `fetch`.
    """
    part = target.with_name(target.name + ".part")
    if part.exists() and file_sha256(part).startswith(sha256):  # stopped between its last byte and its name
        os.replace(part, target)
        return target
    for begun in (part.exists(), False):
        _download(url, part, told, remedy)
        found = file_sha256(part)
        if found.startswith(sha256):
            os.replace(part, target)
            return target
        part.unlink()
        if not begun:  # else the part may have been another file's
            break
    raise UserError(
        f"{without_secrets(url)}: what arrived has sha256 {found[:16]}..., and {sha256[:16]}... was wanted; nothing is "
        "kept: run the command again, or name another place"
    )


def _download(url: str, part: Path, told: Callable[[int], None] = lambda done: None, remedy: str = "") -> None:
    """Append to `part` what is missing of the file at `url`."""
    idle, said, where = 0, False, without_secrets(url)
    while True:
        have = part.stat().st_size if part.exists() else 0
        if not said:
            note(f"fetching {where}" + (f", from byte {have:,} on" if have else ""))
            said = True
        try:
            _append(url, part, have, told)
            return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416 and have:  # the part is no part of this file
                part.unlink()
                continue
            raise UserError(f"{where}: the server says {_words(error)}{remedy}") from None
        except (_Broken, urllib.error.URLError, TimeoutError, OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, OSError) and error.filename is not None:  # of our own disk
                raise
            now = part.stat().st_size if part.exists() else 0
            idle = 0 if now > have else idle + 1
            if idle >= _TRIES or (not now and isinstance(error, (urllib.error.URLError, ValueError))):
                reason = getattr(error, "reason", error)
                told_why = str(reason).partition("\n")[0] or type(error).__name__
                if isinstance(reason, socket.gaierror):
                    told_why = f"{urlsplit(url).hostname} cannot be reached from here ({reason.strerror})"
                kept = f"{now:,} bytes are kept, run the command again" if now else _NONE
                raise UserError(f"{where}: {without_secrets(told_why)}; {kept}") from None
            time.sleep(_PAUSE)


def _append(url: str, part: Path, have: int, told: Callable[[int], None]) -> None:
    headers = {"User-Agent": "reslearn", "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT) as answer:
        first = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
        goes_on = answer.status == 206 and first == str(have)
        length = answer.headers.get("Content-Length")
        have = have if goes_on else 0
        total = None if length is None or not length.isdecimal() else have + int(length)
        with naming(part), open(part, "ab" if goes_on else "wb") as file:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                told(have)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and have < total:
        raise _Broken(f"the connection ended at {have:,} of {total:,} bytes")


def _words(error: urllib.error.HTTPError) -> str:
    if 300 <= error.code < 400:
        return f"{error.code}: it sends us on in a circle; name another place"
    known = _SAID.get(error.code, "it has failed; try again later" if error.code >= 500 else str(error.reason))
    return f"{error.code}: {known}"


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Wait until no other process fetches `target`."""
    with open_to_append(target.with_name(target.name + ".lock")) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
