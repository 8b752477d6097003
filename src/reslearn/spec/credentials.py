"""Credentials in an address: names, passwords, tokens, signatures. They are refused, or left out of what is said."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from .errors import UserError

# What a parameter of an address is called whose value is a credential, or the end of it.
_SECRET = (
    r"sig|\w*signature|\w*token(?:id)?|(?:api|access|account|secret|private|resource|auth|share|rl|sas)?key(?:id)?"
    r"|\w*secret|credentials?|\w*password|passphrase|passwd|pwd|auth|authorization|bearer|jwt|sas|session(?:id)?"
    r"|awsaccesskeyid|googleaccessid"
)
_NAME = re.compile(rf"(^|[-_.])({_SECRET})$", re.IGNORECASE)
# A path takes one of the two slashes away; a password may hold slashes, as those of S3 do, which a port does not.
_USER = r":/{1,2}(?:[^/\s'\"?#]*|[^/\s:'\"?#]+:(?!\d+/)[^\s'\"?#]*)@"
_SHOWN = re.compile(rf"(?P<user>{_USER})|(?P<key>[?&#](?:[\w.-]*[-_.])?(?:{_SECRET})=)[^&#\s'\")>]+", re.IGNORECASE)
_SAID = re.compile(rf"(?P<user>{_USER})|\?[^\s'\")>#]+")


def check_address(url: str, remedy: str) -> None:
    """Raise `UserError` for an address that holds credentials: it would stand in every record. `remedy` ends it."""
    if ":/" not in url or ("@" not in url and "?" not in url):  # a table may name a million
        return
    if re.match(rf"[\w+.-]+{_USER}", url):
        why = "an address with a name or password in it would be written into every record"
        raise UserError(f"{masked(url.partition('?')[0])}: {why}; {remedy}")
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that are none: whoever opens it says so
        return
    named = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if _NAME.search(name)]
    if named:
        where = f"{parts.scheme}://{parts.netloc}{parts.path}"
        why = f"a signed address ({named[0]}) is a credential, and would be written into every record"
        raise UserError(f"{where}: {why}; {remedy}")


def masked(text: str) -> str:
    """`text` with dots for the credentials of the addresses in it."""
    if ":/" not in text:
        return text
    return _SHOWN.sub(lambda found: _without_user(found["user"], "...@") or f"{found['key']}...", text)


def without_secrets(line: str) -> str:
    """Another program's words without the names, passwords and queries of addresses: servers redirect to signed ones.

    A query goes whole, as nobody knows what another's parameters mean.
    """
    return _SAID.sub(lambda found: _without_user(found["user"], ""), line) if ":/" in line else line


def _without_user(found: str | None, instead: str) -> str:
    return "" if found is None else f"{'://' if found.startswith('://') else ':/'}{instead}"
