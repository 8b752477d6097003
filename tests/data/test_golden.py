"""What every kind of source says of the same pictures, so that how they are held cannot change what they are.

Runs, manifests and packs hold these identities. `make golden` writes the file anew; its diff shows what moved.
"""

import csv
import hashlib
import io
import json
import os
import pickle
import shutil
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from reslearn.cli.output import say_notes
from reslearn.data.care.check import check_data
from reslearn.data.care.splitting import named_groups, split_data
from reslearn.data.contents import Contents
from reslearn.data.formats.pack_index import PackOptions
from reslearn.data.formats.packing import write_pack
from reslearn.data.memory import ArrayDataset, Subset
from reslearn.data.parts.keyed import Keyed, file_keys
from reslearn.data.parts.keys import identities
from reslearn.data.sources import open_data
from reslearn.data.table import as_pictures

GOLDEN = Path(__file__).parent / "golden_sources.json"
REWRITE = os.environ.get("RESLEARN_REWRITE_GOLDEN") == "1"
RELEASE = Path(__file__).parent.parent / "fixtures" / "release"
FILES = {f"{c}/{i}.png": (RELEASE / "pictures" / c / f"{i}.png").read_bytes() for c in "ab" for i in range(8)}
PLACED = {f"{'test' if name[2] in '67' else 'train'}/{name}": raw for name, raw in FILES.items()}


def folder(path, files=PLACED):
    for name, raw in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(raw)
    return path


def tar(path, files, mode="w"):
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, mode) as out:
        for name, raw in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(raw)
            out.addfile(entry, io.BytesIO(raw))
    return path


def samples(split):
    """A WebDataset shard's members."""
    for name, raw in PLACED.items():
        if name.startswith(split):
            yield f"{name[-7]}{name[-5]}.png", raw
            yield f"{name[-7]}{name[-5]}.cls", name[-7].encode()


def shards(path):
    tar(path / "train-0.tar", dict(samples("train")))
    tar(path / "test-0.tar", dict(samples("test")))
    return path


def table(path, *, groups=True):
    folder(path)
    with open(path / "all.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "split", *(["group"] if groups else [])])
        for name in reversed(PLACED):
            split, cls, last = name.split("/")
            rows.writerow([name, cls, split, *([f"{split}{int(last[0]) // 2}"] if groups else [])])
    return path / "all.csv"


def parquet(path, *, nested=False):
    import pyarrow as pa
    import pyarrow.parquet as pq

    for split in ("train", "test"):
        rows = [(name, raw) for name, raw in PLACED.items() if name.startswith(split)]
        where = path / split / "0.parquet" if nested else path / f"{split}-00000-of-00001.parquet"
        where.parent.mkdir(parents=True, exist_ok=True)
        image = [{"bytes": raw, "path": name} for name, raw in rows]
        group = [name[-5] for name, _ in rows]
        pq.write_table(pa.table({"image": image, "label": [int("b/" in n) for n, _ in rows], "group": group}), where)
    return path


def cifar(path):
    rng = np.random.default_rng(0)
    files = {"x/batches.meta": pickle.dumps({b"label_names": [b"a", b"b"]}, protocol=2)}
    for name in ("data_batch_1", "test_batch"):
        rows = rng.integers(0, 256, (9, 3072), dtype=np.uint8)
        files[f"x/{name}"] = pickle.dumps({b"labels": rng.integers(0, 2, 9).tolist(), b"data": rows}, protocol=2)
    return tar(path / "cifar.tar.gz", files, "w:gz")


def pixels():
    return np.stack([cv2.imdecode(np.frombuffer(raw, np.uint8), 1)[..., ::-1][:8, :8] for raw in FILES.values()])


def arrays(_):
    return ArrayDataset(
        pixels(), np.arange(16) // 8, classes=["a", "b"], ids=list(FILES), splits={"test": np.array([1, 9])}
    )


def checked(path):
    """A folder under a manifest that excludes one picture and splits the others."""
    folder(path, FILES | {"a/8.png": b"\x89PNG broken", "b/9.png": FILES["a/0.png"]})
    split_data(str(path), ratio="6:2:2", group_regex="/([0-9])")
    check_data(str(path), exclude=("conflicts",))
    return path


def elsewhere(path):
    """A manifest that lies elsewhere and is itself DATA."""
    table(path)
    check_data(str(path / "all.csv"), manifest=str(path / "own.json"))
    return path / "own.json"


def packed(options):
    def build(path):
        write_pack(open_data(table(path)), path / "all.pack", options)
        return path / "all.pack"

    return build


def pack_of_pack(path):
    first = packed(PackOptions("jpeg"))(path)
    write_pack(Subset(open_data(first), [3, 1, 7]), path / "again.pack", PackOptions("raw", 10))
    return path / "again.pack"


class Own:
    """A user's data set: the protocol's members and no more."""

    def __init__(self):
        self.classes, self.ids, self.path = ("a", "b"), [f"own{i}" for i in range(16)], None
        self.labels, self.splits = np.arange(16) // 8, {"val": np.array([2, 12])}

    def __len__(self):
        return 16

    def read(self, i):
        return 255 - pixels()[i], int(self.labels[i])

    def fingerprint(self):
        return "own"


SOURCES = {
    "folder": folder,
    "folder without splits": lambda path: folder(path, FILES),
    "folder with a stray": lambda path: folder(path, FILES | {"a/notes.txt": b"no picture"}),
    "tar": lambda path: tar(path / "all.tar", PLACED),
    "compressed tar": lambda path: tar(path / "all.tar.gz", PLACED | {"train/a/x.txt": b"?"}, "w:gz"),
    "shards": shards,
    "table": table,
    "table with columns asked for": lambda path: f"{table(path, groups=False)}#label=label&path=path",
    "parquet": lambda path: parquet(path / "rows"),
    "parquet in folders": lambda path: parquet(path / "rows", nested=True),
    "parquet file": lambda path: parquet(path / "rows") / "train-00000-of-00001.parquet",
    "pack of originals": packed(PackOptions()),
    "pack of pixels": packed(PackOptions("raw")),
    "pack of smaller pixels": packed(PackOptions("raw", 9)),
    "pack of jpegs": packed(PackOptions("jpeg", 9)),
    "pack of a pack": pack_of_pack,
    "older pack of originals": lambda path: shutil.copy(RELEASE / "original.pack", path / "old.pack"),
    "older pack of pixels": lambda path: shutil.copy(RELEASE / "raw.pack", path / "old.pack"),
    "older pack of jpegs": lambda path: shutil.copy(RELEASE / "jpeg.pack", path / "old.pack"),
    "cifar": cifar,
    "digits": lambda path: "digits",
    "arrays": arrays,
    "manifest": checked,
    "manifest elsewhere": elsewhere,
    "own": lambda path: Own(),
}


def digest(value):
    return hashlib.sha256(value if isinstance(value, bytes) else repr(value).encode()).hexdigest()[:16]


def facts(data, root, capsys):
    """All that identifies `data`, in words where they are few."""
    capsys.readouterr()
    say_notes(as_pictures(data).notes)
    kind, names = identities(data)
    groups = named_groups(data, None)
    keyed = Keyed(data)
    keyed.recall()
    known = keyed.rows.any(axis=1).sum()
    keyed.complete(on_bad_file="skip")
    return {
        "path": data.path and os.path.relpath(data.path, root) if data.path != "digits" else "digits",
        "fingerprint": data.fingerprint(),
        "classes": list(data.classes),
        "ids": [data.ids[0], data.ids[len(data) - 1], digest(list(data.ids))],
        "labels": digest([int(label) for label in data.labels]),
        "splits": {name: digest([int(i) for i in members]) for name, members in data.splits.items()},
        "notes": capsys.readouterr().err.replace(str(root), "ROOT").splitlines(),
        "identities": [kind, digest(names)],
        "groups": groups and digest([*groups]),
        "known": int(known),
        "file keys": digest(file_keys(data).tobytes()),
        "rows": digest(keyed.rows.tobytes()),
        "contents": Contents(data).digest[:16],
        "pixels": digest(b"".join(np.ascontiguousarray(data.read(i)[0]).tobytes() for i in range(len(data)))),
    }


@pytest.mark.parametrize("name", SOURCES)
def test_a_golden_source_is_what_it_was(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = tmp_path / "data"
    place.mkdir()
    made = SOURCES[name](place)
    data = open_data(made, on_bad_file="skip") if isinstance(made, str | Path) else made
    chosen = np.arange(len(data))[::-2]
    found = {
        "whole": facts(data, tmp_path, capsys),
        "part": facts(Subset(data, chosen), tmp_path, capsys),
        "part of a part": Subset(Subset(data, chosen), [1, 0]).fingerprint(),
    }
    bare = name in ("cifar", "digits", "arrays", "own") or "pixels" in name or name == "pack of a pack"
    for options in (PackOptions("raw"), *([] if bare else [PackOptions()])):
        if len(data) < 100:
            for part in (data, Subset(data, chosen)):
                write_pack(part, tmp_path / "new.pack", options)
                stored = (tmp_path / "new.pack").read_bytes().replace(str(tmp_path).encode(), b"ROOT")
                found.setdefault("packs", []).append(digest(stored[64:]))  # the head has a checksum of the paths
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if REWRITE:
        GOLDEN.write_text(json.dumps(golden | {name: found}, indent=1) + "\n")
        golden[name] = found
    assert found == golden[name]
