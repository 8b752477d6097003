"""The command itself as a process of its own: where it listens, its memory, its end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from .hosting import Host


class Process(Host):
    """A running `reslearn serve`. Its standard error goes to a file."""

    def __init__(self, folder, *arguments, port=0):
        self.log = Path(folder) / "stderr"
        command = [sys.executable, "-m", "reslearn", "serve", *map(str, arguments), "--port", str(port)]
        self.began = time.monotonic()
        surroundings = os.environ | {"OMP_NUM_THREADS": "1"}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([*command, "--engine", "torch"], stderr=log, env=surroundings)
        self.port = self._port()
        self.seconds = time.monotonic() - self.began

    def _port(self):
        until = time.monotonic() + 120
        while time.monotonic() < until:
            found = re.search(r"listening  http://127.0.0.1:([0-9]+)", self.log.read_text(errors="replace"))
            if found:
                return int(found[1])
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(self.log.read_text(errors="replace"))

    def memory(self):
        """Resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.search(r"VmRSS:\s+([0-9]+) kB", status)[1]) << 10

    def end(self, number=signal.SIGTERM):
        """(exit status, seconds that it took)."""
        began = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(60)
        return status, time.monotonic() - began


@contextlib.contextmanager
def running(folder, *arguments, port=0):
    own = Process(folder, *arguments, port=port)
    try:
        yield own
    finally:
        if own.process.poll() is None:
            own.process.kill()
            own.process.wait()
