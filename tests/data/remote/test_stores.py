"""DATA at an address is what it is on a disk: the same pictures, names, splits and fingerprints, in any store."""

from __future__ import annotations

import json
import shutil

import fsspec
import pytest

from reslearn.cli.app import main
from reslearn.data.parts.keyed import file_keys
from reslearn.data.remote import store as stores
from reslearn.data.remote.failures import first_line
from reslearn.data.remote.store import Store
from reslearn.data.sources import open_data
from reslearn.spec.errors import UserError

KINDS = ["folder", "table/all.csv", "tars", "tars/train-00000.tar", "packed/x.pack", "packed/x.tar.gz"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(stores, "FIRST_PAUSE", 0.001)


def same(here, there):
    assert list(here.ids) == list(there.ids) and here.classes == there.classes
    assert (here.labels == there.labels).all() and here.fingerprint() == there.fingerprint()
    assert {k: list(v) for k, v in here.splits.items()} == {k: list(v) for k, v in there.splits.items()}
    for i in range(len(here)):
        assert (here.read(i)[0] == there.read(i)[0]).all()
    assert (file_keys(here) == file_keys(there)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_in_memory(layouts, memory, kind):
    there = open_data(f"{memory}/{kind}")
    same(open_data(str(layouts / kind)), there)
    assert there.path == f"{memory}/{kind}"


@pytest.mark.slow  # moto's server takes seconds to start
@pytest.mark.parametrize("kind", KINDS)
def test_in_a_bucket(layouts, s3, kind):
    same(open_data(str(layouts / kind)), open_data(f"{s3}/{kind}"))


@pytest.mark.parametrize("kind", ["tars", pytest.param("folder", marks=pytest.mark.slow)])
def test_at_the_hub(layouts, hub, kind, monkeypatch):
    """By `huggingface_hub`'s own file system, from a repository of data."""
    from huggingface_hub import constants

    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)  # both are read from HF_ENDPOINT at import
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    hub.repositories["datasets/me/set"] = {
        path.relative_to(layouts).as_posix(): path.read_bytes() for path in layouts.rglob("*") if path.is_file()
    }
    same(open_data(str(layouts / kind)), open_data(f"hf://datasets/me/set/{kind}"))


def test_parquet_in_memory(layouts, memory, tmp_path):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install pyarrow")
    from reslearn.data.care.exporting import export_data

    export_data(open_data(str(layouts / "folder")), tmp_path / "out", "parquet", shards=2)
    fsspec.filesystem("memory").put(str(tmp_path / "out"), "/bucket/parquet", recursive=True)
    same(open_data(str(tmp_path / "out")), open_data(f"{memory}/parquet"))


def test_a_manifest_in_a_store_is_obeyed_where_it_lies_and_by_its_address(layouts, memory, tmp_path):
    here = tmp_path / "folder"
    shutil.copytree(layouts / "folder", here)
    assert main(["data", "split", str(here), "-o", str(here / "reslearn-manifest.json"), "--ratio", "9:1"]) == 0
    fsspec.filesystem("memory").put(f"{here}/", "/bucket/split", recursive=True)
    whole, there = open_data(str(here)), open_data(f"{memory}/split")
    assert set(there.splits) == {"train", "val", "test"}
    same(whole, there)
    same(whole, open_data(f"{memory}/split/reslearn-manifest.json"))


def test_a_cache_too_small_for_the_set_changes_nothing(layouts, memory):
    same(open_data(str(layouts / "tars")), open_data(f"{memory}/tars#cache=2KB"))


def test_an_index_beside_a_tar_is_read_instead_of_the_tar(layouts, memory, tmp_path, monkeypatch):
    from reslearn.data.care.shard_writing import write_shards

    write_shards(open_data(str(layouts / "folder")), tmp_path / "shards", 4)
    fsspec.filesystem("memory").put(str(tmp_path / "shards"), "/bucket/shards", recursive=True)
    asked, read = [], Store.read
    monkeypatch.setattr(
        Store, "read", lambda self, name, start, size: asked.append(name) or read(self, name, start, size)
    )
    there = open_data(f"{memory}/shards")
    assert asked and all(name.endswith(".tar.index.json") for name in asked)
    same(open_data(str(tmp_path / "shards")), there)


class Trouble:
    """Every tenth request fails, and every seventh breaks off."""

    def __init__(self, monkeypatch):
        from fsspec.implementations.memory import MemoryFileSystem

        self.count, cat = 0, MemoryFileSystem.cat_file

        def troubled(fs, path, start=None, end=None, **words):
            self.count += 1
            if self.count % 10 == 0:
                raise ConnectionResetError("hung up")
            found = cat(fs, path, start, end, **words)
            return found[: len(found) // 2] if self.count % 7 == 0 else found

        monkeypatch.setattr(MemoryFileSystem, "cat_file", troubled)


@pytest.mark.parametrize("kind", ["folder", "tars", "packed/x.pack"])
def test_a_server_in_trouble_changes_nothing(layouts, memory, kind, monkeypatch):
    trouble = Trouble(monkeypatch)
    same(open_data(str(layouts / kind)), open_data(f"{memory}/{kind}#cache=2KB"))
    assert trouble.count > 20


def test_what_cannot_be_had_is_named_after_some_tries(memory, monkeypatch):
    there = open_data(f"{memory}/folder")
    monkeypatch.setattr(stores, "TRIES", 3)
    monkeypatch.setattr(fsspec.implementations.memory.MemoryFileSystem, "cat_file", lambda *a, **k: b"")
    with pytest.raises(UserError, match=r"memory://bucket/folder/train/cat/0.jpg: not to be had in 3 tries"):
        there.read(0)


def test_a_stalled_web_server_is_asked_again(loopback, layouts, monkeypatch):
    monkeypatch.setattr(stores, "STALL", 0.5)
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    stalling = ""
    for path in (layouts / "table").rglob("*.*"):
        at = f"/t/{path.relative_to(layouts / 'table')}"
        loopback.files[at] = path.read_bytes()
        stalling = at if path.suffix == ".jpg" else stalling
    loopback.faults[stalling] = ["stalls"]
    there = open_data(f"{loopback.url}/t/all.csv")
    same(open_data(str(layouts / "table" / "all.csv")), there)
    assert [path for method, path, _ in loopback.asked if method == "GET"].count(stalling) > 1


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://ID:SECRET@bucket/set", "written into every record"),
        ("s3://ID:SECRET/SECRET@bucket/set", "written into every record"),
        ("https://host/x.tar?accessToken=SECRET", "a signed address"),
        ("https://host/x.tar?X-Amz-Signature=SECRET&a=b", "a signed address"),
        ("memory://nowhere/at-all", "nothing is there"),
        ("nonsense://bucket/set", "nonsense"),
        ("memory://bucket/folder#cache=many", "must be a size such as 20GB"),
        ("memory://bucket/folder#urls=yes", "must be allow"),
        ("memory://bucket/folder#key=ID&secret=SECRET", "and not 'key'"),
        ("memory://bucket/folder#SECRET", "after the # stand columns"),
        ("s3://bucket/set?aws_secret_access_key=SECRET", "a signed address"),
        ("https://host/x.tar?AWSAccessKeyId=ID&Signature=SECRET&Expires=1", "a signed address"),
    ],
)
def test_an_address_that_will_not_do_is_one_line_without_secrets(memory, address, said):
    with pytest.raises(UserError, match=said) as error:
        open_data(address)
    assert "SECRET" not in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("address", "package"), [("gs://b/x", "gcsfs"), ("sftp://h/x", "paramiko")])
def test_a_driver_that_is_not_installed_is_named(address, package, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(UserError, match=f"pip install {package}"):
        open_data(address)


def test_a_table_may_name_addresses_where_that_is_allowed(layouts, loopback, tmp_path, capsys):
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    rows = ["path,label,split"]
    for line in (layouts / "table" / "all.csv").read_text().split()[1:]:
        name, label, split = line.split(",")
        loopback.files[f"/p/{name}"] = (layouts / "table" / name).read_bytes()
        rows.append(f"{loopback.url}/p/{name},{label},{split}")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    with pytest.raises(UserError, match="add --allow-urls"):
        open_data(str(tmp_path / "t.csv"))
    there, here = open_data(f"{tmp_path}/t.csv#urls=allow"), open_data(str(layouts / "table" / "all.csv"))
    assert len(there) == len(here) and all((there.read(i)[0] == here.read(i)[0]).all() for i in range(len(here)))
    assert main(["data", "stats", str(tmp_path / "t.csv"), "--allow-urls", "--json"]) == 0
    loopback.files["/t.csv"] = "\n".join(rows).encode()
    assert len(open_data(f"{loopback.url}/t.csv#urls=allow")) == len(here)


def test_a_table_of_signed_addresses_is_refused_for_they_would_be_names_in_every_record(tmp_path):
    (tmp_path / "t.csv").write_text(
        "path,label\nhttps://h/a.jpg,x\nhttps://h/b.jpg?X-Amz-Signature=SECRET,y\nhttps://h/c.jpg?width=9,x\n"
    )
    with pytest.raises(UserError, match=r"https://h/b.jpg: a signed address \(X-Amz-Signature\)") as error:
        open_data(f"{tmp_path}/t.csv#urls=allow")
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("400, url='https://cdn.host/x?Signature=SECRET&Key=ID'", "400, url='https://cdn.host/x'"),
        ("cannot connect to https://me:SECRET@proxy:80 (why?)", "cannot connect to https://proxy:80 (why?)"),
    ],
)
def test_what_a_driver_says_is_said_without_the_secrets_of_addresses(said, told):
    assert first_line(OSError(said)) == told


@pytest.fixture
def listed(loopback, layouts):
    """The class folders on a web server that lists each folder as links."""
    pytest.importorskip("aiohttp", reason="needs aiohttp: pip install aiohttp")
    root = layouts / "folder"
    for path in (root, *root.rglob("*")):
        at = f"/f/{path.relative_to(root)}".removesuffix("/.")
        if path.is_file():
            loopback.files[at] = path.read_bytes()
        else:
            links = [f'<a href="{one.name}{"/" * one.is_dir()}">x</a>' for one in sorted(path.iterdir())]
            loopback.files[f"{at}/"] = loopback.files[at] = "".join(links).encode()
    return loopback


@pytest.mark.parametrize("fault", ["500", "breaks off"])
@pytest.mark.parametrize("at", ["/f/train/dog/", "/f/train/cat/3.png", "/f/test/"])
def test_a_folder_or_a_file_that_a_web_server_fails_to_tell_of_is_asked_for_again(listed, layouts, fault, at):
    """fsspec's driver leaves out what it cannot list, and says of any file it cannot ask for that it is not there."""
    here = open_data(str(layouts / "folder"))
    listed.faults[at] = [f"HEAD {fault}" if at.endswith("png") else fault, fault]
    there = open_data(f"{listed.url}/f")
    assert list(there.ids) == list(here.ids) and there.fingerprint() == here.fingerprint()


def test_whether_a_manifest_is_there_is_asked_until_a_server_tells(listed, monkeypatch):
    monkeypatch.setattr(stores, "TRIES", 3)
    listed.always["/f/reslearn-manifest.json"] = "503"
    with pytest.raises(UserError, match=r"manifest\.json: not to be had in 3 tries"):
        open_data(f"{listed.url}/f")
    listed.always["/f/reslearn-manifest.json"] = "403"  # who may not read it is bound by none
    assert len(open_data(f"{listed.url}/f")) == 40


TINY = ["--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--precision", "fp32", "--epochs", "1"]
TINY += ["--set", "spec.stage_blocks=1,1,1", "--set", "batch_size=8", "--set", "settings.threads=1"]


def test_a_run_on_a_disk_goes_on_where_the_same_data_is_in_a_store(layouts, memory, tmp_path, capsys):
    assert main(["train", str(layouts / "folder"), *TINY, "--out", str(tmp_path / "run")]) == 0
    assert main(["resume", str(tmp_path / "run"), "--data", f"{memory}/folder"]) == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["data"]["path"] == f"{memory}/folder"
