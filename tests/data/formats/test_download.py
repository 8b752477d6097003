"""Downloading, against a server on loopback that can break off, ignore ranges, and lie."""

import hashlib

import pytest

from reslearn.data.formats.download import ARCHIVES, Archive, download
from reslearn.runtime import fetching
from reslearn.runtime.files import exclusive_lock
from reslearn.spec.errors import UserError

CONTENT = bytes(range(256)) * 3000


@pytest.fixture
def archive(loopback, monkeypatch):
    monkeypatch.setattr(fetching, "_PAUSE", 0.0)
    loopback.files["/file.tar.gz"] = CONTENT
    return Archive(f"{loopback.url}/file.tar.gz", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def test_a_download_is_whole_verified_and_kept(archive, loopback, tmp_path):
    told = []
    path = download(archive, tmp_path / "new" / "folder", progress=lambda d, t: told.append((d, t)))
    assert path.read_bytes() == CONTENT and told[-1] == (len(CONTENT), len(CONTENT))
    assert [p.name for p in path.parent.iterdir()] == ["file.tar.gz"]
    assert download(archive, path.parent) == path and len(loopback.asked) == 1  # verified, not fetched again


def test_a_connection_that_breaks_off_is_gone_on_with(archive, loopback, tmp_path):
    loopback.faults["/file.tar.gz"] = ["breaks off", "breaks off"]
    assert download(archive, tmp_path).read_bytes() == CONTENT
    assert [asked for _, _, asked in loopback.asked] == [None, "bytes=384000-", "bytes=576000-"]
    assert [p.name for p in tmp_path.iterdir()] == ["file.tar.gz"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_later_try_goes_on_with_what_came(archive, loopback, tmp_path, ranges):
    loopback.always["/file.tar.gz"] = "breaks off"
    with pytest.raises(UserError, match="run the command again"):
        download(archive, tmp_path)
    came = (tmp_path / "file.tar.gz.part").stat().st_size
    assert came > 700_000 and not (tmp_path / "file.tar.gz").exists()
    loopback.always.clear()
    loopback.asked.clear()
    loopback.faults["/file.tar.gz"] = [] if ranges else ["no ranges"]
    assert download(archive, tmp_path).read_bytes() == CONTENT
    assert loopback.asked[0][2] == f"bytes={came}-"
    assert [p.name for p in tmp_path.iterdir()] == ["file.tar.gz"]


def test_a_whole_part_is_not_fetched_again(archive, loopback, tmp_path):
    (tmp_path / "file.tar.gz.part").write_bytes(CONTENT)
    assert download(archive, tmp_path).read_bytes() == CONTENT and loopback.asked == []


def test_other_contents_are_refused_and_leave_nothing(archive, loopback, tmp_path):
    loopback.files["/file.tar.gz"] = CONTENT[:-1] + b"!"
    with pytest.raises(UserError, match="was wanted; nothing is kept"):
        download(archive, tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file.tar.gz").write_bytes(b"something else")
    with pytest.raises(UserError, match=r"file\.tar\.gz: not the published file"):
        download(archive, tmp_path)
    assert (tmp_path / "file.tar.gz").read_bytes() == b"something else"


def test_errors_name_the_address_and_the_remedy(loopback, tmp_path):
    gone = Archive(f"{loopback.url}/gone/file.tar.gz", 10, "")
    with pytest.raises(UserError, match=r"404: .* --url"):
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
