"""SIGTERM under load loses nobody who was let in; a second signal ends at once; after kill -9 it starts as it did."""

from __future__ import annotations

import signal
import threading
import time

import pytest

import reslearn
from reslearn.serve.server import LINGER

from .hosting import encoded, hosting, in_order, picture, read_one
from .process import running

PICTURES = [picture(seed) for seed in range(24)]


def load(host, count, wanted, end):
    """Ask from many threads until the server is gone; (began, ended, status or error) of each request."""
    body, kind = encoded([("f", f"{i}.png", raw) for i, raw in enumerate(PICTURES[:count])])
    told = []

    def ask():
        while not end.is_set():
            began = time.monotonic()
            try:
                status, answer = host.post(body, kind=kind)
            except OSError as error:
                told.append((began, time.monotonic(), type(error).__name__))
                if isinstance(error, ConnectionRefusedError):
                    return
                continue
            if status == 200:
                right = [in_order(one["predictions"]) for one in answer["predictions"]] == wanted[:count]
            else:
                right = status in (429, 503) and list(answer) == ["error"]
            told.append((began, time.monotonic(), status if right else f"wrong: {status} {answer}"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    return told, threads


@pytest.fixture(scope="module")
def wanted(model):
    predictor = reslearn.Predictor(model, engine="torch")
    return [in_order(one.to_json()["predictions"]) for one in predictor(PICTURES)]


def check(told, asked):
    """Nobody who was let in was lost, some were under way when the signal came, and who came after was told so."""
    errors = [one for one in told if isinstance(one[2], str)]
    lost = [one for one in errors if one[0] < asked + LINGER / 2 or one[2].startswith("wrong")]
    assert not lost, lost
    over = [one for one in told if one[2] == 200 and one[0] < asked < one[1]]
    assert over, "nothing was under way when the signal came"
    assert any(one[2] == 503 for one in told)


def test_who_was_let_in_is_answered(model, wanted):
    with hosting(model) as host:
        told, threads = load(host, 24, wanted, threading.Event())
        time.sleep(0.3)
        asked = time.monotonic()
        host.server.handle_exit(signal.SIGTERM, None)
        host.thread.join(20)
        for thread in threads:
            thread.join(20)
    check(told, asked)


@pytest.mark.slow
def test_sigterm_under_load_answers_all_that_were_let_in(model, tmp_path, wanted):
    with running(tmp_path, model, "--grace-s", "10") as host:
        told, threads = load(host, 24, wanted, threading.Event())
        time.sleep(1)
        asked = time.monotonic()
        status, seconds = host.end()
        for thread in threads:
            thread.join(30)
    assert status == 0 and seconds < 10
    check(told, asked)


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_grace_ends_a_long_wait(model, tmp_path):
    with running(tmp_path, model) as host:
        assert host.end(signal.SIGINT)[0] == 130
    more = ("--grace-s", "3", "--receive-s", "60")
    with running(tmp_path, model, *more) as host, host.socket() as own:  # let in, and never whole
        own.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        time.sleep(0.5)
        status, seconds = host.end()
    assert status == 0 and seconds < 3


@pytest.mark.slow
def test_after_kill_9_it_is_ready_in_the_time_that_loading_takes(model, tmp_path, wanted):
    with running(tmp_path, model) as host:
        first, port = host.seconds, host.port
        assert host.post(PICTURES[0])[0] == 200
        host.process.kill()
        host.process.wait()
    with running(tmp_path, model, port=port) as host:
        assert host.seconds < 2 * first + 1 and host.get("/ready")[0] == 200
        assert in_order(host.post(PICTURES[0])[1]["predictions"][0]["predictions"]) == wanted[0]


def test_who_comes_while_it_ends_is_told_so(model):
    with hosting(model, grace_s=5) as host:
        kept = host.socket()
        kept.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_one(kept)[0] == 200
        host.server.handle_exit(signal.SIGTERM, None)
        assert host.get("/health")[0] == 200 and host.get("/ready")[0] == 503
        status, headers, _ = host.ask("POST", "/predict", PICTURES[0], {"Content-Type": "image/png"})
        assert status == 503 and headers["Retry-After"] and headers["Connection"] == "close"
        kept.sendall(b"GET /models HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_one(kept)[0] == 503
        host.thread.join(5)
        assert not host.thread.is_alive()


def test_an_answer_that_takes_too_long_is_none(model):
    with hosting(model, timeout_s=0.2) as host:
        slot = host.service.slots["insects"]
        held = threading.Event()
        slot.current.batcher._scorer = _Slow(slot.current.batcher._scorer, held)
        status, headers, _ = host.ask("POST", "/predict", PICTURES[0], {"Content-Type": "image/png"})
        assert status == 503 and headers["Retry-After"] == "1"
        held.set()
        assert host.post(PICTURES[0])[0] == 200 and slot.accepted == 0


class _Slow:
    def __init__(self, scorer, held):
        self._scorer, self._held = scorer, held

    def __call__(self, images):
        self._held.wait(10)
        return self._scorer(images)
