"""What a driver's error means: an answer that no further try will change, or trouble that passes."""

from __future__ import annotations

import socket

from ...spec.credentials import without_secrets
from ...spec.errors import UserError

_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, ImportError, NotImplementedError)
_NO_ADDRESS = ("InvalidURL", "ParamValidationError", "HfUriError")  # what drivers raise of an address that is none
_PASSING = (408, 425, 429)  # of the answers that blame who asks, those that another time are others


class Refused(UserError):
    """The store has answered, and will answer so again."""


class Absent(Refused):
    """Nothing is there."""


def refusal(error: Exception, place: str) -> Refused | None:
    """What `error` says once and for all of `place`; None where another try may do.

    Drivers raise their own kinds, of which some are no OSError.
    """
    error = _behind(error)
    status = _status(error)
    kinds = [kind.__name__ for kind in type(error).__mro__]
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        return Absent(f"{place}: nothing is there; check the address")
    if _nowhere(error):
        return Refused(f"{place}: its server is not to be found ({first_line(error)})")
    if "Credential" in " ".join(kinds) or status in (401, 403):
        return Refused(f"{place}: {first_line(error)}; give the driver credentials that may read it")
    wrong = type(error) is ValueError or any(kind in _NO_ADDRESS for kind in kinds)
    if wrong or isinstance(error, _FINAL) or (400 <= status < 500 and status not in _PASSING):
        return Refused(f"{place}: cannot be read ({first_line(error)})")
    return None


def first_line(error: BaseException) -> str:
    """The first line of what an error says, without secrets; where that ends with a colon, the next one, too."""
    error = _behind(error) if isinstance(error, Exception) else error
    first, *more = str(error).strip().splitlines() or [type(error).__name__]
    return without_secrets(f"{first} {more[0].strip()}" if more and first.endswith(":") else first)[:200]


def _behind(error: Exception) -> Exception:
    """fsspec's web driver says of whatever goes wrong that nothing is there; what did stands behind it."""
    cause = error.__cause__
    web = type(cause).__module__.partition(".")[0] in ("aiohttp", "asyncio") or isinstance(cause, TimeoutError)
    return cause if isinstance(error, FileNotFoundError) and isinstance(cause, Exception) and web else error


def _status(error: Exception) -> int:
    """The number with which a web server answered; 0 where none did, or where it says that it was too slow."""
    for one in (error, error.__cause__):
        answer = getattr(one, "response", None)
        if isinstance(answer, dict):  # boto's
            told, status = answer.get("Error", {}).get("Code"), answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return status if isinstance(status, int) and told != "RequestTimeout" else 0
        status = getattr(one, "status", None) or getattr(answer, "status_code", None)
        if isinstance(status, int):
            return status
    return 0


def _nowhere(error: BaseException) -> bool:
    """Whether no server has this name."""
    return "DNS" in type(error).__name__ or isinstance(error.__cause__ or error, socket.gaierror)
