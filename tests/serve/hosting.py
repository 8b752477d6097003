"""A server on loopback in a thread of the test, a small model that knows its pictures apart, and plain sockets."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import signal
import socket
import threading

import numpy as np
import torch
from PIL import Image

import reslearn
from reslearn.nets.build import create_model
from reslearn.serve.server import Server, bound
from reslearn.serve.settings import settings_of
from reslearn.serve.starting import start_service
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import Preprocess

SPEC = NetSpec("tiny", "cifar", 8, "basic", (1, 1), (8, 16), num_classes=5)
CLASSES = ("ant", "bee", "cat", "dog", "eel")
PREPROCESS = Preprocess(16, 18, "crop")


def sealed(path, seed=0, **fields):
    """A sealed network whose answers differ clearly from picture to picture and from seed to seed."""
    torch.manual_seed(seed)
    net = create_model(SPEC).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, 0, 2.0)
    reslearn.save(path, net, preprocess=PREPROCESS, classes=CLASSES, **fields)
    return path


def picture(seed, height=20, width=24, form="PNG"):
    """The bytes of a picture's file."""
    draws = np.random.default_rng(seed)
    pixels = np.kron(draws.integers(0, 256, (4, 4, 3), dtype=np.uint8), np.ones((height // 4, width // 4, 1), np.uint8))
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, form)
    return target.getvalue()


@contextlib.contextmanager
def hosting(models, **settings):
    """The running server: `port`, `service`, `post`, `get`, `socket`."""
    service = start_service(models, settings_of({"engine": "torch", **settings}))
    listener, listening = bound("127.0.0.1", 0), threading.Event()
    host = Host(service, listener.getsockname()[1])
    host.server = Server(service, listening.set)
    host.thread = threading.Thread(target=host.server.serve_until_told, args=(listener,), daemon=True)
    host.thread.start()
    try:
        assert listening.wait(30)
        yield host
    finally:
        host.server.handle_exit(signal.SIGTERM, None)
        host.server.handle_exit(signal.SIGTERM, None)
        host.thread.join(10)


class Host:
    def __init__(self, service, port):
        self.service, self.port = service, port

    def ask(self, method, path, body=None, headers=None, timeout=30):
        """(status, headers, body) as the standard library's client reads them."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path, headers=None):
        status, _, body = self.ask("GET", path, headers=headers)
        return status, json.loads(body)

    def post(self, body, path="/predict", kind="application/octet-stream", headers=None):
        status, _, content = self.ask("POST", path, body, {"Content-Type": kind, **(headers or {})})
        return status, json.loads(content)

    def form(self, files, path="/predict"):
        """`files` are (field, name, bytes)."""
        body, kind = encoded(files)
        return self.post(body, path, kind)

    def socket(self, timeout=30):
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def raw(self, sent, timeout=30):
        """All that comes back over a connection of its own until the server closes it."""
        with self.socket(timeout) as own:
            own.sendall(sent)
            return read_all(own)


def encoded(files, boundary="frontier"):
    """A form's body, and its Content-Type."""
    parts = []
    for field, name, content in files:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def request(body, path="/predict", kind="application/octet-stream", more=""):
    """A POST as bytes."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def read_all(own):
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := own.recv(1 << 16):
            found += piece
    return found


def read_one(own):
    """(status, JSON) of one answer, with nothing read of what follows it."""
    answer = http.client.HTTPResponse(own, method="POST")
    answer.begin()
    return answer.status, json.loads(answer.read())


def answers(raw):
    """(status, JSON) of each answer in what a server sent, by the standard library's parser."""
    found, stream = [], _Stream(raw)
    while stream.tell() < len(raw):
        answer = http.client.HTTPResponse(stream, method="POST")
        answer.begin()
        found.append((answer.status, json.loads(answer.read())))
    return found


class _Stream(io.BytesIO):
    """Bytes that http.client takes for a socket, and does not close."""

    def makefile(self, *_):
        return self

    def close(self):
        pass


def in_order(prediction):
    """An answer's content, to be compared with another's."""
    return [(one["label"], one["index"], round(one["probability"], 5)) for one in prediction]
