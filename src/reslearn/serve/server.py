"""The process: a socket, uvicorn on it, and an end in which everybody who was let in is answered."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator
from types import FrameType
from typing import NoReturn

import uvicorn

from ..spec.errors import UserError
from .app import build_app
from .connection import Connection
from .gate import Exchange
from .log import Line
from .service import Service

LINGER = 1.0  # seconds after SIGTERM in which who still comes is told so, and not just refused a connection
RESERVE = 3.0  # seconds of the grace time that are kept for saying that there will be no answer
KEEP_ALIVE = 30  # seconds that a connection may be idle


def bound(host: str, port: int) -> socket.socket:
    """A socket that is bound and does not listen yet. Raises `UserError` where it cannot be had."""
    if not 0 <= port <= 65535:
        raise UserError(f"--port is {port}; it must be in 0..65535 (0: any that is free)")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise UserError(f"--host {host}: no address of this machine ({getattr(error, 'strerror', error)})") from None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except (OSError, OverflowError) as error:
        found.close()
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"--host {host} --port {port}: cannot be listened on ({reason}); choose another") from None
    return found


def address_of(listener: socket.socket) -> str:
    """Where it listens, as a browser takes it."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def end(status: int) -> NoReturn:
    """End the process now, with a thread that is stuck in a decoder, too.

    Python's own end takes torch apart, which takes seconds on a busy machine; the grace time has no part for that.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, AttributeError):
            stream.flush()
    os._exit(status)


class Server(uvicorn.Server):
    """uvicorn's server, whose end is ours: first nobody is let in, then those who are in are answered."""

    def __init__(self, service: Service, started: Callable[[], None]) -> None:
        """`started` is called once it listens."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # ours are the lines that are said
        super().__init__(
            uvicorn.Config(
                build_app(service), http=_connections(service), ws="none", loop="asyncio", lifespan="on",
                log_config=None, access_log=False, server_header=False, proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE, timeout_graceful_shutdown=1,
            )
        )  # fmt: skip
        self._service, self._started = service, started
        self._asked: float | None = None
        self.signal: int | None = None
        service.metrics.connections.set_function(lambda: len(self.server_state.connections))

    def serve_until_told(self, listener: socket.socket) -> int | None:
        """Serve until a signal, or `handle_exit`, says that it is to end; which it was."""
        try:
            self.run([listener])
        finally:
            self._service.close()
        return self.signal

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Let nobody in any more; asked twice, end at once."""
        if self._asked is not None:
            self._asked = -math.inf
            return
        self.signal, self._asked = sig, time.monotonic()
        self._service.drain()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """uvicorn's own would raise them again afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether the end has come."""
        if counter == 0:
            self._started()
        if self._asked is not None and not self.should_exit:
            passed, grace = time.monotonic() - self._asked, self._service.settings.grace_s
            late = passed >= grace - min(RESERVE, 0.8 * grace)
            if late:
                self._service.give_up()
            self.should_exit = late or (passed >= LINGER and not self._service.active)
        return await super().on_tick(counter)


def _connections(service: Service) -> type[Connection]:
    """The class of this service's connections."""

    class Ours(Connection):
        seconds = service.settings.receive_s

        def refused(self, status: int, error: str) -> None:
            service.metrics.requests.labels("none", str(status)).inc()
            service.log.request(Line(Exchange().id, "-", "-", status, 0.0, error=error))

    return Ours
