"""Hostile traffic beside valid: every valid request gets its own answer, nothing is a 500, memory stays where it is."""

from __future__ import annotations

import random
import re
import statistics
import time

import pytest

import reslearn

from .hostility import BOMBS, PICTURES, Valid, mixed
from .hosting import encoded, hosting, in_order, picture
from .process import running

LIMITS = {"receive_s": 1.5, "max_bytes": 1 << 20, "max_pixels": 20_000_000, "max_batch": 8}
OPTIONS = [part for name, value in LIMITS.items() for part in (f"--{name.replace('_', '-')}", value)]


@pytest.fixture(scope="module")
def wanted(model):
    predictor = reslearn.Predictor(model, engine="torch")
    return [in_order(one.to_json()["predictions"]) for one in predictor(PICTURES)]


def statuses(host):
    """How often each status was given, by the server's own count."""
    text = host.ask("GET", "/metrics")[2].decode()
    found = re.findall(r'reslearn_requests_total\{route="[^"]*",status="([0-9]+)"\} ([0-9.]+)', text)
    counts = {}
    for status, count in found:
        counts[int(status)] = counts.get(int(status), 0) + int(float(count))
    return counts


def test_a_few_seconds(model, wanted):
    with hosting(model, **LIMITS | {"receive_s": 1.0}) as host:
        valid = Valid(wanted)
        wrong, _ = mixed(host, valid, 1.5)
        assert not wrong and valid.answered > 20
        assert not [status for status in statuses(host) if status >= 500 and status != 503]
        valid.check([3], *host.post(PICTURES[3]))


@pytest.mark.slow
def test_a_minute(model, wanted, tmp_path):
    with running(tmp_path, model, *OPTIONS) as host:
        valid, sizes = Valid(wanted), []
        for raw in (*BOMBS, *PICTURES):
            host.post(raw)
        began = time.monotonic()
        wrong, done = mixed(host, valid, 60, each=lambda: sizes.append((time.monotonic() - began, host.memory())))
        counts = statuses(host)
        print(f"{valid.answered} pictures answered, {valid.refused} requests refused; {done}; {counts}")
        assert not wrong, wrong
        assert valid.answered > 200 and all(done.values())
        assert not [status for status in counts if status >= 500 and status != 503]
        plateau = statistics.median(size for at, size in sizes if 20 < at <= 40)
        last = [size for at, size in sizes if at > 40]
        print(f"memory: plateau {plateau / 2**20:.0f} MiB, then {min(last) / 2**20:.0f} .. {max(last) / 2**20:.0f}")
        assert statistics.median(last) < 1.1 * plateau
        valid.check([3], *host.post(PICTURES[3]))
        time.sleep(3)
        status, _headers, _ = host.ask("GET", "/metrics")
        assert status == 200 and "Traceback" not in host.log.read_text(errors="replace")
        assert host.end()[0] == 0


def fuzz(host, count, seed):
    """Pictures, forms and tensors with bytes changed, cut, doubled: no 500, and the thread goes on."""
    draw, counts = random.Random(seed), {}
    form, kind = encoded([("a", "b.png", picture(1)), ("c", "d.jpg", picture(2, form="JPEG"))])
    tensor = b'{"id":"x","inputs":[{"name":"images","datatype":"UINT8","shape":[1,2,2,3],"data":[%s]}]}' % (
        b",".join(b"%d" % i for i in range(12))
    )
    kinds = [(picture(1), "image/png", "/predict"), (picture(1, form="JPEG"), "image/jpeg", "/predict"),
             (picture(1, form="WEBP"), "image/webp", "/predict"), (picture(1, form="TIFF"), "image/tiff", "/predict"),
             (picture(1, form="GIF"), "image/gif", "/predict"), (picture(1, form="BMP"), "image/bmp", "/predict"),
             (form, kind, "/predict"), (tensor, "application/json", "/v2/models/insects/infer")]  # fmt: skip
    for _ in range(count):
        body, kind, path = draw.choice(kinds)
        raw = bytearray(body)
        for _ in range(draw.choice([0, 1, 1, 2, 5, 20])):
            at = draw.randrange(len(raw))
            match draw.randrange(4):
                case 0:
                    raw[at] = draw.randrange(256)
                case 1:
                    del raw[at : at + draw.randrange(1, 9)]
                case 2:
                    raw[at:at] = raw[at : at + draw.randrange(1, 40)]
                case 3:
                    raw[at : at + 4] = draw.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"9" * 30])
            if not raw:
                raw = bytearray(b"\0")
        if draw.random() < 0.1:
            raw = raw[: draw.randrange(len(raw)) + 1]
        status, answer = host.post(bytes(raw), path, kind)
        counts[status] = counts.get(status, 0) + 1
        assert status in (200, 400, 413, 415, 422), (status, answer, bytes(raw))
        assert status == 200 or "\n" not in answer["error"]
    return counts


def test_fuzzed_bodies(model, wanted):
    with hosting(model, **LIMITS) as host:
        counts = fuzz(host, 150, seed=0)
        assert counts[200] and counts[422]
        Valid(wanted).check([3], *host.post(PICTURES[3]))


@pytest.mark.slow
def test_ten_thousand_fuzzed_bodies(model, wanted, tmp_path):
    with running(tmp_path, model, *OPTIONS) as host:
        counts = fuzz(host, 10_000, seed=1)
        print(counts, statuses(host))
        assert set(statuses(host)) <= {200, 400, 413, 415, 422}
        Valid(wanted).check([3], *host.post(PICTURES[3]))
        assert "Traceback" not in host.log.read_text(errors="replace") and host.end()[0] == 0
