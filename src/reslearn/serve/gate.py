"""Around every request: its id, its key, whether it is let in, what it is answered where something breaks, its log line
and its counters."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .log import Line
from .refusals import RETRY, Gone, Refused
from .service import Service

OPEN = ("/health", "/ready")  # without a key
ANSWERED_TO_THE_END = (*OPEN, "/metrics")  # while the server drains
PLAIN = (*ANSWERED_TO_THE_END, "/", "/predict", "/models")  # names of routes in the counters, let in or not
EXCHANGE = "reslearn.exchange"
GONE = 499  # the status in log and counters of a request whose client hung up


@dataclass
class Exchange:
    """What comes to be known of a request while it is answered."""

    id: str = field(default_factory=lambda: secrets.token_hex(6))
    began: float = field(default_factory=time.monotonic)
    status: int = GONE
    model: str | None = None
    pictures: int = 0
    error: str | None = None

    @classmethod
    def of(cls, request: Request) -> Exchange:
        """That of a request; a new one where it came by another way than through the gate."""
        found = request.scope.get(EXCHANGE)
        return found if isinstance(found, cls) else cls()


class Gate:
    """The middleware of one service."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = scope[EXCHANGE] = Exchange()
        path = route_path(scope)

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = exchange.id
                if self._service.draining:
                    headers["Connection"] = "close"
            await send(message)

        self._service.active += 1
        try:
            await self._answer(scope, receive, told, path, exchange)
        finally:
            self._service.active -= 1
            self._tell(scope, path, exchange)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, path: str, exchange: Exchange) -> None:
        try:
            self._admit(scope, path)
            await self._app(scope, receive, send)
        except Refused as refused:
            exchange.error = refused.error
            await refused.response()(scope, receive, send)
        except Gone:
            exchange.error = "the client hung up"
        except Exception as error:  # ours: nobody outside is told more
            exchange.error = f"{type(error).__name__}: {error}"
            if exchange.status != GONE:
                raise
            await Refused(500, "the server made a mistake; its log says which").response()(scope, receive, send)

    def _admit(self, scope: Scope, path: str) -> None:
        service, headers = self._service, Headers(scope=scope)
        if "content-length" in headers and "transfer-encoding" in headers:  # a proxy may have read it otherwise
            raise Refused(
                400, "the request has Content-Length and Transfer-Encoding; send one", {"Connection": "close"}
            )
        if service.keys and path not in OPEN and not service.allows(headers):
            raise Refused(
                401,
                "a key is needed: send it as Authorization: Bearer KEY, or as X-API-Key",
                {"WWW-Authenticate": "Bearer"},
            )
        if not service.ready and path not in ANSWERED_TO_THE_END:
            raise Refused(503, "the server is being stopped; ask another, or again", RETRY)

    def _tell(self, scope: Scope, path: str, exchange: Exchange) -> None:
        service, seconds = self._service, time.monotonic() - exchange.began
        route = getattr(scope.get("route"), "path", None) or (path if path in PLAIN else "other")
        service.metrics.requests.labels(route, str(exchange.status)).inc()
        service.metrics.seconds.labels(route).observe(seconds)
        told = (exchange.pictures, exchange.model, exchange.error)
        service.log.request(Line(exchange.id, scope["method"][:20], path[:200], exchange.status, seconds, *told))


def route_path(scope: Scope) -> str:
    """The path below where the app is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"
