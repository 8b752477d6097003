"""Which processor is this, and how much of it may this process use? Facts that the system tells; nothing is timed."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
QUOTA = Path("/sys/fs/cgroup/cpu.max")
# What oneDNN, which computes convolutions, leaves unused where ONEDNN_MAX_CPU_ISA says so: flags that begin like these.
_BEYOND = (
    (("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2"), ("avx512", "amx")),
    (("AVX512_CORE", "AVX512_CORE_VNNI"), ("avx512_bf16", "avx512_fp16", "amx")),
    (("AVX512_CORE_BF16", "AVX512_CORE_FP16", "AVX10_1_512"), ("amx",)),
)


@dataclass(frozen=True)
class Processor:
    """What the processor says of itself; on systems without /proc/cpuinfo its name alone."""

    vendor: str  # GenuineIntel, AuthenticAMD, ...; empty where the system does not say
    family: int
    model: int
    name: str
    flags: frozenset[str]

    @property
    def kind(self) -> str:
        """What it is called where its name says little, as under a hypervisor."""
        return f"{self.name} ({self.vendor} {self.family}/{self.model})" if self.vendor else self.name

    @property
    def bf16_kind(self) -> str:
        """Its bf16 instruction set: `amx_bf16`, `avx512_bf16`, or an empty string. What that is worth, rates say."""
        return next((kind for kind in ("amx_bf16", "avx512_bf16") if kind in self.flags), "")


def read_processor(text: str | None = None) -> Processor:
    """The processor that `text`, in the form of Linux's /proc/cpuinfo, describes; without it, this machine's.

    What of this machine's the environment forbids to use is left out: a flag that is not used is none.
    """
    fields = _fields((_read(CPUINFO) if text is None else text).strip().partition("\n\n")[0])
    beyond = _forbidden(os.environ.get("ONEDNN_MAX_CPU_ISA", "")) if text is None else ()
    flags = fields.get("flags", fields.get("Features", "")).split()  # Features: on ARM
    number = {name: int(fields[name]) for name in ("cpu family", "model") if fields.get(name, "").isdecimal()}
    return Processor(
        vendor=fields.get("vendor_id", ""),
        family=number.get("cpu family", 0),
        model=number.get("model", 0),
        name=fields.get("model name") or _brand() or platform.processor() or platform.machine(),
        flags=frozenset(flag for flag in flags if not flag.startswith(beyond)),
    )


def cores() -> int:
    """Logical processors that this process may use: its affinity, and its container's share where that is less."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read(QUOTA).partition(" ")
    if quota.isdecimal() and period.strip().isdecimal():
        allowed = min(allowed, -(-int(quota) // int(period)))
    return max(allowed, 1)


def physical_cores(text: str | None = None, allowed: Collection[int] | None = None) -> int:
    """Cores behind the logical processors that this process may use: two threads of one core share its arithmetic.

    `text` and `allowed` (numbers of logical processors) stand for this machine's. Where the system does not say which
    belong together, each counts as one.
    """
    if allowed is None:
        allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    blocks = [_fields(block) for block in (_read(CPUINFO) if text is None else text).strip().split("\n\n")]
    mine = [block for block in blocks if block.get("processor", "").isdecimal() and int(block["processor"]) in allowed]
    known = [(block["physical id"], block["core id"]) for block in mine if {"physical id", "core id"} <= block.keys()]
    behind = len(set(known)) if len(known) == len(mine) and known else len(allowed)
    return max(min(behind, cores()) if text is None else behind, 1)


def _forbidden(most: str) -> tuple[str, ...]:
    """How the flags begin that lie beyond `most`, the last instruction set that may be used; none for another word."""
    return next((flags for levels, flags in _BEYOND if most.upper() in levels), ())


def _brand() -> str:
    """The processor's name on macOS; empty elsewhere."""
    if platform.system() != "Darwin":
        return ""
    done = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _fields(block: str) -> dict[str, str]:
    lines = (line.partition(":") for line in block.splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
