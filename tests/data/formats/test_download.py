"""Downloading, against a local server that can break off, ignore ranges, and lie."""

import hashlib
import http.server
import threading

import pytest

from reslearn.data.formats.download import ARCHIVES, Archive, download
from reslearn.runtime.files import exclusive_lock
from reslearn.spec.errors import UserError

CONTENT = bytes(range(256)) * 3000


class Server(http.server.BaseHTTPRequestHandler):
    content, cut, ranges, requests = CONTENT, None, True, []

    def do_GET(self):
        start = 0
        asked = self.headers.get("Range")
        Server.requests.append(asked)
        if self.path == "/gone/file.tar.gz":
            self.send_error(404)
            return
        if asked and Server.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
        else:
            self.send_response(200)
        body = Server.content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if Server.cut is None else body[: Server.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    Server.content, Server.cut, Server.ranges, Server.requests = CONTENT, None, True, []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


@pytest.fixture
def archive(server):
    return Archive(f"{server}/file.tar.gz", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def test_a_download_is_whole_verified_and_kept(archive, tmp_path):
    told = []
    path = download(archive, tmp_path / "new" / "folder", progress=lambda d, t: told.append((d, t)))
    assert path.read_bytes() == CONTENT and told[-1] == (len(CONTENT), len(CONTENT))
    assert [p.name for p in path.parent.iterdir()] == ["file.tar.gz"]
    assert download(archive, path.parent) == path and len(Server.requests) == 1  # verified, not fetched again


@pytest.mark.parametrize("ranges", [True, False])
def test_it_resumes_after_the_connection_broke(archive, tmp_path, ranges):
    Server.cut, Server.ranges = 300_000, ranges
    with pytest.raises(UserError, match="run the command again"):
        download(archive, tmp_path)
    assert not (tmp_path / "file.tar.gz").exists() and (tmp_path / "file.tar.gz.part").exists()
    Server.cut = None
    assert download(archive, tmp_path).read_bytes() == CONTENT
    assert Server.requests[1] == "bytes=300000-"
    assert [p.name for p in tmp_path.iterdir()] == ["file.tar.gz"]


def test_other_contents_are_refused_and_leave_nothing(archive, tmp_path):
    Server.content = CONTENT[:-1] + b"!"
    with pytest.raises(UserError, match="sha256 differs"):
        download(archive, tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file.tar.gz").write_bytes(b"something else")
    with pytest.raises(UserError, match=r"file\.tar\.gz: not the published file"):
        download(archive, tmp_path)
    assert (tmp_path / "file.tar.gz").read_bytes() == b"something else"


def test_errors_name_the_address_and_the_remedy(server, tmp_path):
    gone = Archive(f"{server}/gone/file.tar.gz", 10, "")
    with pytest.raises(UserError, match=r"404 .* --url"):
        download(gone, tmp_path)
    with pytest.raises(UserError, match=r"127\.0\.0\.1:9/.*refused"):
        download(Archive("http://127.0.0.1:9/x.tar.gz", 10, ""), tmp_path)
    with pytest.raises(UserError, match="unknown data set 'cifar'; did you mean cifar1"):
        download("cifar", tmp_path)
    assert not any(p.name.endswith((".part", ".lock")) for p in tmp_path.iterdir())


def test_another_processs_lock_stays(archive, tmp_path):
    lock = tmp_path / "file.tar.gz.lock"
    with exclusive_lock(lock):
        for _ in range(2):
            with pytest.raises(UserError, match=r"file\.tar\.gz: another process is downloading it"):
                download(archive, tmp_path)
            assert lock.exists()
    assert download(archive, tmp_path).exists() and not lock.exists()


@pytest.mark.parametrize(
    "url",
    ["mirror.example/x", "localhost:80/x", "https:///x", "htp://mirror.example/x", "http://[::1/x", "http://a:b/x",
     "https://mirror.example/ü.tar.gz"],
)  # fmt: skip
def test_an_address_that_is_none(tmp_path, url):
    with pytest.raises(UserError, match=r"not a whole address; write one like https://.*\.tar\.gz") as error:
        download("cifar10", tmp_path / "new", url=url)
    assert str(error.value).startswith(url) and not (tmp_path / "new").exists()


def test_the_known_archives():
    assert {name: a.size for name, a in ARCHIVES.items()} == {"cifar10": 170_498_071, "cifar100": 169_001_437}
    assert all(len(a.sha256) == 64 and a.url.startswith("https://") for a in ARCHIVES.values())
