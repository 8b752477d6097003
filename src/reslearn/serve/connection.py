"""uvicorn's connection, with the deadlines that it lacks, and with refusals in JSON.

A request's head must come in within `--receive-s` of its first byte (its body has what is left of that: `receiving`),
and an answer must be taken within it. A connection is closed in two steps, so that a client which is still sending
reads the answer and not a reset.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from .receiving import UNTIL

MOST = 1000  # connections; more are refused
LINGER = 2.0  # seconds in which what still comes is dropped, once all is written


class Connection(H11Protocol):
    """One connection, with `seconds` as its deadline."""

    seconds = 20.0

    def __init__(self, *values: Any, **more: Any) -> None:
        super().__init__(*values, **more)
        self._timer: asyncio.TimerHandle | None = None  # of a head that is coming in
        self._unread: asyncio.TimerHandle | None = None  # of an answer that nobody takes
        self._began: float | None = None
        self._closing = self._lost = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, _Transport(transport, self)))
        self._arm(self._late)
        if len(self.connections) > MOST:
            self._refuse(503, "the server has as many connections as it may; try again")

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._disarm()
        self._taken()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._began is None and self.conn.their_state is h11.IDLE:
            self._began = self.loop.time()
            self._disarm()
        super().data_received(data)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:  # its task has not begun yet
            began = self.loop.time() if self._began is None else self._began
            self.scope[UNTIL] = began + self.seconds  # type: ignore[literal-required]
            self._began = None
        if self._closing:
            return
        ours, theirs = self.conn.our_state, self.conn.their_state
        if theirs is h11.IDLE and self.conn.trailing_data[0]:
            self._began = self.loop.time() if self._began is None else self._began
            self._arm(self._late)
        elif not (theirs is h11.SEND_BODY and ours is h11.DONE):  # else the rest of a body is being dropped
            self._disarm()
            if theirs is h11.IDLE and self.timeout_keep_alive_task is None:
                wait, then = self.timeout_keep_alive, self.timeout_keep_alive_handler
                self.timeout_keep_alive_task = self.loop.call_later(wait, then)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:  # the rest of a refused body is dropped, for so long
            self._arm(self._cut)

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "the request is no HTTP that is understood here")

    def shutdown(self) -> None:
        with contextlib.suppress(h11.LocalProtocolError):
            super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.seconds, self._cut)

    def resume_writing(self) -> None:
        self._taken()
        super().resume_writing()

    def refused(self, status: int, error: str) -> None:
        """Told of what no route ever sees, and what was said of it."""

    def leave(self, inner: asyncio.Transport) -> None:
        """Close in two steps: say that no more will come, and drop what still comes, for a while; then cut."""
        self._closing = True
        self._disarm()
        self._unset_keepalive_if_required()
        if self._lost:
            return
        self._taken()
        seconds = self.seconds if inner.get_write_buffer_size() else min(LINGER, self.seconds)
        self._unread = self.loop.call_later(seconds, self._cut)
        try:
            inner.write_eof()
            inner.resume_reading()
        except (OSError, RuntimeError, NotImplementedError):
            inner.close()

    def _late(self) -> None:
        """The head has not come in."""
        self._timer = None
        if self._began is None or self.conn.our_state is not h11.IDLE:
            self.transport.close()
        else:
            self._refuse(408, f"the request's head did not come in within {self.seconds:g} s")

    def _refuse(self, status: int, error: str) -> None:
        """Answer what is no request, or the rest of one that turned out to be none; then close."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # it is answered here
            self.cycle.message_event.set()
        self.refused(status, error)
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps({"error": error}).encode()
            headers = [
                ("content-type", "application/json"),
                ("content-length", str(len(body))),
                ("connection", "close"),
            ]
            if status == 503:
                headers.append(("retry-after", "1"))
            answer = h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status])
            for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _arm(self, then: Callable[[], None]) -> None:
        if self._timer is None and not self._closing:
            self._timer = self.loop.call_later(self.seconds, then)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _taken(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _cut(self) -> None:
        self._timer = self._unread = None
        self.transport.abort()


class _Transport:
    """A transport whose `close` the connection makes; all else is the transport's own."""

    def __init__(self, inner: asyncio.Transport, connection: Connection) -> None:
        self._inner, self._connection = inner, connection
        self._left = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def is_closing(self) -> bool:
        """Whether `close` was called."""
        return self._left or self._inner.is_closing()

    def close(self) -> None:
        """Leave, once."""
        if not self._left:
            self._left = True
            self._connection.leave(self._inner)
