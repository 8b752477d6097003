"""`reslearn doctor`: what this machine has, and what the package would make of it, on one screen."""

from __future__ import annotations

import os
import shutil
from typing import Any

from ..runtime import device
from ..runtime.environment import environment, extras, free_disk_gib, interpreter


def checkup(folder: str | os.PathLike[str] = ".") -> dict[str, Any]:
    """The environment record, torch's view of the machine, the extras, and free space where `folder` lies (GiB)."""
    import torch

    return {
        "interpreter": interpreter(),
        **environment(),
        "cuda": torch.version.cuda,
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "bf16": _bf16(),
        "amx": "amx_bf16" in device.cpu_flags(),
        "compile": device.has_compiler(),
        "threads": torch.get_num_threads(),
        "browser": next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None),
        "extras": extras(),
        "free_disk_gib": free_disk_gib(folder),
    }


def lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """`checkup`'s facts as name and sentence, one line each."""
    versions = facts["packages"]
    named = ("torch", "numpy", "opencv-python-headless", "pillow", "safetensors", "scikit-learn")
    missing = {name: gone for name, gone in facts["extras"].items() if gone}
    return [
        ("reslearn", f"{versions.get('reslearn', '?')}" + (f" at {facts['git']}" if facts["git"] else "")),
        ("python", facts["interpreter"]),
        ("packages", ", ".join(f"{name} {versions[name]}" for name in named if name in versions)),
        ("system", facts["system"]),
        ("processor", f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB"),
        ("device", ", ".join(facts["devices"]) or f"cpu (torch built {_built(facts['cuda'])})"),
        ("bf16, AMX", facts["bf16"]),
        ("compiler", facts["cxx"] or "no g++: networks run uncompiled; install g++ to train long runs faster"),
        ("allocator", f"{facts['allocator']}; {_tuning(facts['allocator'])}"),
        ("threads", f"{facts['threads']} of {facts['cores']} cores"),
        ("extras", ", ".join(name for name in facts["extras"] if name not in missing) or "none"),
        *([("not here", f"{', '.join(missing)} (pip install 'reslearn[{next(iter(missing))}]')")] if missing else []),
        ("free disk", f"{facts['free_disk_gib']} GiB here"),
    ]


def _bf16() -> str:
    """How fast bf16 arithmetic is on this machine, in words."""
    import torch

    if torch.cuda.is_available():
        return "on the GPU" if torch.cuda.get_device_capability() >= (8, 0) else "not on this GPU: fp16 instead"
    kind = device.bf16_kind()
    names = {"amx_bf16": "AMX tiles: training uses them", "avx512_bf16": "AVX512-bf16, no AMX: training uses it"}
    return names.get(kind, "no AMX, no AVX512-bf16: training stays in fp32")


def _built(cuda: str | None) -> str:
    return f"for CUDA {cuda}, no GPU seen" if cuda else "without CUDA"


def _tuning(allocator: str) -> str:
    return "long commands keep freed memory" if allocator.startswith("glibc") else "left as it is"
