"""What is said instead of an answer: a status and one line, as JSON, with no path of ours and no traceback."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

RETRY = {"Retry-After": "1"}  # seconds
_LONGEST = 400  # characters of a line


class Refused(Exception):
    """A request that gets `status` and the line `error` instead of an answer; `also` are further keys beside it."""

    def __init__(
        self,
        status: int,
        error: str,
        headers: Mapping[str, str] | None = None,
        also: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(error)
        self.status, self.headers, self.also = status, dict(headers or {}), dict(also or {})
        self.error = " ".join(error.split())[:_LONGEST]

    def response(self) -> Response:
        """As it goes out."""
        return json_response({"error": self.error, **self.also}, self.status, self.headers)


class Gone(Exception):
    """The client hung up before it had sent everything: there is nobody to answer."""


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`value` as JSON. Names of classes may hold what UTF-8 cannot, so all beyond ASCII is escaped."""
    content = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    return Response(content, status, headers, "application/json")
