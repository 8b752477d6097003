"""One line a request on standard error, whatever a path holds, and no answer waits for who reads it."""

from __future__ import annotations

import json
import sys
import threading
import time

from reslearn.serve import log
from reslearn.serve.log import Line, Log

from .hosting import hosting, picture

LINE = Line("1f", "GET", "/a\nb\x1b[2J", 404, 0.00123, error="no")


def test_a_line_is_a_line(capfd):
    for form in ("text", "json"):
        written = Log(form)
        written.request(LINE)
        written.request(Line("2f", "POST", "/predict", 200, 0.5, 2, "birds"))
        written.close()
    first, second, third, _ = capfd.readouterr().err.splitlines()
    assert first == r"1f GET /a\nb\x1b[2J 404 1.2 ms (no)"
    assert second == "2f POST /predict 200 500.0 ms 2 pictures birds"
    told = json.loads(third)
    assert told["path"] == LINE.path and told["status"] == 404 and told["seconds"] == 0.00123


def test_each_request_has_its_id_in_line_and_answer(model, capfd):
    with hosting(model, log_format="json") as host:
        _, headers, _ = host.ask("POST", "/predict?top=1", picture(0), {"Content-Type": "image/png"})
        host.raw(b"nonsense\r\n\r\n")
        host.raw(b"X" * 30_000 + b" /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith('{"time"')]
    assert lines[0]["id"] == headers["X-Request-Id"] and lines[0]["model"] == "insects" and lines[0]["pictures"] == 1
    assert lines[1]["status"] == 400 and len(lines) == 3
    assert lines[2]["status"] in (404, 405) and len(json.dumps(lines[2])) < 500  # 10,000 such lines may wait


def test_nobody_waits_for_standard_error(monkeypatch):
    """It is a pipe that nobody reads; lines are left out, and that is said once it is read again."""
    read, said = threading.Event(), []
    monkeypatch.setattr(log, "speak", lambda text: (read.wait(10), said.append(text)))
    monkeypatch.setattr(log, "KEPT", 5)
    written = Log("text")
    began = time.monotonic()
    for _ in range(50):
        written.request(LINE)
    assert time.monotonic() - began < 1
    read.set()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and not any("left out" in line for line in said):
        time.sleep(0.01)
    written.close()
    assert any("lines were left out" in line for line in said) and len(said) < 10
    assert sys.stderr is not None
