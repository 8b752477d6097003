"""Names on a web server: an address holds them quoted, perhaps with a query, and a folder's page links to anywhere."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def is_web(url: str) -> bool:
    """Whether a web server is asked for it."""
    return url.partition("://")[0].lower() in ("http", "https")


def quoted(name: str) -> str:
    """A file's name as an address holds it."""
    return quote(name, safe="/")


def without_query(url: str) -> str:
    """An address without what it asks of a web server besides: `x.tar` of `x.tar?download=1`."""
    return url.partition("?")[0] if is_web(url) else url


def parts(url: str) -> tuple[str, str, str]:
    """The folder's address, the last name, and the query that stands behind it."""
    plain = without_query(url)
    above, _, name = plain.rstrip("/").rpartition("/")
    return above, name, url[len(plain) :]


def below(root: str, link: str) -> str | None:
    """The name, below the folder at `root`, of what its page links to; None for what lies elsewhere.

    Pages link to the folder above, to themselves in another order (`?C=M;O=D`), to styles and to other sites. Whoever
    followed those would read the whole server.
    """
    try:
        here, there = urlsplit(root), urlsplit(link)
    except ValueError:
        return None
    start = f"{unquote(here.path).rstrip('/')}/"
    path = unquote(there.path)
    if _SCHEME.match(there.path.rpartition("/")[2]):  # `mailto:`, `javascript:`; of a name the colon would be quoted
        return None
    if there.query or there.fragment or here.netloc.lower() != there.netloc.lower() or not path.startswith(start):
        return None
    return path[len(start) :] or None
