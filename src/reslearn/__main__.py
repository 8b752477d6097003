"""`python -m reslearn` and the `reslearn` command."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading


def main() -> None:
    try:
        _occupy_standard_descriptors()
        from .cli.app import main as run

        status = run()
    except KeyboardInterrupt:  # while modules were still being loaded
        status = 130
    if status in (130, 143) and threading.active_count() > 1:
        _leave(status)
    sys.exit(status)


def _leave(status: int) -> None:
    """End without the threads that a stopped command has left: who waits for a network may wait for minutes."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)


def _occupy_standard_descriptors() -> None:
    """Where 0, 1 or 2 is closed, the next file opened would take its number, and get what is meant for a terminal."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)


if __name__ == "__main__":
    main()
