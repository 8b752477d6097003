"""Weights by name: wherever a file is taken, so is an address of one, which is fetched once and kept.

hf://OWNER/REPO[@REVISION]                          a repository of the Hugging Face hub
torchvision://ResNet50_Weights.IMAGENET1K_V2        a file that torchvision names
https://HOST/PATH#sha256=HEX                        any file, known by its digest
"""

from __future__ import annotations

import functools
import os
import re
import urllib.parse
from pathlib import Path

from ..spec.credentials import check_address, masked
from ..spec.errors import UserError, unknown
from .files import user_cache

TORCHVISION = "https://download.pytorch.org/models"
MIRROR = "RESLEARN_TORCHVISION_URL"
_ADDRESS = re.compile(r"(hf|torchvision|https?):/{1,2}(?=[^/])")
_HEARD = ("HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN", MIRROR, "XDG_CACHE_HOME")


def is_address(path: str | os.PathLike[str]) -> bool:
    """Whether this is an address of weights, not the name of a file."""
    return _ADDRESS.match(os.fspath(path)) is not None


def spelled(path: str | os.PathLike[str]) -> str:
    """An address as it is written: a `Path` takes one of its two slashes away. A file's name as it is."""
    text = os.fspath(path)
    return _ADDRESS.sub(r"\1://", text, count=1)


def local(path: str | os.PathLike[str]) -> Path:
    """The file or folder that a path or an address means; what an address names is fetched, or found in the cache.

    Raises `UserError`, in one line, for an address that is none or holds credentials, and where it cannot be fetched
    whole.
    """
    check_address(spelled(path), "download it and name the file")
    if not is_address(path):
        return Path(path)
    return _fetched(spelled(path), tuple(os.environ.get(name) for name in _HEARD))


@functools.lru_cache(maxsize=64)  # a command asks again and again; verified once is enough for it
def _fetched(address: str, heard: tuple[str | None, ...]) -> Path:
    kind, _, rest = address.partition("://")
    if kind == "hf":
        from .hub import fetch_repository

        name, at, revision = rest.rstrip("/").partition("@")
        if at and not revision:
            raise UserError(f"{address}: no revision after the @; name a branch, a tag or a commit")
        return fetch_repository(name, revision or None, address)
    folder = user_cache() / "weights"
    return _of_torchvision(address, folder) if kind == "torchvision" else _of_server(address, folder)


def _of_torchvision(address: str, folder: Path) -> Path:
    from ..spec.published import published, published_at
    from .fetching import fetch

    found = published_at(address)
    if found is None or found.file is None:
        known = [one.address for one in published() if one.file is not None]
        raise unknown("weights of torchvision", address, known)
    base = os.environ.get(MIRROR) or TORCHVISION
    return fetch(f"{base.rstrip('/')}/{found.file}", folder / found.file, found.sha256 or "")


def _of_server(address: str, folder: Path) -> Path:
    from .fetching import fetch, fetch_unknown, place_of  # which take their time to be imported, as the network does

    url, _, fragment = address.partition("#")
    parts = urllib.parse.urlsplit(url)
    name = re.sub(r"[^\w.-]", "_", urllib.parse.unquote(os.path.basename(parts.path)))
    if not parts.hostname or not name.strip("._"):
        raise UserError(f"{address}: not the address of a file; write https://HOST/PATH/FILE#sha256=HEX")
    key, _, digest = fragment.partition("=")
    if not fragment:
        digest, _ = fetch_unknown(url, folder, name)
        raise UserError(
            f"{url}: say what it must be, so that nobody can put another in its place: {url}#sha256={digest}"
        )
    if key != "sha256" or not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise UserError(f"{masked(address)}: after the # goes sha256= and the file's 64 hexadecimal digits")
    return fetch(url, place_of(folder, digest.lower(), name), digest.lower())
