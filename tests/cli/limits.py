"""A process that gets little memory, and little time."""

from __future__ import annotations

import contextlib
import resource
import signal

GIGA = 1 << 30


@contextlib.contextmanager
def at_most(more):
    """Within the block this process gets `more` bytes of address space beside what it has."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", encoding="utf-8") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


class Hangs(BaseException):
    """No error that anybody would make a line of."""


@contextlib.contextmanager
def ends_within(seconds):
    """What waits for a pipe would wait for ever: it is interrupted."""

    def ring(number, frame):
        raise Hangs

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
