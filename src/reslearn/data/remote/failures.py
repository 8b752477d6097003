"""What a driver's error means: an answer that no further try will change, or trouble that passes."""

from __future__ import annotations

import socket

from ...spec.credentials import without_secrets
from ...spec.errors import UserError

_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, ImportError, NotImplementedError)
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
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        return Absent(f"{place}: nothing is there; check the address")
    if _nowhere(error):
        return Refused(f"{place}: its server is not to be found ({first_line(error)})")
    if "Credential" in " ".join(kind.__name__ for kind in type(error).__mro__) or status in (401, 403):
        return Refused(f"{place}: {first_line(error)}; give the driver credentials that may read it")
    if isinstance(error, _FINAL) or (400 <= status < 500 and status not in _PASSING):
        return Refused(f"{place}: cannot be read ({first_line(error)})")
    return None


def first_line(error: BaseException) -> str:
    """The first line of what an error says, without secrets."""
    return without_secrets((str(error).strip().splitlines() or [type(error).__name__])[0])[:200]


def _behind(error: Exception) -> Exception:
    """fsspec's web driver says of whatever goes wrong that nothing is there; what did stands behind it."""
    cause = error.__cause__
    web = type(cause).__module__.partition(".")[0] in ("aiohttp", "asyncio") or isinstance(cause, TimeoutError)
    return cause if isinstance(error, FileNotFoundError) and isinstance(cause, Exception) and web else error


def _status(error: Exception) -> int:
    """The number with which a web server answered; 0 where none did."""
    status = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else 0


def _nowhere(error: BaseException) -> bool:
    """Whether no server has this name."""
    return "DNS" in type(error).__name__ or isinstance(error.__cause__ or error, socket.gaierror)
