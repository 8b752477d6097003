"""Manifests that lie in a store."""

from __future__ import annotations

import posixpath
import tempfile
from pathlib import Path

from ...spec.credentials import masked
from ...spec.errors import UserError
from ..layout.named_files import is_address
from ..parts.manifest import Manifest, manifest_path, read_manifest
from .address import check_address
from .store import Store
from .web import without_query


def ruling(url: str, obeyed: bool, anywhere: bool) -> tuple[str, tuple[Manifest, str] | None]:
    """The address of the data, and the manifest that rules it with its own: that at `url`, or, if `obeyed`, beside it.

    Raises `UserError` for one at `url` whose data lies in another bucket or on another server, unless it may lie
    `anywhere`.
    """
    check_address(url)
    if without_query(url).endswith(".json"):
        found = fetched_manifest(url)
        return data_under(url, found, anywhere=anywhere), (found, url)
    there = beside(url) if obeyed else None
    return url, None if there is None else (there, manifest_path(url))


def fetched_manifest(url: str) -> Manifest:
    """The manifest at an address. Raises `UserError` where there is none."""
    store, name = Store.of_file(url)
    content = store.read(name, 0, store.about(name).size)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder) / "manifest.json"
        here.write_bytes(content)
        try:
            return read_manifest(str(here))
        except UserError as error:
            raise UserError(str(error).replace(str(here), url)) from None


def beside(url: str) -> Manifest | None:
    """The manifest in a store's folder, or beside a file of it; None where there is none."""
    if without_query(url) != url:
        return None  # a web server would answer with the file itself
    place = manifest_path(url)
    store, name = Store.of_file(place)
    return fetched_manifest(place) if store.exists(name) else None


def data_under(url: str, manifest: Manifest, *, anywhere: bool) -> str:
    """The address that a manifest at an address is about.

    Raises `UserError` for data in another bucket or on another server, unless it may lie `anywhere`: as a table of a
    stranger, his manifest could make this machine ask for anything, its own files among it.
    """
    protocol, _, rest = without_query(url).partition("://")
    found = manifest.data
    if not is_address(found):
        found = f"{protocol}://{posixpath.normpath(posixpath.join(posixpath.dirname(rest), found))}"
    if not anywhere and _holder(found) != _holder(url):
        raise UserError(
            f"{url}: its data is said to lie elsewhere, at {masked(manifest.data)}; add --allow-urls if you trust it, "
            "or write it anew for where the data lies"
        )
    return found


def _holder(url: str) -> tuple[str, str]:
    """The protocol, and the bucket or the server."""
    protocol, _, rest = url.partition("://")
    return protocol.lower(), rest.partition("/")[0].lower()
