"""`python -m reslearn` and the `reslearn` command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    try:
        _occupy_standard_descriptors()
        from .cli.app import main as run

        status = run()
    except KeyboardInterrupt:  # while modules were still being loaded
        status = 130
    sys.exit(status)


def _occupy_standard_descriptors() -> None:
    """Where 0, 1 or 2 is closed, the next file opened would take its number, and get what is meant for a terminal."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)


if __name__ == "__main__":
    main()
