"""What a person calls data that lies elsewhere: an address, and behind its `#` how it is to be opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from ...spec import credentials
from ...spec.errors import UserError
from ...spec.sizes import parse_size
from ..layout.columns import COLUMNS
from ..layout.named_files import is_address

SIZES = "20GB or 500MB"  # examples
CACHE, URLS, ALLOW = "cache", "urls", "allow"  # options behind the `#`, beside columns
_OPTIONS = (CACHE, URLS, *COLUMNS, "image")  # the last of Parquet files


@dataclass(frozen=True)
class Opening:
    """How data is opened: the cache's bound in bytes (None: chosen), whether addresses in a table are, and columns."""

    cache: int | None = None
    urls: bool = False
    columns: Mapping[str, str] | None = None

    @classmethod
    def of(cls, asked: Mapping[str, str], where: str) -> Opening:
        """From what stands behind the `#` of DATA. Raises `UserError` for a size that is none, and any other option.

        A driver's own options are refused too, in words without their values: they may be credentials.
        """
        for name in asked:
            if name not in _OPTIONS:
                remedy = "; give the driver its own settings by environment variables or its configuration file"
                known = f"behind the # stand {', '.join(_OPTIONS)}, and not {name[:40]!r}"
                raise UserError(f"{where}: {known}{remedy if is_address(where) else ''}")
        columns = {name: value for name, value in asked.items() if name not in (CACHE, URLS)}
        if URLS in asked and asked[URLS] != ALLOW:
            raise UserError(f"{where}: behind the #, urls is {asked[URLS]!r}; it must be {ALLOW}")
        size = None if CACHE not in asked else parse_size(asked[CACHE], f"{where}: behind the #, cache", SIZES)
        return cls(size, URLS in asked, columns)


def options_of(text: str) -> dict[str, str]:
    """What stands behind the `#` of an address."""
    return dict(parse_qsl(text, keep_blank_values=True))


def with_options(data: str, *, cache_size: str | None = None, allow_urls: bool = False) -> str:
    """DATA with these options behind its `#`, so that whatever opens it again opens it so."""
    options = []
    if cache_size is not None:
        parse_size(cache_size, "--cache-size", SIZES)
        options.append(f"{CACHE}={cache_size.strip()}")
    if allow_urls:
        options.append(f"{URLS}={ALLOW}")
    if not options or (cache_size is not None and not is_address(data) and not allow_urls):
        return data  # a cache is of what lies elsewhere
    return f"{data}{'&' if '#' in data else '#'}{'&'.join(options)}"


def check_address(url: str) -> None:
    """Raise `UserError` for an address of nothing, and one with credentials: they would stand in every record."""
    protocol, _, rest = url.partition(":")
    if not rest.strip("/") and protocol not in ("memory", "file", "local"):
        raise UserError(f"{protocol}://: no bucket or host is named; give an address such as s3://bucket/folder")
    credentials.check_address(url, "name it without them, and give them to the driver by its settings or environment")
