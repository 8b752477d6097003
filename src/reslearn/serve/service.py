"""What the routes share: models, the threads that decode, room for bodies, counters, and whether the server ends."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from numpy.typing import NDArray
from starlette.requests import Request

from ..runtime.opening import read_regular
from ..spec.errors import UserError
from .batcher import Full, Row, Unanswered
from .decoding import Decoding
from .log import Log
from .metrics import Metrics
from .models import Served, Slot
from .receiving import Room
from .refusals import RETRY, Gone, Refused
from .settings import Settings

T = TypeVar("T")
_KEYS = 1 << 20  # bytes of a file of keys


class Service:
    """One server's state. `close` ends its threads; what was accepted is answered first by who waits for `active`."""

    def __init__(
        self, slots: Mapping[str, Slot], settings: Settings, metrics: Metrics, keys: Sequence[bytes] = ()
    ) -> None:
        self.slots, self.settings, self.metrics, self.keys = dict(slots), settings, metrics, tuple(keys)
        self.decoding = Decoding(settings.max_pixels)
        self.room = Room(settings.max_bytes, settings.receive_s)
        self.log = Log(settings.log_format)
        self.active = 0  # requests that were let in and are not answered
        self.draining = False
        self.closed = False
        self._waiting: set[asyncio.Future[Any]] = set()
        self._closing: list[Callable[[], None]] = []
        for name, slot in self.slots.items():
            metrics.queue.labels(name).set_function(lambda slot=slot: slot.accepted)  # type: ignore[misc]

    @property
    def ready(self) -> bool:
        """Whether it takes requests."""
        return not self.draining and not self.closed

    def drain(self) -> None:
        """Let nobody in any more; who is in is answered."""
        self.draining = True

    def give_up(self) -> None:
        """Tell those who still wait that there will be no answer."""
        for task in list(self._waiting):
            task.cancel()

    def on_close(self, call: Callable[[], None]) -> None:
        """`call` is called when the service closes."""
        self._closing.append(call)

    def close(self) -> None:
        """End all threads; waits for none of them but the log's, for a second."""
        if self.closed:
            return
        self.closed = True
        for call in self._closing:
            call()
        for slot in self.slots.values():
            slot.current.batcher.close()
        self.decoding.close()
        self.log.close()

    def slot(self, name: str | None) -> Slot:
        """The model of that name; the first one without. Raises `Refused` for a name that there is not."""
        if name is None:
            return next(iter(self.slots.values()))
        if name not in self.slots:
            raise Refused(404, f"no model '{name[:100]}'; there is {', '.join(self.slots)}")
        return self.slots[name]

    def allows(self, headers: Mapping[str, str]) -> bool:
        """Whether a request brings one of the keys; all are compared, each in constant time."""
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        given = bearer.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "")
        found = [hmac.compare_digest(given.encode("latin-1", "replace"), key) for key in self.keys]
        return any(found)

    @contextlib.contextmanager
    def accepting(self, served: Served, count: int) -> Iterator[None]:
        """Room in the model's queue. Raises `Refused` where there is none, now or ever."""
        most = self.settings.queue
        if count > most:
            raise Refused(413, f"{count} pictures; {most} are taken at once, send them in several requests")
        try:
            with served.batcher.accepting(count):
                yield
        except Full:
            raise Refused(429, f"the queue of {most} pictures is full; try again", RETRY) from None

    async def in_time(self, request: Request, work: Awaitable[T]) -> T:
        """What `work` comes to. Raises `Refused` where it takes longer than it may, or the server ends before; `Gone`
        where the client hangs up."""
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(request.receive())
        self._waiting.add(task)
        try:
            await asyncio.wait((task, gone), timeout=self.settings.timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if task.cancelled():
                raise Refused(503, "the server is being stopped; ask another, or again", RETRY)
            if task.done():
                return task.result()
            if gone.done():
                raise Gone
            raise Refused(503, f"no answer within {self.settings.timeout_s:g} s; try again", RETRY)
        finally:
            self._waiting.discard(task)
            task.cancel()
            gone.cancel()

    async def score(self, served: Served, pictures: Sequence[NDArray[Any] | str]) -> list[Row | str]:
        """Logits of prepared pictures, in order; a line stays the line that it is."""
        sound = [one for one in pictures if not isinstance(one, str)]
        answers = iter(await served.batcher.score(sound))
        found: list[Row | str] = []
        for one in pictures:
            answer = one if isinstance(one, str) else next(answers)
            found.append(answer.error if isinstance(answer, Unanswered) else answer)
        return found


def read_keys(path: str | os.PathLike[str]) -> tuple[bytes, ...]:
    """The keys in a file, one a line; blank lines and those that begin with # are none. Raises `UserError` for a file
    that cannot be read or holds no key."""
    try:
        lines = read_regular(path, _KEYS).splitlines()
    except OSError as error:
        raise UserError(f"--api-key-file {os.fspath(path)}: cannot be read ({error.strerror or error})") from None
    keys = tuple(line.strip() for line in lines if line.strip() and not line.lstrip().startswith(b"#"))
    if not keys:
        raise UserError(f"--api-key-file {os.fspath(path)}: no key in it; write one a line")
    if any(not key.isascii() or b" " in key for key in keys):
        raise UserError(f"--api-key-file {os.fspath(path)}: a key is made of ASCII characters without blanks")
    return keys
