"""One small set in every layout, on a disk and in stores: fsspec's memory, a web server, S3 by moto's server."""

from __future__ import annotations

import contextlib
import csv
import http.client
import os
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import fsspec
import numpy as np
import pytest

from reslearn.data.formats.packing import write_pack
from reslearn.data.sources import open_data


@pytest.fixture(scope="session")
def layouts(tmp_path_factory):
    """A folder `set` in which each layout of the same 40 pictures lies under its name."""
    root, rng = tmp_path_factory.mktemp("layouts") / "set", np.random.default_rng(0)
    rows = []
    for split, count in (("train", 16), ("test", 4)):
        for label, name in enumerate(("cat", "dog")):
            folder = root / "folder" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                picture = rng.integers(0, 200, (12, 12, 3))
                picture[..., label] += 50
                kind = "png" if i % 2 else "jpg"
                cv2.imwrite(str(folder / f"{i}.{kind}"), picture)
                rows.append((f"{split}/{name}/{i}.{kind}", name, split))
    with open(root / "folder" / "all.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    (root / "table").mkdir()
    os.rename(root / "folder" / "all.csv", root / "table" / "all.csv")
    for path, _, _ in rows:
        target = root / "table" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((root / "folder" / path).read_bytes())
    (root / "tars").mkdir()
    for split in ("train", "test"):
        for number in range(3):
            mine = [row for row in rows if row[2] == split][number::3]
            with tarfile.open(root / "tars" / f"{split}-{number:05d}.tar", "w") as tar:
                for path, label, _ in mine:
                    key = path.replace("/", "_")
                    (root / "label").write_text(label)
                    tar.add(root / "folder" / path, key)
                    tar.add(root / "label", f"{os.path.splitext(key)[0]}.cls")
    (root / "label").unlink()
    (root / "packed").mkdir()
    write_pack(open_data(str(root / "folder")), root / "packed" / "x.pack")
    with tarfile.open(root / "packed" / "x.tar.gz", "w:gz") as tar:
        tar.add(root / "folder", "x")
    return root


@pytest.fixture
def memory(layouts):
    """The layouts in fsspec's memory."""
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    fs.put(str(layouts), "/bucket", recursive=True)
    yield "memory://bucket"
    fs.store.clear()


@pytest.fixture(scope="session")
def s3(layouts, tmp_path_factory):
    """The layouts in a bucket of moto's server on loopback, for the real s3fs."""
    server = pytest.importorskip("moto.server", reason="needs moto: pip install 'moto[server]'")
    pytest.importorskip("s3fs", reason="needs s3fs: pip install s3fs")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "SECRETID", "AWS_SECRET_ACCESS_KEY": "SECRETKEY", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        fs = fsspec.filesystem("s3", skip_instance_cache=True)
        fs.mkdir("bucket")
        fs.put(str(layouts), "bucket", recursive=True)
        yield "s3://bucket/set"
    running.stop()


class Trouble(ThreadingHTTPServer):
    """In front of another server: of every ten requests one goes wrong, each time in another way."""

    daemon_threads = True
    KINDS = ("503", "hangs up", "breaks off", "stalls")
    STALL = 2.0  # seconds without a byte, and then the end

    def __init__(self, behind):
        super().__init__(("127.0.0.1", 0), _Troubled)
        self.behind, self.count, self.lock = behind, 0, threading.Lock()
        self.suffered = dict.fromkeys(self.KINDS, 0)

    def next(self):
        """What goes wrong with the next request; nothing, mostly."""
        with self.lock:
            self.count += 1
            kind = self.KINDS[self.count // 10 % len(self.KINDS)] if self.count % 10 == 0 else ""
            if kind:
                self.suffered[kind] += 1
            return kind

    def handle_error(self, request, client_address):
        pass


class _Troubled(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def do_GET(self):
        wrong = self.server.next()
        if wrong in ("hangs up", "stalls"):
            time.sleep(self.server.STALL if wrong == "stalls" else 0)
            self.close_connection = True
            return None
        if wrong == "503":
            self.send_response(503)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        asked = http.client.HTTPConnection(self.server.behind)
        asked.request(self.command, self.path, headers=dict(self.headers))
        answer = asked.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body[: len(body) // 2] if wrong == "breaks off" else body)
        self.close_connection = wrong == "breaks off"

    do_HEAD = do_GET


@pytest.fixture
def trouble(s3, monkeypatch):
    """The bucket behind a server that fails; the other server's address stays in the variable that s3fs reads."""
    server = Trouble(os.environ["AWS_ENDPOINT_URL"].removeprefix("http://"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
    yield server
    server.shutdown()
