"""DATA at an address: how it is opened stands behind its `#`, where records keep it."""

from __future__ import annotations


def opened_so(data: str, cache_size: str | None, allow_urls: bool) -> str:
    """DATA with what `--cache-size` and `--allow-urls` say of it."""
    if cache_size is None and not allow_urls:
        return data
    from ..data.remote.address import with_options

    return with_options(data, cache_size=cache_size, allow_urls=allow_urls)
