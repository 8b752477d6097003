"""Only regular files are opened, nothing is waited for, and nothing is read before its size is known."""

from __future__ import annotations

import ast
import json
import os
import socket
import time
from pathlib import Path

import pytest

from reslearn.runtime.files import exclusive_lock, read_json, write_atomic
from reslearn.runtime.opening import open_regular, open_to_append, parse_json, read_document, read_regular
from reslearn.spec.errors import UserError


@pytest.fixture(params=["pipe", "zero", "urandom", "full", "tty", "socket", "folder"])
def odd(request, tmp_path):
    """Something at a path that is no regular file."""
    path = tmp_path / "odd"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "folder":
        path.mkdir()
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(str(path))
    else:
        path.symlink_to(f"/dev/{request.param}")
    return path


@pytest.mark.parametrize(
    "use",
    [open_regular, open_to_append, lambda path: read_regular(path, 100), read_json, lambda p: write_atomic(p, "x")],
)
def test_what_is_no_file_is_refused_at_once(odd, use):
    started = time.monotonic()
    before = os.lstat(odd)
    with pytest.raises((UserError, OSError), match="odd"):
        use(odd)
    assert time.monotonic() - started < 5
    assert os.lstat(odd).st_mode == before.st_mode, "it was not replaced"


def test_a_lock_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(UserError, match="a pipe"), exclusive_lock(tmp_path / "lock"):
        pass


def test_a_sparse_terabyte_is_not_read(tmp_path):
    with open(tmp_path / "large", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UserError, match="1,099,511,627,776 bytes"):
        read_regular(tmp_path / "large", 1000)


@pytest.mark.parametrize("size", [1 << 25, (1 << 31) - 1])
def test_a_document_with_a_hole_is_not_read(tmp_path, size):
    (tmp_path / "large.json").write_bytes(b'{"a": 1}\n')
    os.truncate(tmp_path / "large.json", size)
    with pytest.raises(UserError, match=f"sparse file, empty from byte .* of {size:,} on"):
        read_document(tmp_path / "large.json")


def test_a_document_without_a_hole_is_read(tmp_path):
    content = json.dumps(list(range(100_000))).encode()
    (tmp_path / "large.json").write_bytes(content)
    assert read_document(tmp_path / "large.json") == content
    os.truncate(tmp_path / "large.json", 1 << 20)  # a hole as a crash leaves one: whoever parses it says what is wrong
    assert read_document(tmp_path / "large.json") == content.ljust(1 << 20, b"\0")
    (tmp_path / "empty").touch()
    assert read_document(tmp_path / "empty") == b""


def test_regular_files_and_links_to_them_are_read_whole(tmp_path):
    content = os.urandom(100_000)
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "b").symlink_to("a")
    assert read_regular(tmp_path / "a", 100_000) == read_regular(tmp_path / "b", 100_000) == content
    with open_to_append(tmp_path / "a") as file:
        file.write(b"!")
    assert read_regular(tmp_path / "b", 1 << 20) == content + b"!"
    (tmp_path / "empty").touch()
    assert read_regular(tmp_path / "empty", 0) == b""
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "nowhere", 10)


@pytest.mark.parametrize("text", [b"[" * 100_000, b"1" * 5000, b"[1" + b"0" * 30 + b"]", b"\xff", b"", b"{", b"\x00"])
def test_what_is_no_json_is_one_line(text):
    with pytest.raises(UserError, match=r"^here: not valid JSON \(") as caught:
        parse_json(text, "here")
    assert "\n" not in str(caught.value)


def test_json_is_json():
    assert parse_json(b'{"a": [1, -2, 18446744073709551615, 1.5, null, "\\u00e9"]}', "") == {
        "a": [1, -2, 2**64 - 1, 1.5, None, "é"]
    }


SOURCE = Path(__file__).parents[2] / "src" / "reslearn"
# Files that are this package's own, the kernel's, or written a moment ago; and one that is looked at before.
ELSEWHERE = {
    "data/care/check_page.py", "data/loaders.py", "engine/openvino_graph.py", "paper/findings/report.py",
    "report/diagram.py", "report/explained.py", "report/pages.py", "report/web_page.py", "report/web_runtime.py",
    "runtime/load.py", "runtime/processor.py", "serve/pages.py", "spec/published.py",
}  # fmt: skip


def reads(node):
    """Whether a call opens a file for reading and does not care what it is."""
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute):
        return node.func.attr in ("read_text", "read_bytes")
    if not isinstance(node.func, ast.Name) or node.func.id != "open":
        return False
    mode = node.args[1] if len(node.args) > 1 else None
    return mode is None or (isinstance(mode, ast.Constant) and mode.value in ("r", "rb", "rt"))


def test_what_others_may_have_put_there_is_opened_in_one_way():
    """Else the next file that is read is waited for where it is a pipe, and read for ever where it is a device."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        if any(map(reads, ast.walk(ast.parse(path.read_text(encoding="utf-8"))))):
            found.add(path.relative_to(SOURCE).as_posix())
    assert found == ELSEWHERE
