"""Hostile clients, each a function of a host and a random generator; valid ones, whose answers are compared."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import threading
import time
import zlib

from PIL import Image

from .hosting import answers, encoded, in_order, picture, read_all, request

PICTURES = [picture(seed) for seed in range(40)]


def png_of(width, height):
    """A PNG of one bit a pixel that says how large it is, and is a few kilobytes."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer, packed = zlib.compressobj(9), b""
    for _ in range(min(height, 4000)):
        packed += packer.compress(bytes(1 + (width + 7) // 8))
    packed += packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def _bomb_gif():
    target = io.BytesIO()
    Image.new("P", (3000, 3000)).save(target, "GIF")
    return target.getvalue()


BOMBS = [png_of(60_000, 60_000), png_of(30_000, 400), png_of(4_000, 4_000), _bomb_gif(), png_of(100_000, 1)]
ODD = [
    b"/" * 3000,
    b"/%00",
    b"/..%2f..%2fetc/passwd",
    b"/predict/",
    b"/v2/models/%ff/infer",
    b"/static/..",
    b"*",
    b"http://x/y",
]


def truncated(host, draw):
    raw = draw.choice(PICTURES)
    status, _ = host.post(raw[: draw.randrange(1, len(raw) - 20)])  # the last bytes of a PNG hold nothing of it
    assert status == 422, status


def bomb(host, draw):
    status, answer = host.post(draw.choice(BOMBS))
    assert status in (200, 422, 503, 429), answer


def wrong_type(host, draw):
    kind = draw.choice(
        ["text/html", "application/json", "multipart/mixed; boundary=x", "x", "image/png; \xff", "multipart/form-data"]
    )
    status, _ = host.post(draw.choice(PICTURES), kind=kind)
    assert status in (200, 400, 415), status


def slow_sender(host, draw):
    whole = request(draw.choice(PICTURES))
    with host.socket() as own, contextlib.suppress(OSError):
        own.sendall(whole[: draw.randrange(1, 200)])
        own.settimeout(0.1)
        until = time.monotonic() + 6
        while time.monotonic() < until:
            own.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                if not own.recv(1 << 12):
                    return
        raise AssertionError("a slow sender was not cut off")


def slow_reader(host, draw):
    with host.socket() as own, contextlib.suppress(OSError):
        own.settimeout(0.1)
        until = time.monotonic() + 2
        while time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                own.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 20)


def oversized(host, draw):
    size = draw.randrange(1 << 20, 3 << 20) + 1
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
    with host.socket() as own:
        own.sendall(head + bytes(size))
        assert own.recv(1 << 16).startswith(b"HTTP/1.1 413")


def oversized_chunks(host, draw):
    with host.socket() as own, contextlib.suppress(ConnectionResetError, BrokenPipeError):
        own.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(40):
            own.sendall(b"10000\r\n" + bytes(1 << 16) + b"\r\n")
        assert own.recv(1 << 16).startswith(b"HTTP/1.1 413")


def broken_form(host, draw):
    body, kind = encoded([("a", "b.png", draw.choice(PICTURES))])
    at = draw.randrange(len(body))
    broken = draw.choice(
        [body[:at], body[:at] + bytes([draw.randrange(256)]) * 3 + body[at:], body.replace(b"\r\n", b"\n")]
    )
    status, _ = host.post(broken, kind=kind)
    assert status in (200, 400, 422), status


def hang_up(host, draw):
    whole = request(draw.choice(PICTURES))
    with host.socket() as own, contextlib.suppress(OSError):
        own.sendall(whole[: draw.randrange(1, len(whole) + 1)])
        if draw.random() < 0.5:
            own.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER: a reset


def garbage(host, draw):
    with contextlib.suppress(OSError):
        raw = host.raw(draw.randbytes(draw.randrange(1, 3000)) + b"\r\n\r\n", timeout=10)
        assert not raw or raw.startswith((b"HTTP/1.1 400", b"HTTP/1.1 408")), raw[:80]


def odd_path(host, draw):
    path, method = draw.choice(ODD), draw.choice([b"GET", b"POST", b"HEAD", b"DELETE", b"BREW", b"OPTIONS"])
    raw = host.raw(method + b" " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert 400 <= int(raw.split(b" ", 2)[1]) < 500, raw[:80]


ATTACKS = (truncated, bomb, wrong_type, slow_sender, slow_reader, oversized, oversized_chunks, broken_form, hang_up,
           garbage, odd_path)  # fmt: skip


class Valid:
    """Requests that are right, in all the ways that there are; `wanted` is what each picture's answer must be."""

    def __init__(self, wanted):
        self.wanted, self.answered, self.refused = wanted, 0, 0

    def check(self, places, status, answer):
        if status in (429, 503):
            self.refused += 1
            return
        assert status == 200, (status, answer)
        found = [in_order(one["predictions"]) for one in answer["predictions"]]
        assert found == [self.wanted[i] for i in places], "another picture's answer"
        self.answered += len(places)

    def one(self, host, draw):
        i = draw.randrange(len(PICTURES))
        self.check([i], *host.post(PICTURES[i]))

    def form(self, host, draw):
        places = [draw.randrange(len(PICTURES)) for _ in range(draw.randrange(1, 9))]
        self.check(places, *host.form([("f", f"{i}.png", PICTURES[i]) for i in places]))

    def pipeline(self, host, draw):
        places = [draw.randrange(len(PICTURES)) for _ in range(5)]
        sent = b"".join(request(PICTURES[i]) for i in places[:-1])
        raw = host.raw(sent + request(PICTURES[places[-1]], more="Connection: close\r\n"))
        told = answers(raw)
        assert len(told) == len(places), told
        for i, (status, answer) in zip(places, told, strict=True):
            self.check([i], status, answer)

    def old(self, host, draw):
        i = draw.randrange(len(PICTURES))
        raw = f"POST /predict HTTP/1.0\r\nContent-Length: {len(PICTURES[i])}\r\n\r\n".encode() + PICTURES[i]
        with host.socket() as own:
            own.sendall(raw)
            self.check([i], *answers(read_all(own))[0])

    def any(self, host, draw):
        draw.choice([self.one, self.one, self.form, self.pipeline, self.old])(host, draw)


def mixed(host, valid, seconds, *, good=4, bad=6, each=lambda: None):
    """Valid and hostile clients side by side; what went wrong for any of them."""
    until, wrong, done = time.monotonic() + seconds, [], dict.fromkeys((one.__name__ for one in ATTACKS), 0)

    def work(seed):
        draw = random.Random(seed)
        while time.monotonic() < until and not wrong:
            attack = valid.any if seed < good else draw.choice(ATTACKS)
            try:
                attack(host, draw)
            except BaseException as error:
                wrong.append(f"{attack.__name__}: {type(error).__name__}: {error}")
            else:
                if seed >= good:
                    done[attack.__name__] += 1

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(good + bad)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        each()
        time.sleep(0.5)
    return wrong, done
