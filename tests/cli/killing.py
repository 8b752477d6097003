"""A command that kills itself: at its n-th change to a folder, or in the middle of writing a file that becomes long.

    python killing.py CHANGE BYTES COUNTER ARGUMENT...

Run in the folder. At the CHANGE-th file that is opened to write, renamed, removed or synced there, it dies by SIGKILL
just before; with BYTES, the kernel ends it within the write that would make any file longer. 0 is never. COUNTER gets
the number of changes of a command that came to its end.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"}


def die_at(change: int, folder: str) -> list[int]:
    """Count the changes below `folder`, and die just before the one of this number."""
    count, sync = [0], os.fsync

    def step(path: str) -> None:
        if os.path.abspath(path).startswith(folder + os.sep):
            count[0] += 1
            if count[0] == change:
                os.kill(os.getpid(), signal.SIGKILL)

    def seen(name: str, given: tuple) -> None:
        if name not in CHANGES or not isinstance(given[0], str | bytes | os.PathLike):
            return
        if name == "open" and not (given[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        step(os.fsdecode(given[0]))

    def synced(handle: int) -> None:
        step(os.readlink(f"/proc/self/fd/{handle}"))
        sync(handle)

    os.fsync = synced
    sys.addaudithook(seen)
    return count


def main() -> None:
    change, size, counter, *arguments = sys.argv[1:]
    count = die_at(int(change), os.getcwd())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if int(size):
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # else Python makes an error of it
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))
    from reslearn.cli.app import main as run

    status = run(arguments)
    sys.stdout.flush()
    if not int(size):
        Path(counter).write_text(str(count[0]))
    sys.exit(status)


if __name__ == "__main__":
    main()
