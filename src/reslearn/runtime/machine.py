"""What a kind of processor does, as values: shipped for kinds that were measured, else measured here and kept.

A flag is not a fact: AVX512-BF16 doubles one processor's matrix products and halves another's. So settings follow from
rates. `doctor --measure` (and `bench`, before it starts) measures them in about two seconds, never a run; they are kept
in the user's cache under processor, torch and threads, and read back with distrust.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..spec.codec import from_json, to_json
from ..spec.text import counted
from .files import read_json, user_cache, write_json
from .processor import Processor
from .settings import Precision

MEASURE = "reslearn doctor --measure"
FORMAT = 1
LIMITS = 1e-3, 1e5  # GFLOP/s or GB/s of one thread, outside which no number is believed


@dataclass(frozen=True)
class Rates:
    """What `threads` threads do together. A precision is missing where nobody measured it."""

    threads: int
    matrix: Mapping[Precision, float]  # GFLOP/s of large matrix products
    convolution: Mapping[Precision, float] = field(default_factory=dict)  # GFLOP/s, 3x3, forward and backward
    bandwidth: float | None = None  # GB/s read and written by a copy
    source: str = ""  # where these numbers come from

    def gain(self, precision: Precision) -> float | None:
        """How many times as fast as fp32 convolutions are in `precision`, or matrix products where that is all we have.

        None where one of the two is not known.
        """
        for rates in (self.convolution, self.matrix):
            if "fp32" in rates and precision in rates:
                return rates[precision] / rates["fp32"]
        return None

    def words(self) -> str:
        """All of it as a sentence."""
        told = f"{_listed(self.matrix)} GFLOP/s"
        if self.convolution:
            told += f" (convolutions {_listed(self.convolution)})"
        copied = f"; copies {self.bandwidth:.3g} GB/s" if self.bandwidth else ""
        return f"{told}{copied}; {counted(self.threads, 'thread')}, {self.source}"

    def scaled(self, threads: int) -> Rates:
        """The same kind of processor with another number of cores at work."""
        times = threads / self.threads
        return replace(
            self,
            threads=threads,
            matrix={name: rate * times for name, rate in self.matrix.items()},
            convolution={name: rate * times for name, rate in self.convolution.items()},
            bandwidth=None if self.bandwidth is None else self.bandwidth * times,
        )


@dataclass(frozen=True)
class Kind:
    """Processors whose rates were measured once for all: vendor, family, flags, and which models are none of them."""

    name: str
    vendor: str
    family: int
    has: frozenset[str]
    rates: Rates
    lacks: frozenset[str] = frozenset()
    other_models: tuple[int, ...] = ()  # of this family and with these flags, but made otherwise

    def includes(self, processor: Processor) -> bool:
        """Whether `processor` is of this kind."""
        return (
            (processor.vendor, processor.family) == (self.vendor, self.family)
            and processor.model not in self.other_models
            and self.has <= processor.flags
            and not self.lacks & processor.flags
        )


# Two cores each; benchmarks/RESULTS.md says how and when. Cooper Lake (6/85) has AVX512-BF16 too, and was not measured.
KINDS = (
    Kind(
        "Intel with AMX",
        "GenuineIntel",
        6,
        frozenset({"amx_bf16", "amx_tile"}),
        Rates(2, {"fp32": 194.0, "bf16": 1910.0}),
    ),
    Kind(
        "Intel with AVX512-BF16 and without AMX",
        "GenuineIntel",
        6,
        frozenset({"avx512_bf16"}),
        Rates(2, {"fp32": 298.0, "bf16": 164.0, "fp16": 315.0}),
        lacks=frozenset({"amx_bf16"}),
        other_models=(85,),
    ),
    Kind(
        "AMD Zen 4",
        "AuthenticAMD",
        25,
        frozenset({"avx512_bf16"}),
        Rates(2, {"fp32": 138.0, "bf16": 335.0}),
    ),
)


def known_rates(processor: Processor, threads: int, cores: int | None = None) -> Rates | None:
    """What is known of `threads` threads of this processor: measured here, else shipped for its kind, else None.

    Shipped are rates of one thread a core, so that threads beyond the `cores` add nothing.
    """
    kept, distrusted = kept_rates(processor, threads)
    rates = kept or shipped_rates(processor, min(threads, cores or threads))
    if rates is not None and distrusted:
        return replace(rates, source=f"{rates.source}; what was kept here is not believed, see reslearn doctor")
    return rates


def shipped_rates(processor: Processor, threads: int) -> Rates | None:
    """The shipped table's rates of the processor's kind; None for a kind that is not in it."""
    for kind in KINDS:
        if kind.includes(processor):
            return replace(kind.rates.scaled(threads), source=f"shipped for {kind.name}")
    return None


def kept_rates(processor: Processor, threads: int) -> tuple[Rates | None, str]:
    """Rates that were measured on this processor with this torch and this many threads, or None.

    Also why a file that lies there is not believed, if so.
    """
    path = cache_file(processor, threads)
    try:
        if not os.path.lexists(path):
            return None, ""
        return _believed(path, _key(processor, threads)), ""
    except Exception as error:  # anything at all may lie there; none of it may stop a run
        return None, f"{path} is not believed: {' '.join(str(error).split())}"


def keep_rates(processor: Processor, threads: int, rates: Rates) -> Path:
    """Put measured `rates` into the user's cache. Raises `OSError` or `UserError` where that cannot be written."""
    path = cache_file(processor, threads)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    body = {"format": FORMAT, "key": _key(processor, threads), "rates": to_json(rates)}
    write_json(path, body | {"sha256": _digest(body)})
    path.chmod(0o600)
    return path


def cache_file(processor: Processor, threads: int) -> Path:
    """Where such a measurement is kept."""
    return user_cache() / "machine" / f"{_digest(_key(processor, threads))[:16]}.json"


def torch_version() -> str:
    """The installed torch, read from metadata: importing it takes a second."""
    return importlib.metadata.version("torch")


def _listed(rates: Mapping[Precision, float]) -> str:
    return ", ".join(f"{name} {rate:,.0f}" if rate >= 100 else f"{name} {rate:.3g}" for name, rate in rates.items())


def _key(processor: Processor, threads: int) -> dict[str, Any]:
    """Everything that another measurement would be needed for."""
    flags = hashlib.sha256(" ".join(sorted(processor.flags)).encode()).hexdigest()[:16]
    facts = {name: getattr(processor, name) for name in ("vendor", "family", "model", "name")}
    return facts | {"flags": flags, "torch": torch_version(), "threads": threads}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _believed(path: Path, key: Mapping[str, Any]) -> Rates:
    """The rates in `path`, if it is this user's own file, whole, for `key`, and its numbers can be true."""
    status = path.lstat()
    if path.is_symlink() or not path.is_file() or status.st_uid not in (os.geteuid(), 0) or status.st_mode & 0o022:
        raise ValueError("not a file of this user that only this user can write")
    found = read_json(path)
    body = {name: found[name] for name in ("format", "key", "rates")}
    if found.get("sha256") != _digest(body) or body["format"] != FORMAT:
        raise ValueError("its checksum or its format is wrong")
    if body["key"] != dict(key):
        raise ValueError("measured on another processor, with another torch or with other threads")
    rates = from_json(Rates, body["rates"], "rates")
    low, high = (limit * key["threads"] for limit in LIMITS)
    given = [*rates.matrix.values(), *rates.convolution.values(), *([rates.bandwidth] if rates.bandwidth else ())]
    if not 1 <= rates.threads <= key["threads"] or "fp32" not in rates.matrix or rates.bandwidth == 0:
        raise ValueError(f"no rates of 1 to {key['threads']} threads, fp32 among them")
    if not all(low <= rate <= high for rate in given):
        raise ValueError(f"its rates are not between {low:g} and {high:g}, as those of {key['threads']} threads are")
    if to_json(rates) != body["rates"] or not rates.source.isprintable() or len(rates.source) > 200:
        raise ValueError("it says less or more than such a file does")
    return rates
