"""What a person calls data that lies elsewhere: an address, and behind its `#` how it is to be opened."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from ...spec.errors import UserError
from ...spec.sizes import parse_size
from ...spec.text import SECRET
from ..layout.columns import COLUMNS
from ..layout.named_files import is_address

_SECRETS = re.compile(rf"(^|[-_.])({SECRET})$", re.IGNORECASE)
_PASSED = re.compile(r"://[^/\s@'\"]+@|\?[^\s'\")>]+")  # a password or a query within a line that a driver wrote
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
    """Raise `UserError` for an address that holds credentials: it would stand in every record of a run."""
    if "@" not in url and "?" not in url:  # a table may name a million
        return
    parts = urlsplit(url)
    if "@" in parts.netloc:
        where = f"{parts.scheme}://...@{parts.netloc.rpartition('@')[2]}"
        raise UserError(
            f"{where}: an address with a name or password in it would be written into every record; give them to the "
            "driver by its own settings or environment variables"
        )
    named = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if _SECRETS.search(name)]
    if named:
        where = f"{parts.scheme}://{parts.netloc}{parts.path}"
        raise UserError(
            f"{where}: a signed address ({named[0]}) is a credential, and would be written into every record; name the "
            "object by its own address and give the driver the credentials"
        )


def without_secrets(line: str) -> str:
    """A driver's words without the names, passwords and queries of addresses: servers redirect to signed ones."""
    return _PASSED.sub(lambda found: "://" if found[0].startswith(":") else "", line)
