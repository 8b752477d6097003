"""Commands that kill themselves: at the n-th change to a folder, or within the write that makes a file too long.

A process that has everything loaded reads one order a line, as JSON, and for each forks a process that runs the
command in its folder. It answers with that process's number, and at its end with its status. `change`: at that file
which is opened to write, renamed, removed or synced below the folder, the command dies by SIGKILL just before; `size`:
the kernel ends it within the write that would make any file longer. 0 is never. What is printed, and the number of
changes, lie beside the folder.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path

from reslearn.cli.app import main as run

JOBS = ("training", "crossval", "search.sweep", "convert", "ensemble", "evaluation")
JOBS += ("pages.evaluation", "pages.crossval", "pages.run", "pages.sweep")
LOADED = [*(f"reslearn.jobs.{name}" for name in JOBS), "reslearn.data.care.check", "reslearn.data.formats.packing"]
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


def obey(order: dict) -> None:
    """Run the command of an order in this process."""
    folder = Path(order["folder"])
    for number, name in ((1, "printed"), (2, "errors")):
        os.dup2(os.open(folder.parent / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(folder)
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    count = die_at(order["change"], str(folder))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if order["size"]:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # else Python makes an error of it
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["size"], order["size"]))
    status = run(order["arguments"])
    sys.stdout.flush()
    sys.stderr.flush()
    if not order["size"]:
        (folder.parent / "changes").write_text(str(count[0]))
    os._exit(status)


def main() -> None:
    for name in LOADED:
        importlib.import_module(name)
    while line := sys.stdin.readline():
        process = os.fork()
        if process == 0:
            try:
                obey(json.loads(line))
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(70)
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
