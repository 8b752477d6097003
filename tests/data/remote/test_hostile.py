"""Stores whose names, links, indexes and manifests are odd or lie, and caches that cannot keep a thing."""

from __future__ import annotations

import errno
import functools
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time

import fsspec
import pytest

from reslearn.cli.app import main
from reslearn.data.care.shard_writing import write_shards
from reslearn.data.remote import cache as caches
from reslearn.data.remote import store as stores
from reslearn.data.remote.store import Store
from reslearn.data.sources import open_data
from reslearn.runtime import notes
from reslearn.spec.errors import UserError
from tests.data.remote.test_stores import same

ODD = ("a b.png", "ä한.png", "a#b.png", "q?x.png", "100%.png", "a%20b.png", "a+b&c.png", '"q".png', "x;y=z.png")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(stores, "FIRST_PAUSE", 0.001)
    notes.note_once.cache_clear()


@pytest.fixture(scope="module")
def png(layouts):
    return [(layouts / "folder" / "train" / name / "1.png").read_bytes() for name in ("cat", "dog")]


@pytest.fixture
def odd(tmp_path, png):
    """Class folders and a table whose files are called as files may be."""
    root = tmp_path / "odd set"
    for label, name in enumerate(("cat", "é #?%")):
        (root / "train" / name).mkdir(parents=True)
        for number, file in enumerate(ODD):
            (root / "train" / name / file).write_bytes(png[label] + bytes([number]))
    rows = [(path.relative_to(root).as_posix(), path.parent.name) for path in sorted(root.rglob("*.png"))]
    quoted = ['"' + name.replace('"', '""') + f'","{label}"' for name, label in rows]
    (tmp_path / "odd set" / "all.csv").write_text("\n".join(["path,label", *quoted]), encoding="utf-8")
    return root


@pytest.fixture
def web(odd):
    """Python's own web server, which lists a folder as links."""
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words):
            pass

    handler = functools.partial(Quiet, directory=str(odd.parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def test_names_that_an_address_must_quote_are_found_on_a_web_server(web, odd):
    here = open_data(str(odd / "train"))
    assert len(here) == 2 * len(ODD)
    same(here, open_data(f"{web}/odd set/train"))
    same(here, open_data(f"{web}/odd%20set/train/"))
    same(open_data(str(odd / "all.csv")), open_data(f"{web}/odd set/all.csv"))


def test_odd_names_in_a_store_are_those_of_a_disk(memory, odd):
    fsspec.filesystem("memory").put(str(odd), "/bucket/odd", recursive=True)
    same(open_data(str(odd / "train")), open_data("memory://bucket/odd/train"))


@pytest.mark.parametrize("start", ["", "/data/flowers/"])
def test_links_to_elsewhere_are_not_followed(loopback, png, start):
    """As Apache writes a folder's page: sorted otherwise, the folder above, other sites; links with or without path."""
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    inside = {"": ["cat/", "dog/"], "cat/": ["0%20a.png"], "dog/": ["1.png"]}
    others = ["?C=N;O=D", "?C=M;O=A", "/data/", "../", "/style.css", "//other.host/x/", "https://httpd.apache.org/",
              "#top", "mailto:me@host", "javascript:void(0)"]  # fmt: skip
    for folder, names in inside.items():
        links = [*others, *(f"{start and start + folder}{name}" for name in names)]
        page = "".join(f'<a href="{link}">x</a>' for link in links).encode()
        loopback.files[f"/data/flowers/{folder}"] = loopback.files[f"/data/flowers/{folder}".rstrip("/")] = page
        for name in names:
            loopback.files.setdefault(f"/data/flowers/{folder}{name}", png[folder == "dog/"])
    found = open_data(f"{loopback.url}/data/flowers")
    assert list(found.ids) == ["cat/0 a.png", "dog/1.png"]
    assert all(path.startswith("/data/flowers") for _, path, _ in loopback.asked)


@pytest.mark.parametrize("kind", ["table/all.csv", "tars/train-00000.tar", "packed/x.pack", "packed/x.tar.gz"])
def test_what_stands_behind_a_question_mark_is_not_the_file_s_name(loopback, layouts, kind):
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    for path in layouts.rglob("*.*"):
        loopback.files[f"/{path.relative_to(layouts)}"] = path.read_bytes()
    same(open_data(str(layouts / kind)), open_data(f"{loopback.url}/{kind}?download=1&from=/a/b"))


def test_a_table_that_changes_to_one_of_the_same_size_is_read_anew(loopback, layouts):
    """The server tells no versions."""
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    loopback.files |= {f"/{n}.png": (layouts / f"folder/train/cat/{n}.png").read_bytes() for n in (1, 3)}
    for labels in (["a", "b"], ["b", "c"]):
        loopback.files["/t.csv"] = f"path,label\n1.png,{labels[0]}\n3.png,{labels[1]}\n".encode()
        assert open_data(f"{loopback.url}/t.csv").classes == tuple(labels)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.zip", b"PK\3\4rest", "a zip archive"),
        ("x.7z", b"7z\xbc\xaf\x27\x1crest", "a 7z archive"),
        ("x.mat", b"MATLAB 5.0", "a MATLAB file"),
        ("one.png", b"\x89PNG\r\n\x1a\n", "one picture"),
        ("x.bin", b"", "not a set of labelled pictures"),
    ],
)
def test_a_file_that_is_no_set_is_called_what_it_is(memory, loopback, name, content, said):
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    fsspec.filesystem("memory").pipe_file(f"/bucket/{name}", content)
    with pytest.raises(UserError, match=f"memory://bucket/{name}: {said}"):
        open_data(f"memory://bucket/{name}")


def lies(name, offset, size, end):
    found = {
        "beyond the end": (end - 1, size),
        "before its start": (-5, size),
        "negative": (offset, -1),
        "without end": (float("inf"), size),
        "a text": (str(offset), size),
        "half": (offset, 0.5),
    }
    return {lie: [[name, *told]] for lie, told in found.items()} | {"no list": 7}


@pytest.mark.parametrize("lie", lies("", 0, 0, 0))
def test_an_index_that_cannot_be_is_refused_by_its_name(memory, layouts, tmp_path, lie):
    write_shards(open_data(str(layouts / "folder")), tmp_path / "shards", 2)
    one = sorted((tmp_path / "shards").glob("*.index.json"))[0]
    index = json.loads(one.read_text())
    last = next(file for file in reversed(index["files"]) if file[0].endswith((".png", ".jpg")))
    index["files"] = lies(*last, index["bytes"])[lie]
    one.write_text(json.dumps(index))
    fsspec.filesystem("memory").put(str(tmp_path / "shards"), "/bucket/lies", recursive=True)
    with pytest.raises(UserError, match=rf"memory://bucket/lies/{one.name}: not the index of the tar beside it"):
        open_data("memory://bucket/lies")


def test_a_manifest_at_an_address_leads_to_no_other_store_unless_that_is_allowed(memory, layouts, tmp_path):
    assert main(["data", "split", str(layouts / "folder"), "-o", str(tmp_path / "m.json"), "--ratio", "9:1"]) == 0
    value, fs = json.loads((tmp_path / "m.json").read_text()), fsspec.filesystem("memory")

    def manifest(data, place="/bucket/m.json"):
        fs.pipe_file(place, json.dumps(value | {"data": data}).encode())
        return f"memory://{place.strip('/')}"

    for data in ("folder", "memory://bucket/folder"):
        assert len(open_data(manifest(data))) == 40
    elsewhere = f"file://{layouts / 'folder'}"
    for data in (elsewhere, "http://10.0.0.1/x", "../other/folder", "/etc", "../../../../etc"):
        with pytest.raises(UserError, match=r"memory://bucket/m\.json: its data is said to lie elsewhere"):
            open_data(manifest(data))
    assert len(open_data(f"{manifest(elsewhere)}#urls=allow")) == 40
    with pytest.raises(UserError, match=r"bucket/m\.json: its data memory://bucket/gone is gone"):
        open_data(manifest("gone"))


@pytest.mark.parametrize("name", ["../0.png", "cat/../../0.png", "cat/./0.png", "cat//0.png"])
def test_a_name_that_leads_out_of_its_folder_is_refused(memory, png, name):
    fs = fsspec.filesystem("memory")
    for kind in ("cat", "dog"):
        fs.pipe_file(f"/way/{kind}/0.png", png[0])
    fs.store[f"/way/{name}"] = fs.store["/way/cat/0.png"]
    with pytest.raises(UserError, match="no folder can hold this name"):
        open_data("memory://way")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://", "no bucket or host is named"),
        ("https:///", "no bucket or host is named"),
        ("hf://", "no bucket or host is named"),
        ("memory://bucket/folder#cache=", "columns to read, such as .*, or cache=20GB"),
        ("memory://bucket/folder#cache=1GB&cache=2GB", "cache is said twice after the #"),
        ("http://127.0.0.1:99999/x", "cannot be read"),
        ("http://[::1/x", "cannot be read"),
        ("zip://nothing.zip", "cannot be read"),
    ],
)
def test_an_address_that_is_none_is_said_at_once(memory, address, said, monkeypatch):
    monkeypatch.setattr(stores.time, "sleep", lambda seconds: pytest.fail("tried again"))
    with pytest.raises(UserError, match=said):
        open_data(address)


def test_the_reason_of_a_web_server_s_silence_is_told(monkeypatch):
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    monkeypatch.setattr(stores, "TRIES", 2)
    with pytest.raises(UserError, match=r"not to be had in 2 tries .*Connect call failed"):
        open_data("http://127.0.0.1:1/x.csv")


KINDS = ["folder", "tars", "table/all.csv", "packed/x.pack", "packed/x.tar.gz"]


@pytest.mark.parametrize("kind", KINDS)
def test_where_no_cache_can_be_made_all_is_read_without_one(memory, layouts, tmp_path, kind, capsys):
    (tmp_path / "cache").write_text("a file")
    same(open_data(str(layouts / kind)), open_data(f"{memory}/{kind}"))
    assert capsys.readouterr().err.count("nothing can be kept there") == 1


def test_on_a_full_disk_a_cache_keeps_nothing_and_loses_nothing(memory, layouts, monkeypatch, capsys):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", path)

    monkeypatch.setattr(caches, "write_piece", full)
    there, reads, read = open_data(f"{memory}/tars"), [], Store.read
    same(open_data(str(layouts / "tars")), there)
    monkeypatch.setattr(Store, "read", lambda store, *what: reads.append(what[2]) or read(store, *what))
    there.read(0)
    assert reads == [there.sizes[0]]  # a picture, and not the whole piece that it lies in
    assert capsys.readouterr().err.count("No space left on device") == 1


def test_pieces_that_were_cut_or_are_no_files_are_fetched_anew_or_done_without(memory, layouts):
    here = open_data(str(layouts / "tars"))
    same(here, open_data(f"{memory}/tars"))
    folder = caches.Cache(1).folder
    pieces = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    assert pieces
    for path in pieces:
        path.write_bytes(path.read_bytes()[:100])
    same(here, open_data(f"{memory}/tars"))
    assert all(path.stat().st_size > 100 for path in pieces)
    for path in pieces:
        path.unlink()
        path.mkdir()
    same(here, open_data(f"{memory}/tars"))


@pytest.mark.slow
@pytest.mark.parametrize("command", ["data stats", "data check -o c.json", "train"])
def test_ctrl_c_while_a_server_stalls_ends_at_once(loopback, png, tmp_path, command):
    """Threads and workers wait for answers then, for minutes if all tries are taken."""
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    rows = [f"{i}.png,{'ab'[i % 2]}" for i in range(200)]
    loopback.files = {f"/{i}.png": png[i % 2] for i in range(200)}
    loopback.files["/t.csv"] = "\n".join(["path,label", *rows]).encode()
    loopback.slow = 2.0
    process = subprocess.Popen(
        [sys.executable, "-m", "reslearn", *command.split(), f"{loopback.url}/t.csv"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"NO_PROXY": "127.0.0.1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    began = time.monotonic()
    while not any(path.endswith(".png") for _, path, _ in loopback.asked) and time.monotonic() - began < 60:
        time.sleep(0.05)
    time.sleep(0.5)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and said.splitlines()[-1] == "reslearn: stopped by Ctrl-C"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("split", ["../../x", "..", "/etc", "a/b"])
def test_a_manifest_whose_split_is_a_path_is_refused(layouts, tmp_path, split):
    """`data export` and `data pack --shards` call folders and files after it."""
    assert main(["data", "split", str(layouts / "folder"), "-o", str(tmp_path / "m.json"), "--ratio", "9:1"]) == 0
    value = json.loads((tmp_path / "m.json").read_text())
    value["split"] = [split if one == "val" else one for one in value["split"]]
    (tmp_path / "m.json").write_text(json.dumps(value))
    with pytest.raises(UserError, match="as no folder can be; call it train, val or test"):
        open_data(str(tmp_path / "m.json"))
