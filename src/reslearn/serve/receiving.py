"""A request's body, received with a bound on its size, on its time, and on what all of them hold at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.requests import Request

from .refusals import RETRY, Gone, Refused

UNTIL = "reslearn.until"  # of a request's scope: the event loop's time by which it must have come in


class Room:
    """Memory for bodies: `most` bytes of one, `total` of all that are being received or answered."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self.total, self.seconds = most, max(8 * most, 1 << 27), seconds
        self.held = 0

    @contextlib.asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The body, which counts until the block ends.

        Raises `Refused`: 408 for a slow sender, 411 without a length, 413 for more than `most`, 415 for a compressed
        one, 503 where there is no room; `Gone` where the client hangs up.
        """
        self._check_head(request)
        pieces: list[bytes] = []
        try:
            try:
                async with asyncio.timeout_at(self._until(request)):
                    async for piece in self._pieces(request):
                        pieces.append(piece)
            except TimeoutError:
                raise Refused(408, f"the request did not come in within {self.seconds:g} s") from None
            held, body = sum(map(len, pieces)), b"".join(pieces)
            pieces.clear()  # else all is here twice until it is answered
            try:
                yield body
            finally:
                self.held -= held
        finally:
            self.held -= sum(map(len, pieces))

    def _check_head(self, request: Request) -> None:
        headers = request.headers
        length = headers.get("content-length")
        if length is None and "transfer-encoding" not in headers:
            raise Refused(411, "the request has no Content-Length; send a picture with its length")
        if length is not None and length.isdecimal() and (len(length) > 15 or int(length) > self.most):
            raise Refused(413, f"the body has {length[:15]} bytes; {self.most} are taken at most")
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise Refused(415, "compressed bodies are not taken; pictures are compressed in themselves")

    def _until(self, request: Request) -> float:
        told = request.scope.get(UNTIL)
        return float(told) if told is not None else asyncio.get_running_loop().time() + self.seconds

    async def _pieces(self, request: Request) -> AsyncIterator[bytes]:
        got, more = 0, True
        while more:
            message = await request.receive()
            if message["type"] != "http.request":
                raise Gone
            piece, more = message.get("body", b""), message.get("more_body", False)
            got += len(piece)
            if got > self.most:
                raise Refused(413, f"the body has over {self.most} bytes, which are taken at most")
            if self.held + len(piece) > self.total:
                raise Refused(503, "the server holds as many bytes as it may; try again", RETRY)
            self.held += len(piece)
            yield piece
