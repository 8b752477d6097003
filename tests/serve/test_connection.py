"""Bytes as they go over the wire: slow senders and readers, broken HTTP, pipelines, and what is said to each."""

from __future__ import annotations

import json
import time

import pytest

from .hosting import answers, hosting, in_order, picture, read_all, read_one, request

PICTURE = picture(5)


@pytest.fixture(scope="module")
def hasty(model):
    with hosting(model, receive_s=0.5, max_bytes="1MiB") as running:
        yield running


def elapsed(call):
    began = time.monotonic()
    found = call()
    return time.monotonic() - began, found


def test_a_slow_head_is_cut_off(hasty):
    with hasty.socket() as own:
        own.sendall(b"POST /predict HTTP/1.1\r\nHost:")
        seconds, raw = elapsed(lambda: read_all(own))
    [(status, answer)] = answers(raw)
    assert status == 408 and "0.5 s" in answer["error"] and 0.3 < seconds < 5


def test_a_head_that_trickles_is_cut_off_at_the_same_time(hasty):
    with hasty.socket() as own:
        own.settimeout(0.05)
        began, raw = time.monotonic(), b""
        for byte in b"POST /predict HTTP/1.1\r\n" + b"X: y\r\n" * 100:
            try:
                own.sendall(bytes([byte]))
                raw += own.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError:
                break
            break
    assert time.monotonic() - began < 5 and (not raw or raw.startswith(b"HTTP/1.1 408"))


def test_a_slow_body_is_cut_off(hasty):
    with hasty.socket() as own:
        own.sendall(request(PICTURE)[:-10])
        seconds, raw = elapsed(lambda: read_all(own))
    assert answers(raw)[0][0] == 408 and 0.3 < seconds < 8


def test_silence_is_cut_off(hasty):
    with hasty.socket() as own:
        seconds, raw = elapsed(lambda: read_all(own))
    assert raw == b"" and 0.3 < seconds < 5


def test_one_that_pauses_between_requests_is_not_cut_off(hasty):
    """The deadline is of each request, and begins with it."""
    with hasty.socket() as own:
        for _ in range(2):
            own.sendall(request(PICTURE)[:-5])
            time.sleep(0.1)
            own.sendall(request(PICTURE)[-5:])
            assert read_one(own)[0] == 200
            time.sleep(0.45)


def test_a_slow_reader_is_cut_off(hasty):
    """It asks and asks, and takes nothing: the server stops reading, and then cuts."""
    with hasty.socket() as own:
        own.settimeout(0.2)
        began = time.monotonic()
        with pytest.raises(OSError, match=r"reset|Broken pipe|aborted"):
            while time.monotonic() - began < 20:
                try:
                    own.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
                except TimeoutError:
                    continue
    assert hasty.post(PICTURE)[0] == 200


GARBAGE = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    "no version": b"GET /health\r\n\r\n",
    "a space in the path": b"GET /he alth HTTP/1.1\r\nHost: x\r\n\r\n",
    "two lengths": b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
    "no length": b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
    "less than nothing": b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "a length and chunks": b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
    "a broken chunk": b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    "an endless head": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * 100_000,
    "an endless line": b"G" * 100_000,
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("what", GARBAGE)
def test_broken_http_is_answered_in_json(hasty, what):
    [(status, answer)] = answers(hasty.raw(GARBAGE[what]))
    assert status == 400 and list(answer) == ["error"]


def test_a_request_and_then_garbage(hasty):
    """The first has its own answer, whatever follows it."""
    raw = hasty.raw(request(PICTURE) + b"\x00\xff garbage\r\n\r\n")
    (first, answer), (second, _) = answers(raw)
    assert first == 200 and len(answer["predictions"]) == 1 and second == 400


def test_pipelined_requests_are_answered_in_order(host):
    pictures = [picture(seed) for seed in range(8)]
    last = request(pictures[-1], more="Connection: close\r\n")
    found = answers(host.raw(b"".join(map(request, pictures[:-1])) + last))
    alone = [host.post(one) for one in pictures]
    assert [(s, in_order(a["predictions"][0]["predictions"])) for s, a in found] == [
        (s, in_order(a["predictions"][0]["predictions"])) for s, a in alone
    ]


def test_http_1_0(host):
    raw = host.raw(f"POST /predict HTTP/1.0\r\nContent-Length: {len(PICTURE)}\r\n\r\n".encode() + PICTURE)
    assert answers(raw)[0] == host.post(PICTURE)


@pytest.mark.parametrize("how", ["keep-alive", "close", "1.0"])
def test_who_sends_too_much_reads_why(hasty, how):
    """All is sent before anything is read: a connection that was only closed would be a reset."""
    size = 3 << 20
    version = "1.0" if how == "1.0" else "1.1"
    head = f"POST /predict HTTP/{version}\r\nHost: x\r\nContent-Length: {size}\r\nConnection: {how}\r\n\r\n"
    with hasty.socket() as own:
        own.sendall(head.encode() + bytes(size))
        raw = own.recv(1 << 16)
    assert raw.startswith(b"HTTP/1.1 413")


def test_too_much_without_a_length(hasty):
    chunk = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
    with hasty.socket() as own:
        own.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        own.sendall(chunk * 32)
        assert own.recv(1 << 16).startswith(b"HTTP/1.1 413")


def test_chunks_are_a_body(host):
    chunks = b"".join(
        f"{len(PICTURE[i : i + 50]):x}\r\n".encode() + PICTURE[i : i + 50] + b"\r\n" for i in range(0, len(PICTURE), 50)
    )
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert answers(host.raw(head + chunks + b"0\r\n\r\n"))[0] == host.post(PICTURE)


def test_expect_100_continue(host):
    head, _, body = request(PICTURE, more="Expect: 100-continue\r\nConnection: close\r\n").partition(b"\r\n\r\n")
    with host.socket() as own:
        own.sendall(head + b"\r\n\r\n")
        assert own.recv(1 << 16).startswith(b"HTTP/1.1 100")
        own.sendall(body)
        assert answers(read_all(own))[0][0] == 200


def test_who_hangs_up_leaves_nothing_behind(host):
    service = host.service
    for cut in (20, 150, len(request(PICTURE)) - 3, len(request(PICTURE))):
        for _ in range(5):
            with host.socket() as own:
                own.sendall(request(PICTURE)[:cut])
    until = time.monotonic() + 10
    slot = service.slots["insects"]
    while time.monotonic() < until and (service.active or slot.accepted or service.room.held):
        time.sleep(0.02)
    assert (service.active, slot.accepted, service.room.held, slot.current.batcher.coming) == (0, 0, 0, 0)
    assert host.post(PICTURE)[0] == 200


@pytest.mark.parametrize(
    "path", ["//predict", "/predict/", "/%2e%2e/%2e%2e/etc/passwd", "/\x7f", "/static/", "/%00", "*"]
)
def test_odd_paths(host, path):
    raw = host.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    [(status, answer)] = answers(raw)
    assert status in (400, 404) and list(answer) == ["error"] and "/etc" not in json.dumps(answer)
