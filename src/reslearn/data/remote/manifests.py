"""Manifests that lie in a store."""

from __future__ import annotations

import posixpath
import tempfile
from pathlib import Path

from ...spec.errors import UserError
from ..layout.named_files import is_address
from ..parts.manifest import Manifest, manifest_path, read_manifest
from .store import Store


def fetched_manifest(url: str) -> Manifest:
    """The manifest at an address. Raises `UserError` where there is none."""
    above, _, name = url.rpartition("/")
    store = Store(above)
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
    place = manifest_path(url)
    above, _, name = place.rpartition("/")
    return fetched_manifest(place) if Store(above).exists(name) else None


def data_under(url: str, manifest: Manifest) -> str:
    """The address that a manifest at an address is about."""
    if is_address(manifest.data):
        return manifest.data
    protocol, _, rest = url.partition("://")
    return f"{protocol}://{posixpath.normpath(posixpath.join(posixpath.dirname(rest), manifest.data))}"
