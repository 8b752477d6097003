"""Rates of processors: the shipped table by vendor, family, model and flags; and a cache that is read with distrust."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace

import pytest

from reslearn.runtime import machine
from reslearn.runtime.machine import Rates, keep_rates, kept_rates, known_rates, shipped_rates
from reslearn.runtime.processor import read_processor

MEASURED = Rates(2, {"fp32": 100.0, "bf16": 60.0}, {"fp32": 90.0, "bf16": 50.0}, 21.5, "measured here on 2026-01-02")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def zen4(cpuinfo):
    return read_processor(cpuinfo("zen4"))


@pytest.mark.parametrize(
    ("kind", "fp32", "bf16"),
    [
        ("zen4", 138, 335),
        ("sapphire", 194, 1910),
        ("sapphire-without-amx", 298, 164),
        ("zen5", None, None),  # the flag of Zen 4 on another core
        ("cooper-lake", None, None),
        ("haswell", None, None),
        ("zen2", None, None),
    ],
)
def test_what_is_shipped(kind, fp32, bf16, cpuinfo):
    found = shipped_rates(read_processor(cpuinfo(kind)), 2)
    assert (found and (found.matrix["fp32"], found.matrix["bf16"])) == (fp32 and (fp32, bf16))


def test_shipped_rates_grow_with_the_cores(zen4):
    eight = shipped_rates(zen4, 8)
    assert (eight.threads, eight.matrix["bf16"]) == (8, 4 * 335) and "AMD Zen 4" in eight.source
    assert eight.gain("bf16") == pytest.approx(335 / 138)


def test_threads_beyond_the_cores_add_nothing(cache, zen4):
    assert known_rates(zen4, 64, 2).matrix == known_rates(zen4, 2, 2).matrix == shipped_rates(zen4, 2).matrix
    assert known_rates(zen4, 2, 64).threads == 2


def test_the_gain_is_that_of_convolutions_where_they_were_measured():
    assert MEASURED.gain("bf16") == pytest.approx(50 / 90)
    assert replace(MEASURED, convolution={}).gain("bf16") == pytest.approx(0.6)
    assert MEASURED.gain("fp16") is None


def test_a_kept_measurement_comes_back_and_goes_before_the_shipped_one(cache, zen4):
    assert kept_rates(zen4, 2) == (None, "") and known_rates(zen4, 2).source.startswith("shipped")
    path = keep_rates(zen4, 2, MEASURED)
    assert path.is_relative_to(cache) and path.stat().st_mode & 0o077 == 0
    assert kept_rates(zen4, 2) == (MEASURED, "") and known_rates(zen4, 2) == MEASURED


def test_another_processor_torch_or_number_of_threads_has_its_own(cache, zen4, monkeypatch):
    keep_rates(zen4, 2, MEASURED)
    assert kept_rates(zen4, 1)[0] is None
    for changed in ({"family": 26}, {"model": 18}, {"name": "x"}, {"flags": zen4.flags | {"amx_bf16"}}):
        assert kept_rates(replace(zen4, **changed), 2)[0] is None
    monkeypatch.setattr(machine, "torch_version", lambda: "9.9.9")
    assert kept_rates(zen4, 2)[0] is None


def rewritten(path, change):
    """The file with `change` applied to its contents, and its checksum made to fit again: whoever did it knew how."""
    found = json.loads(path.read_text())
    change(found)
    body = {name: found[name] for name in ("format", "key", "rates") if name in found}
    path.write_text(json.dumps(found | {"sha256": machine._digest(body)}))


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -5.0, 0, 1e12, "138", True, None, [1], {"a": 1}, 10**400], ids=lambda v: str(v)[:8]
)
@pytest.mark.parametrize("where", ["matrix", "convolution", "bandwidth"])
def test_a_number_that_cannot_be_true_is_not_believed(where, value, cache, zen4):
    path = keep_rates(zen4, 2, MEASURED)

    def poison(found):
        if where == "bandwidth":
            found["rates"]["bandwidth"] = value
        else:
            found["rates"][where]["bf16"] = value

    rewritten(path, poison)
    rates, reason = kept_rates(zen4, 2)
    if where == "bandwidth" and value is None:  # it may be unknown
        assert rates is not None
    else:
        assert rates is None and str(path) in reason and "\n" not in reason
        told = known_rates(zen4, 2).source
        assert told.startswith("shipped") and told.endswith("is not believed, see reslearn doctor")


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f["rates"].update(threads=0),
        lambda f: f["rates"].update(threads=64),
        lambda f: f["rates"].update(threads=1.5),
        lambda f: f["rates"].update(source="two\nlines"),
        lambda f: f["rates"].update(source=7),
        lambda f: f["rates"].update(matrix=[1, 2]),
        lambda f: f["rates"].update(matrix={"bf16": 100.0}),
        lambda f: f["rates"]["matrix"].update(fp8=1.0),
        lambda f: f["rates"].pop("bandwidth"),
        lambda f: f.update(rates=None),
        lambda f: f.update(format=2),
        lambda f: f.pop("key"),
        lambda f: f["key"].update(torch="1.0"),  # copied to where another torch's would lie
        lambda f: f["key"].update(threads=4),
        lambda f: f["key"].update(flags="0"),
    ],
)
def test_a_file_of_another_shape_is_not_believed(change, cache, zen4):
    rewritten(keep_rates(zen4, 2, MEASURED), change)
    rates, reason = kept_rates(zen4, 2)
    assert rates is None and "is not believed" in reason


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": 1'])
def test_a_file_that_is_none_of_ours_is_not_believed(content, cache, zen4):
    keep_rates(zen4, 2, MEASURED).write_bytes(content)
    rates, reason = kept_rates(zen4, 2)
    assert rates is None and "is not believed" in reason


def test_a_number_changed_by_hand_breaks_the_checksum(cache, zen4):
    path = keep_rates(zen4, 2, MEASURED)
    path.write_text(path.read_text().replace("60.0", "600.0"))
    assert kept_rates(zen4, 2)[0] is None


def test_a_file_that_others_may_write_or_that_points_elsewhere_is_not_believed(cache, zen4, tmp_path):
    path = keep_rates(zen4, 2, MEASURED)
    path.chmod(0o666)
    assert "only this user can write" in kept_rates(zen4, 2)[1]
    path.chmod(0o600)
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    assert kept_rates(zen4, 2)[0] is None
    path.unlink()
    path.mkdir()
    assert kept_rates(zen4, 2)[0] is None
    if os.geteuid() == 0:
        path.rmdir()
        os.chown(keep_rates(zen4, 2, MEASURED), 12345, 12345)
        assert kept_rates(zen4, 2)[0] is None
