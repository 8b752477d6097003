"""glibc gives every large activation back to the kernel and pays page faults to get it again; one call stops that.
What it keeps instead, in an arena for each thread, another call gives back."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def tune() -> bool:
    """Keep freed memory in the process (no mmap, large trim threshold and top pad). True where glibc accepted it.

    Called by long commands before their first large allocation; never by a library call, because it changes the
    whole process.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False  # musl and others manage large blocks in their own way
    accepted = [
        mallopt(_M_MMAP_MAX, 0),
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1),
        mallopt(_M_TOP_PAD, 512 * 2**20),
    ]
    return all(accepted)


def trim() -> bool:
    """Give the free pages of all threads back to the system. True where some were.

    A server that decodes pictures of all sizes needs it: what a thread has freed below its last block stays the
    process's otherwise.
    """
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL("libc.so.6").malloc_trim(0))
    except (OSError, AttributeError):
        return False
