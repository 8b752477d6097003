"""Processors as Linux describes them, trimmed to the fields that are read."""

from __future__ import annotations

import pytest

# One block a logical processor. Vendor, family, model and flags as the kernel prints them on such machines.
KINDS = {
    "zen4": ("AuthenticAMD", 25, 17, "AMD EPYC", "avx2 avx512f avx512_vnni avx512_bf16"),
    "zen2": ("AuthenticAMD", 23, 49, "AMD EPYC 7R32", "avx2"),
    "zen5": ("AuthenticAMD", 26, 2, "AMD EPYC 9965", "avx2 avx512f avx512_bf16"),
    "sapphire": ("GenuineIntel", 6, 143, "Intel(R) Xeon(R) Platinum 8488C", "avx512_bf16 amx_bf16 amx_tile amx_int8"),
    "sapphire-without-amx": ("GenuineIntel", 6, 143, "Intel(R) Xeon(R) Processor", "avx512f avx512_bf16 avx512_fp16"),
    "cooper-lake": ("GenuineIntel", 6, 85, "Intel(R) Xeon(R) Platinum 8380HL", "avx512f avx512_vnni avx512_bf16"),
    "haswell": ("GenuineIntel", 6, 63, "Intel(R) Xeon(R) CPU E5-2699 v3", "avx2 fma"),
}


@pytest.fixture(scope="session")
def cpuinfo():
    """cpuinfo("zen4", cores=2, threads=1) -> the text of /proc/cpuinfo."""

    def text(kind: str, cores: int = 2, threads: int = 1) -> str:
        vendor, family, model, name, flags = KINDS[kind]
        lines = (
            f"processor\t: {thread * cores + core}\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\n"
            f"model name\t: {name}\nphysical id\t: 0\ncore id\t\t: {core}\nflags\t\t: fpu {flags}\n"
            for thread in range(threads)
            for core in range(cores)
        )
        return "\n".join(lines)

    return text
