"""`reslearn doctor`: what this machine has, and what the package would make of it, on one screen."""

from __future__ import annotations

import os
import shutil
from typing import Any

from ..runtime.choice import Workload, decide, has_compiler, this_machine
from ..runtime.environment import environment, extras, free_disk_gib, interpreter
from ..runtime.machine import kept_rates, shipped_rates
from ..runtime.processor import Processor
from ..runtime.settings import Settings
from ..spec.codec import to_json


def checkup(folder: str | os.PathLike[str] = ".", *, measure: bool = False) -> dict[str, Any]:
    """The environment record, torch's view of the machine, the extras, and free space where `folder` lies (GiB).

    With `measure` the processor's rates are measured first, in about two seconds, and kept unless it is busy; they are
    then what is shown, kept or not.
    """
    import torch

    machine = this_machine()
    processor, threads = machine.processor, machine.threads
    measured = None
    if measure:
        from ..runtime.measuring import measure_and_keep

        measured = measure_and_keep(processor, threads)
    kept, distrusted = kept_rates(processor, threads)
    rates = measured.rates if measured else kept or shipped_rates(processor, threads)
    decided = decide(Workload(1.0, 1.0), device="cpu")  # as a run would: by what is kept
    return {
        "interpreter": interpreter(),
        **environment(),
        "rates": None if rates is None else to_json(rates),
        "measured": measured and measured.load.to_json() | {"outcome": measured.outcome},
        "distrusted": distrusted,
        "cuda": torch.version.cuda,
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "bf16": _bf16(processor, decided),
        "amx": "amx_bf16" in processor.flags,
        "compile": has_compiler(),
        "threads": decided.threads,
        "browser": next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None),
        "extras": extras(),
        "free_disk_gib": free_disk_gib(folder),
    }


def lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """`checkup`'s facts as name and sentence, one line each."""
    versions = facts["packages"]
    named = ("torch", "numpy", "opencv-python-headless", "pillow", "safetensors", "scikit-learn")
    missing = [f"{extra} (pip install {' '.join(gone)})" for extra, gone in facts["extras"].items() if gone]
    return [
        ("reslearn", f"{versions.get('reslearn', '?')}" + (f" at {facts['git']}" if facts["git"] else "")),
        ("python", facts["interpreter"]),
        ("packages", ", ".join(f"{name} {versions[name]}" for name in named if name in versions)),
        ("system", facts["system"]),
        ("processor", f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB"),
        ("device", ", ".join(facts["devices"]) or f"cpu (torch built {_built(facts['cuda'])})"),
        ("rates", _rates(facts["rates"])),
        *([("measured", facts["measured"]["outcome"])] if facts["measured"] else []),
        *([("ignored", facts["distrusted"])] if facts["distrusted"] else []),
        ("bf16, AMX", facts["bf16"]),
        ("compiler", facts["cxx"] or "no g++: networks run uncompiled; install g++ to train long runs faster"),
        ("allocator", f"{facts['allocator']}; {_tuning(facts['allocator'])}"),
        ("threads", f"{facts['threads']} of {facts['cores']} cores"),
        ("extras", ", ".join(extra for extra, gone in facts["extras"].items() if not gone) or "none"),
        *([("not here", "; ".join(missing))] if missing else []),
        ("free disk", f"{facts['free_disk_gib']} GiB here"),
    ]


def _bf16(processor: Processor, decided: Settings) -> str:
    """Which bf16 instructions there are, and what a run makes of them by the rates."""
    import torch

    if torch.cuda.is_available():
        return "on the GPU" if torch.cuda.get_device_capability() >= (8, 0) else "not on this GPU: fp16 instead"
    names = {"amx_bf16": "AMX tiles", "avx512_bf16": "AVX512-bf16, no AMX"}
    has = names.get(processor.bf16_kind, "no AMX, no AVX512-bf16")
    return f"{has}; training in {decided.source.rpartition('; eager')[0]}"


def _rates(rates: dict[str, Any] | None) -> str:
    """A processor's rates as a sentence."""
    if rates is None:
        return "not known: reslearn doctor --measure"
    words = ", ".join(f"{name} {rate:.4g}" for name, rate in rates["matrix"].items()) + " GFLOP/s"
    if rates["convolution"]:
        words += f" (convolutions {', '.join(f'{rate:.3g}' for rate in rates['convolution'].values())})"
    copied = f"; copies {rates['bandwidth']:.3g} GB/s" if rates["bandwidth"] else ""
    return f"{words}{copied}; {rates['threads']} threads, {rates['source']}"


def _built(cuda: str | None) -> str:
    return f"for CUDA {cuda}, no GPU seen" if cuda else "without CUDA"


def _tuning(allocator: str) -> str:
    return "long commands keep freed memory" if allocator.startswith("glibc") else "left as it is"
