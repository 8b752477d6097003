"""A file from a server that breaks off, lies, or says no: fetched whole and verified, or one line and nothing kept."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import socket
import urllib.error

import pytest

from reslearn.runtime import fetching
from reslearn.runtime.addresses import is_address, local, spelled
from reslearn.spec.errors import UserError
from reslearn.spec.published import published

CONTENT = bytes(range(256)) * 4000
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(loopback, monkeypatch, tmp_path):
    monkeypatch.setattr(fetching, "_PAUSE", 0.0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    loopback.files["/w.pth"] = CONTENT
    return loopback


def kept(folder):
    """The files below a folder that are not locks."""
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock")


def gets(server):
    return [asked for method, _, asked in server.asked if method == "GET"]


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    address = f"{server.url}/w.pth#sha256={SHA}"
    path = local(address)
    assert path.read_bytes() == CONTENT and path.name == "w.pth"
    server.shutdown()
    assert fetching.fetch("http://127.0.0.1:1/gone", path, SHA) == path


@pytest.mark.parametrize("faults", [["breaks off"], ["breaks off", "breaks off"], ["wrong length"], ["no ranges"]])
def test_a_file_that_breaks_off_is_gone_on_with(server, tmp_path, faults):
    server.faults["/w.pth"] = list(faults)
    assert local(f"{server.url}/w.pth#sha256={SHA}").read_bytes() == CONTENT
    ranges = [asked for asked in gets(server) if asked]
    assert len(ranges) == faults.count("breaks off") and kept(tmp_path) == ["w.pth"]


def test_a_part_of_another_file_is_thrown_away(server, tmp_path):
    target = tmp_path / "w.pth"
    for part in (b"x" * 1000, b"x" * (len(CONTENT) + 5), b"x" * len(CONTENT)):
        (tmp_path / "w.pth.part").write_bytes(part)
        assert fetching.fetch(f"{server.url}/w.pth", target, SHA).read_bytes() == CONTENT
        target.unlink()


def test_a_server_without_ranges_sends_all_of_it_again(server, tmp_path):
    (tmp_path / "w.pth.part").write_bytes(CONTENT[:1000])
    server.faults["/w.pth"] = ["no ranges"]
    assert fetching.fetch(f"{server.url}/w.pth", tmp_path / "w.pth", SHA).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("wrong byte", "was wanted; nothing is kept"),
        ("too short", "was wanted; nothing is kept"),
        ("too long", "was wanted; nothing is kept"),
        ("404", "404: there is no such file"),
        ("401", "401: it wants to know who asks"),
        ("429", "429: it has too many requests"),
        ("500", "500: it has failed; try again later"),
        ("circle", "302: it sends us on in a circle"),
    ],
)
def test_what_cannot_be_had_is_one_line_and_leaves_nothing(server, tmp_path, fault, words):
    server.always["/w.pth"] = fault
    with pytest.raises(UserError, match=words) as raised:
        local(f"{server.url}/w.pth#sha256={SHA}")
    assert "\n" not in str(raised.value) and kept(tmp_path) == []
    server.always.clear()
    assert local(f"{server.url}/w.pth#sha256={SHA}").read_bytes() == CONTENT


def test_a_connection_that_always_breaks_keeps_what_came(server, tmp_path):
    server.always["/w.pth"] = "breaks off"
    with pytest.raises(UserError, match=r"bytes are kept, run the command again") as raised:
        fetching.fetch(f"{server.url}/w.pth", tmp_path / "w.pth", SHA)
    assert "\n" not in str(raised.value) and kept(tmp_path) == ["w.pth.part"]
    server.always.clear()
    assert fetching.fetch(f"{server.url}/w.pth", tmp_path / "w.pth", SHA).read_bytes() == CONTENT


def test_nobody_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "_PAUSE", 0.0)
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1/w\.pth: .*refused.*look at the network and the address"):
        fetching.fetch("http://127.0.0.1:1/w.pth", tmp_path / "w.pth", SHA)


def test_without_a_network_the_line_says_who_cannot_be_reached(tmp_path, monkeypatch):
    def nowhere(*_, **__):
        raise urllib.error.URLError(socket.gaierror(-2, "Name or service not known"))

    monkeypatch.setattr(fetching.urllib.request, "urlopen", nowhere)
    with pytest.raises(
        UserError, match=r"^https://weights\.example/w\.pth: weights\.example cannot be reached from here \("
    ):
        fetching.fetch("https://weights.example/w.pth", tmp_path / "w.pth", SHA)


def test_a_file_that_was_altered_in_the_cache_is_fetched_again(server, capsys):
    address = f"{server.url}/w.pth#sha256={SHA}"
    path = local(address)
    path.write_bytes(b"x" + CONTENT[1:])
    assert fetching.fetch(f"{server.url}/w.pth", path, SHA).read_bytes() == CONTENT
    assert "altered since it was fetched" in capsys.readouterr().err


def test_without_a_digest_it_is_refused_with_the_one_that_it_would_have(server):
    with pytest.raises(UserError, match=f"{server.url}/w.pth#sha256={SHA}$") as raised:
        local(f"{server.url}/w.pth")
    server.always["*"] = "500"
    assert local(str(raised.value).rpartition(" ")[2]).read_bytes() == CONTENT


@pytest.mark.parametrize("end", ["#sha256=abc", "#md5=" + "0" * 64, "#" + "0" * 64])
def test_another_kind_of_digest_is_refused(server, end):
    with pytest.raises(UserError, match="64 hexadecimal digits"):
        local(f"{server.url}/w.pth{end}")
    assert server.asked == []


def test_torchvision_s_names_come_from_a_mirror_and_are_checked(server, monkeypatch, tmp_path):
    monkeypatch.setenv("RESLEARN_TORCHVISION_URL", server.url + "/")
    file = next(one.file for one in published() if one.file)
    server.files[f"/{file}"] = CONTENT
    with pytest.raises(UserError, match="sha256"):
        local("torchvision://ResNet18_Weights.IMAGENET1K_V1")
    assert kept(tmp_path) == []
    with pytest.raises(UserError, match=r"did you mean torchvision://ResNet18_Weights\.IMAGENET1K_V1"):
        local("torchvision://ResNet18_Weights.IMAGENET1K_V9")


def _fetch(url, target):
    os.environ["OMP_NUM_THREADS"] = "1"
    assert fetching.fetch(url, target, SHA).read_bytes() == CONTENT


def test_two_processes_that_fetch_at_once_fetch_once(server, tmp_path):
    server.slow = 0.3
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_fetch, args=(f"{server.url}/w.pth", tmp_path / "w.pth")) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(20)
    assert [one.exitcode for one in both] == [0, 0]
    assert len(gets(server)) == 1 and kept(tmp_path) == ["w.pth"]


@pytest.mark.parametrize("text", ["hf://a/b", "torchvision://X", "https://x/y", "http://x/y", "hf:/a/b"])
def test_addresses_are_known_from_files(text):
    assert is_address(text) and spelled(text).count("//") == 1
    assert not is_address(f"./{text}") and not is_address("s3://b/k") and not is_address("hf://")
