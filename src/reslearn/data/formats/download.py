"""Fetch CIFAR-10 and CIFAR-100 from their author's site: resumed, verified, whole or absent (`runtime.fetching`)."""

from __future__ import annotations

import os
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from ...runtime.files import exclusive_lock, file_sha256
from ...spec.errors import UserError, unknown
from ..dataset import Progress


@dataclass(frozen=True)
class Archive:
    """A file to fetch, and what it must turn out to be."""

    url: str
    size: int
    sha256: str


ARCHIVES = {
    "cifar10": Archive(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        170_498_071,
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    ),
    "cifar100": Archive(
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        169_001_437,
        "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    ),
}


def download(
    name: str | Archive,
    folder: str | os.PathLike[str] = ".",
    *,
    url: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch `cifar10`, `cifar100` or another archive into `folder`; returns its path, which is DATA as it stands.

    A part of an earlier attempt is gone on with; the sha256 is verified before the file gets its name; a whole one
    that is there already is verified and kept. `url` names a mirror of the same file. Raises `UserError` for an
    unknown name, a site that cannot be reached, or contents that are not the published ones.
    """
    if isinstance(name, str) and name not in ARCHIVES:
        raise unknown("data set", name, ARCHIVES)
    archive = ARCHIVES[name] if isinstance(name, str) else name
    address = url or archive.url
    _check_address(address, archive.url)
    target = Path(folder) / os.path.basename(archive.url)
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = target.with_name(target.name + ".lock")
    with exclusive_lock(lock, f"{target}: another process is downloading it"):
        try:
            return _fetch_whole(archive, address, target, progress)
        finally:
            lock.unlink(missing_ok=True)  # while it is held: later it may be another process's


def _fetch_whole(archive: Archive, address: str, target: Path, progress: Progress | None) -> Path:
    if target.exists():
        if file_sha256(target) != archive.sha256:
            raise UserError(f"{target}: not the published file (sha256 differs); remove it and download again")
        return target
    from ...runtime.fetching import fetch_alone  # which takes its time to be imported, as the network does

    def told(done: int) -> None:
        if progress is not None:
            progress(done, archive.size)

    return fetch_alone(address, target, archive.sha256, told=told, remedy="; name a mirror with --url")


def _check_address(address: str, example: str) -> None:
    try:
        parts = urllib.parse.urlsplit(address)
        whole = parts.scheme in {"http", "https", "ftp"} and parts.hostname and parts.port != 0
    except ValueError:  # brackets or a port that are none
        whole = False
    if not (whole or address.startswith("file:///")) or not address.isascii():
        raise UserError(f"{address}: not a whole address; write one like {example}")
