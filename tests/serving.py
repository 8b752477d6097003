"""Servers on loopback that behave, and misbehave, like the world's: a plain one with ranges, and the hub's doors."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c0ffee" * 6 + "beef"


class Server(ThreadingHTTPServer):
    """Files by path; `faults` say what goes wrong: path -> a list of faults, one for each request, then none."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.faults: dict[str, list[str]] = {}
        self.always: dict[str, str] = {}
        self.asked: list[tuple[str, str, str | None]] = []  # method, path, range
        self.slow = 0.0
        self.commit = COMMIT

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        pass  # a client that hangs up is no news


def blob_digest(content: bytes, large: bool) -> str:
    """What the hub calls a file by: its sha256 where it is large, git's digest where it is small."""
    if large:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def do_POST(self):
        """What uploading asks of the hub: the repository is made, every file is taken as it comes, in one commit."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        server = self.server
        server.asked.append(("POST", path, None))
        if fault := server.always.get(path, "") or server.always.get("*", ""):
            return self.refuse(int(fault))
        if path == "/api/repos/create":
            told = json.loads(body)
            name = f"{told['organization']}/{told['name']}" if told.get("organization") else told["name"]
            server.repositories.setdefault(name, {})
            return self.tell({"url": f"{server.url}/{name}", "id": name})
        if path == "/api/validate-yaml":
            return self.tell({"errors": [], "warnings": []})
        if "/preupload/" in path:
            how = {"uploadMode": "regular", "shouldIgnore": False}
            files = [{"path": one["path"], **how} for one in json.loads(body)["files"]]
            return self.tell({"files": files})
        if "/commit/" in path:
            name = path.removeprefix("/api/models/").partition("/commit/")[0]
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    server.repositories[name][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            told = {"commitUrl": f"{server.url}/{name}/commit/{COMMIT}", "commitOid": COMMIT, "commitMessage": "x"}
            return self.tell(told | {"pullRequestUrl": None})
        return self.refuse(404)

    def tell(self, value):
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def answer(self):
        server = self.server
        server.asked.append((self.command, self.path, self.headers.get("Range")))
        path = self.path.partition("?")[0]
        waiting = server.faults.get(path, [])
        fault = waiting.pop(0) if waiting and (self.command == "GET" or "HEAD" in waiting[0]) else ""
        fault = fault.removeprefix("HEAD ") or server.always.get(path, "") or server.always.get("*", "")
        if fault.isdecimal():
            return self.refuse(int(fault))
        if fault == "circle":
            return self.refuse(302, {"Location": self.path})
        if "/resolve/" in path:
            return self.resolve(path, fault)
        if path.startswith("/api/datasets/"):
            return self.data_set(path)
        content = server.files.get(path)
        return self.refuse(404) if content is None else self.send(content, {}, fault)

    def resolve(self, path, fault):
        """The hub's door: HEAD tells the digest and the commit; a large file lies on another host."""
        repository, _, rest = path.strip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        files = self.server.repositories.get(repository)
        told = {"X-Repo-Commit": COMMIT}
        if files is None:
            return self.refuse(404, {"X-Error-Code": "RepoNotFound"})
        if revision not in ("main", "v1", COMMIT):
            return self.refuse(404, {"X-Error-Code": "RevisionNotFound"})
        if name not in files:
            return self.refuse(404, told | {"X-Error-Code": "EntryNotFound"})
        content, large = files[name], name.endswith((".safetensors", ".bin"))
        told |= {"ETag": f'"{blob_digest(content, large)}"'}
        if large:
            told |= {"X-Linked-ETag": told["ETag"], "X-Linked-Size": str(len(content))}
            elsewhere = f"http://localhost:{self.server.server_address[1]}/cdn/{repository}/{name}"
            self.server.files[f"/cdn/{repository}/{name}"] = content
            return self.refuse(302, told | {"Location": elsewhere})
        return self.send(content, told, fault)

    def data_set(self, path):
        """The hub's doors for a repository of data: that it is there, and what lies in one of its folders, or below."""
        name = "/".join(path.split("/")[3:5])
        files = self.server.repositories.get(f"datasets/{name}")
        if files is None:
            return self.refuse(404, {"X-Error-Code": "RepoNotFound"})
        _, tree, folder = path.partition("/tree/main")
        if not tree:
            return self.tell({"id": name, "sha": COMMIT})
        start = f"{folder.strip('/')}/".lstrip("/")
        below = [one.removeprefix(start) for one in files if one.startswith(start)]
        if not below:
            return self.refuse(404, {"X-Error-Code": "EntryNotFound"})
        all_ = "recursive=true" in self.path.lower()
        here = {"/".join(one.split("/")[: n + 1]) for one in below for n in range(one.count("/") + 1 if all_ else 1)}
        told = []
        for one in sorted(here):
            content = files.get(f"{start}{one}")
            about = {"type": "directory" if content is None else "file", "path": f"{start}{one}", "oid": COMMIT}
            told.append(
                about if content is None else about | {"size": len(content), "oid": blob_digest(content, False)}
            )
        return self.tell(told)

    def refuse(self, status, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send(self, content, headers, fault):
        start, end = 0, len(content)
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes=") and fault != "no ranges":
            start, last = (int(end) if end else len(content) for end in asked[6:].split("-"))
            if start >= len(content):
                return self.refuse(416, {"Content-Range": f"bytes */{len(content)}"})
            end = min(last + 1, len(content))
        body = content[start:end]
        promised = len(body)
        if fault == "wrong byte":
            body = bytes([body[0] ^ 1]) + body[1:]
        if fault == "too short":
            body = body[:-7]
            promised = len(body)
        if fault == "too long":
            body += b"surplus"
            promised = len(body)
        self.send_response(206 if start or end < len(content) else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        if start or end < len(content):
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        if self.command == "HEAD":
            return
        time.sleep(2.0 if fault == "stalls" else self.server.slow)
        with contextlib.suppress(OSError):
            if fault == "breaks off":
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
                self.connection.close()
            else:
                self.wfile.write(body)


@contextlib.contextmanager
def serving():
    """A server that runs in a thread of this process."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
