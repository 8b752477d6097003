"""`reslearn doctor`: what this machine has, and what the package would make of it, on one screen."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..runtime.choice import Workload, decide, has_compiler, this_machine
from ..runtime.environment import environment, extras, free_disk_gib, interpreter, package_versions
from ..runtime.machine import Rates, kept_rates
from ..runtime.processor import Processor
from ..runtime.settings import Settings
from ..spec.codec import fields_to_json
from ..spec.text import counted

if TYPE_CHECKING:
    from ..runtime.measuring import Measurement

OWN_WORK = ("dev", "docs")  # extras for working on the package itself
SHOWN = ("torch", "numpy", "opencv-python-headless", "pillow", "safetensors", "scikit-learn")


@dataclass(frozen=True)
class Checkup:
    """What this machine has."""

    interpreter: str
    environment: Mapping[str, object]  # as a run records it
    rates: Rates | None  # what a run decides by
    measured: Measurement | None  # if it was measured just now
    distrusted: str  # why rates that were kept are not believed; empty where they are
    cuda: str | None  # the version that torch is built for
    devices: list[str]
    bf16: str
    amx: bool
    compile: bool
    threads: int
    browser: str | None
    extras: dict[str, list[str]]  # extra -> the packages of it that are missing
    free_disk_gib: float

    def __repr__(self) -> str:
        where = ", ".join(self.devices) or "no GPU"
        return f"Checkup({where}, {counted(self.threads, 'thread')}, {self.bf16.partition(';')[0]}; lines() has all)"

    def to_json(self) -> dict[str, Any]:
        """All of it, the environment's facts among the others."""
        values = fields_to_json(self)
        return {"interpreter": self.interpreter, **values.pop("environment"), **values}  # rates: the best known

    def lines(self) -> list[tuple[str, str]]:
        """Name and sentence, one line each."""
        env, versions = self.environment, package_versions(("reslearn", *SHOWN))
        missing = [
            f"{extra} (pip install {' '.join(gone)})"
            for extra, gone in self.extras.items()
            if gone and extra not in OWN_WORK
        ]
        built = f"for CUDA {self.cuda}, no GPU seen" if self.cuda else "without CUDA"
        glibc = str(env["allocator"]).startswith("glibc")
        tuning = "long commands keep freed memory" if glibc else "left as it is"
        return [
            ("reslearn", f"{versions.get('reslearn', '?')}" + (f" at {env['git']}" if env["git"] else "")),
            ("python", self.interpreter),
            ("packages", ", ".join(f"{name} {versions[name]}" for name in SHOWN if name in versions)),
            ("system", str(env["system"])),
            ("processor", f"{env['cpu']}, {env['cores']} cores, {env['memory_gib']} GiB"),
            ("device", ", ".join(self.devices) or f"cpu (torch built {built})"),
            ("rates", self.rates.words() if self.rates else "not known: reslearn doctor --measure"),
            *([("measured", self.measured.words())] if self.measured else []),
            *([("ignored", self.distrusted)] if self.distrusted else []),
            ("bf16, AMX", self.bf16),
            ("compiler", str(env["cxx"] or "no g++: networks run uncompiled; install g++ to train long runs faster")),
            ("allocator", f"{env['allocator']}; {tuning}"),
            ("threads", f"{self.threads} of {env['cores']} cores"),
            ("extras", ", ".join(extra for extra, gone in self.extras.items() if not gone) or "none"),
            *([("not here", "; ".join(missing))] if missing else []),
            ("free disk", f"{self.free_disk_gib} GiB here"),
        ]


def checkup(*, measure: bool = False) -> Checkup:
    """The environment record, torch's view of the machine, the extras, and free space here (GiB).

    With `measure` the processor's rates are measured first, in about two seconds, and kept unless it is busy.
    """
    import torch

    machine, measured = this_machine(), None
    processor, threads = machine.processor, machine.threads
    if measure:
        from ..runtime.measuring import measure_and_keep

        measured = measure_and_keep(processor, threads)
        machine = this_machine()  # as a run sees it: with what has just been kept
    distrusted = kept_rates(processor, threads)[1]
    decided = decide(Workload(1.0, 1.0), device="cpu", machine=machine)
    return Checkup(
        interpreter=interpreter(),
        environment=environment(),
        rates=machine.rates,
        measured=measured,
        distrusted=distrusted,
        cuda=torch.version.cuda,
        devices=[torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        bf16=_bf16(processor, decided),
        amx="amx_bf16" in processor.flags,
        compile=has_compiler(),
        threads=decided.threads,
        browser=next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None),
        extras=extras(),
        free_disk_gib=free_disk_gib(),
    )


def _bf16(processor: Processor, decided: Settings) -> str:
    """Which bf16 instructions there are, and what a run makes of them by the rates."""
    import torch

    if torch.cuda.is_available():
        return "on the GPU" if torch.cuda.get_device_capability() >= (8, 0) else "not on this GPU: fp16 instead"
    names = {"amx_bf16": "AMX tiles", "avx512_bf16": "AVX512-bf16, no AMX"}
    has = names.get(processor.bf16_kind, "no AMX, no AVX512-bf16")
    return f"{has}; training in {decided.source.rpartition('; eager')[0]}"
