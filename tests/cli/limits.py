"""A process that gets little memory."""

from __future__ import annotations

import contextlib
import resource

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
