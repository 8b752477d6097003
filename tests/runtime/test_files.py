"""A file is whole or absent, and a lock keeps a second process out."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys

import pytest

from reslearn.runtime import files
from reslearn.spec.errors import UserError


def test_a_failed_write_leaves_the_old_contents(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"old": 1})
    with pytest.raises(OSError, match="full"), files.atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "full")
    assert files.read_json(path) == {"old": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_write_killed_before_its_rename_leaves_the_old_contents(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"old": 1})
    code = (
        "import os, signal, sys; from reslearn.runtime import files\n"
        f"with files.atomic_path({str(path)!r}) as t: t.write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert files.read_json(path) == {"old": 1}
    assert len(os.listdir(tmp_path)) == 2, "the second one removed what the first one left"
    files.write_json(tmp_path / "b.json", {})
    assert sorted(os.listdir(tmp_path)) == ["a.json", "b.json"]


def test_what_another_process_is_writing_is_no_leftover(tmp_path):
    code = (
        "import sys; from reslearn.runtime import files\n"
        f"with files.atomic_path({str(tmp_path / 'a.json')!r}) as t:\n"
        "    print('begun', flush=True); input(); t.write_bytes(b'A')"
    )
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], **options) as other:
        assert other.stdout.readline() == "begun\n"
        files.write_atomic(tmp_path / "b.json", "B")
        assert len(os.listdir(tmp_path)) == 2
        other.communicate("\n")
    assert sorted(os.listdir(tmp_path)) == ["a.json", "b.json"]
    assert (tmp_path / "a.json").read_bytes() == b"A"


def test_a_name_as_long_as_names_may_be(tmp_path):
    for name in ("a" * 255, "사" * 85):
        files.write_atomic(tmp_path / name, name)
        assert (tmp_path / name).read_text() == name


def test_damaged_json_is_one_line(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        files.read_json(tmp_path / "a.json")


def test_a_second_process_does_not_get_the_lock(tmp_path):
    lock = tmp_path / "lock"
    code = f"from reslearn.runtime.files import exclusive_lock\nwith exclusive_lock({str(lock)!r}): pass"
    with files.exclusive_lock(lock):
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "another process is training this run" in second.stderr
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_name_that_is_not_utf8_is_written_and_read_back(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    files.write_json(tmp_path / "a.json", {"ids": [name, "müller.png"]})
    assert files.read_json(tmp_path / "a.json") == {"ids": [name, "müller.png"]}
    assert "müller" in (tmp_path / "a.json").read_text(encoding="utf-8"), "the file itself is UTF-8"
    files.write_atomic(tmp_path / "a.txt", name)
    assert (tmp_path / "a.txt").read_bytes() == b"caf\xe9.png"


def test_a_lock_that_its_holder_removed_is_not_taken_for_one(tmp_path, monkeypatch):
    """Opened before the holder removed it, locked after: then a third process could lock a new file beside us."""
    lock, real = tmp_path / "lock", files.fcntl.flock
    removed = []

    def flock(file, how):
        if not removed:
            removed.append(lock.unlink())
        real(file, how)

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with files.exclusive_lock(lock):
        assert lock.exists()
        with pytest.raises(UserError), files.exclusive_lock(lock):
            pass


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path, words in (
        (tmp_path / "nosuch" / "x.json", "nosuch: no such folder"),
        (tmp_path, "a folder is there"),
        (tmp_path / "file" / "x.json", "file is a file, not a folder"),
    ):
        with pytest.raises(UserError, match=words):
            files.write_json(path, 1)
    with pytest.raises(UserError, match=r"--out .*file is a file"):
        files.writable_target(tmp_path / "file" / "a" / "b", "folder", "--out")
    assert files.writable_target(tmp_path / "a" / "b", "folder") == tmp_path / "a" / "b"
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_names_the_file_and_not_the_temporary_one(tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(files.Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left.*/a\.json'") as caught:
        files.write_json(tmp_path / "a.json", 1)
    assert caught.value.filename == str(tmp_path / "a.json") and os.listdir(tmp_path) == []


def test_a_replaced_file_keeps_its_permissions(tmp_path):
    path = tmp_path / "private"
    files.write_atomic(path, "old")
    path.chmod(0o600)
    files.write_atomic(path, "new")
    assert path.read_text() == "new" and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_one(tmp_path):
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "file", tmp_path / "link"
    files.write_atomic(real, "old")
    link.symlink_to(real)
    files.write_atomic(link, "new")
    assert link.is_symlink() and real.read_text() == "new" and len(list(tmp_path.rglob("*"))) == 3


def test_a_forked_process_holds_no_lock_that_its_parent_held(tmp_path):
    """A worker that is forked while a thread fetches would keep the piece's lock for ever, and wait for itself."""
    ready, tell = os.pipe()
    end, keep = os.pipe()
    with files.exclusive_lock(tmp_path / "lock"):
        child = os.fork()
        if not child:
            os.close(keep)
            os.write(tell, b"x")
            os.read(end, 1)  # until the parent has tried
            os._exit(0)
        with pytest.raises(files.Busy), files.exclusive_lock(tmp_path / "lock"):
            pass
        os.read(ready, 1)
    with files.exclusive_lock(tmp_path / "lock"):  # let go by the parent, and by nobody else
        pass
    for handle in (ready, tell, end, keep):
        os.close(handle)
    os.waitpid(child, 0)
