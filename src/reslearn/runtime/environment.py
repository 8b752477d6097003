"""What a number was measured on: versions, machine, build tools; for `run.json`, `doctor` and reports."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from ..spec.codec import to_json
from ..spec.credentials import masked
from .choice import this_machine
from .process_group import from_environment
from .processor import cores, physical_cores

PACKAGES = (
    "reslearn", "torch", "numpy", "opencv-python-headless", "pillow", "safetensors", "scikit-learn", "pydantic",
    "typer", "rich", "matplotlib", "jinja2", "scipy",
)  # fmt: skip

# A line of the package's own metadata: what an extra brings.
_OF_AN_EXTRA = re.compile(r"([\w.-]+)[^;]*;.*\bextra *== *.([\w-]+).")

# The instructions that decide how fast a CPU multiplies matrices, in /proc/cpuinfo's spelling.
CPU_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def environment() -> dict[str, Any]:
    """A JSON-ready record of versions, operating system, processor, compiler, allocator, device and git commit.

    Reads facts only: nothing is timed, no device is initialised, and torch is not imported on its account.
    """
    machine = this_machine(world=from_environment().size)
    return {
        "packages": package_versions(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": machine.processor.name,
        "processor": {name: getattr(machine.processor, name) for name in ("vendor", "family", "model")},
        "cores": cores(),
        "physical_cores": physical_cores(),
        "cpu_flags": [flag for flag in CPU_FLAGS if flag in machine.processor.flags],
        "rates": None if machine.rates is None else to_json(machine.rates),
        "memory_gib": memory_gib(),
        "gpus": gpu_names(),
        "cxx": compiler_version(os.environ.get("CXX", "g++")),
        "allocator": allocator_name(),
        "git": git_commit(Path(__file__).parent),
        "variables": {
            name: os.environ[name]
            for name in sorted(os.environ)
            if name.startswith(("OMP_", "MKL_", "KMP_", "TORCH_", "PYTORCH_", "CUDA_VISIBLE", "MALLOC_", "GLIBC_TUN"))
        },
    }


def package_versions(names: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Installed versions by distribution name, read from metadata (no import); a missing one is left out."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def extras() -> dict[str, list[str]]:
    """Extra -> the packages of it that are missing; an empty list means that the extra is installed."""
    found: dict[str, list[str]] = {}
    for line in importlib.metadata.requires("reslearn") or []:
        match = _OF_AN_EXTRA.match(line)
        if match is not None:
            name, extra = match.groups()
            found.setdefault(extra, []).extend([] if package_versions((name,)) else [name])
    return found


def memory_gib() -> float | None:
    """Physical memory in GiB, or None where the system does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


@cache
def gpu_names() -> list[str]:
    """Names of the NVIDIA GPUs the driver lists (CUDA itself is not started), or an empty list."""
    if shutil.which("nvidia-smi") is None:
        return []
    return (_output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader") or "").splitlines()


@cache
def compiler_version(name: str) -> str | None:
    """The first line of `name --version`, or None if there is no such compiler."""
    lines = (_output(name, "--version") or "").splitlines() if shutil.which(name) else []
    return lines[0] if lines else None


def allocator_name() -> str:
    """The C allocator that serves this process: a preloaded one by name, else the C library's."""
    preloaded = os.environ.get("LD_PRELOAD", "")
    for name in ("tcmalloc", "jemalloc", "mimalloc"):
        if name in preloaded:
            return name
    library, version = platform.libc_ver()
    return f"{library} {version}".strip() or "system"


@cache
def git_commit(folder: Path) -> str | None:
    """The commit of the checkout that `folder` lies in, with `-dirty` if files differ; None outside a checkout."""
    if shutil.which("git") is None:
        return None
    commit = _output("git", "-C", str(folder), "rev-parse", "--short=12", "HEAD")
    if not commit:
        return None
    # An installed copy may lie inside an unrelated repository; only a tracked file speaks for this package.
    if _output("git", "-C", str(folder), "ls-files", "--error-unmatch", __file__) is None:
        return None
    changed = _output("git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no")
    return commit + ("-dirty" if changed else "")


def free_disk_gib(folder: str | os.PathLike[str] = ".") -> float:
    """Free space in GiB where `folder` lies."""
    return round(shutil.disk_usage(folder).free / 2**30, 1)


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def interpreter() -> str:
    """The Python that runs, as `doctor` prints it."""
    return f"{platform.python_version()} ({sys.executable})"


def now() -> str:
    """This second, as records keep it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def command_line() -> str:
    """The `reslearn` command that is running, ready to paste; empty in a process that somebody else started."""
    program = Path(sys.argv[0]) if sys.argv else Path()
    ours = program.stem == "reslearn" or program.parts[-2:] == ("reslearn", "__main__.py")
    return shlex.join(["reslearn", *map(masked, sys.argv[1:])]) if ours else ""
