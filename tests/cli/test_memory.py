"""What a file promises is not believed: numbers in it may ask for terabytes, and a gigabyte more must do for a line."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import tarfile
import time
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from reslearn.cli.app import main

from .limits import GIGA, at_most


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def tiff(entries):
    """A little-endian TIFF of one directory: (tag, type, count, value)."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + bytes(4)


def plain_tiff(**changes):
    tags = {"width": (256, 4, 1, 8), "height": (257, 4, 1, 8), "bits": (258, 3, 1, 8), "packing": (259, 3, 1, 1)}
    tags |= {"kind": (262, 3, 1, 1), "offsets": (273, 4, 1, 8), "rows": (278, 4, 1, 8), "lengths": (279, 4, 1, 64)}
    return tiff([*(tags | changes).values()])


def jpeg(width, height):
    whole = bytearray(cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    at = whole.index(b"\xff\xc0")
    whole[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(whole)


def changed(extension, at, packed):
    """A small picture of OpenCV's with other bytes from `at` on."""
    whole = bytearray(cv2.imencode(extension, np.zeros((64, 64, 3), np.uint8))[1].tobytes())
    whole[at : at + len(packed)] = packed
    return bytes(whole)


BOMB = zlib.compress(bytes(1 << 28), 9)
PICTURES = {
    "declared.png": png(60_000, 60_000, chunk(b"IDAT", BOMB)),
    "largest.png": png(2**31 - 1, 2**31 - 1, chunk(b"IDAT", BOMB)),
    "text.png": png(8, 8, *[chunk(b"zTXt", b"Comment\0\0" + BOMB)] * 20, chunk(b"IDAT", zlib.compress(bytes(200)))),
    "profile.png": png(8, 8, chunk(b"iCCP", b"x\0\0" + BOMB), chunk(b"IDAT", zlib.compress(bytes(200)))),
    "data.png": png(8, 8, chunk(b"IDAT", BOMB)),
    "declared.jpg": jpeg(65_500, 65_500),
    "declared.bmp": changed(".bmp", 18, struct.pack("<ii", 100_000, 100_000)),
    "negative.bmp": changed(".bmp", 18, struct.pack("<ii", -(2**31), -(2**31))),
    "declared.ppm": b"P6 100000 100000 255\n" + bytes(300),
    "digits.ppm": b"P6 " + b"9" * 5000 + b" 8 255\n" + bytes(300),
    "plain.pgm": b"P2 99999999 99999999 255\n1 2 3",
    "declared.gif": b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0) + bytes(6)
    + b"," + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + b"\x02\x02\x44\x01\0;",
    "declared.tif": plain_tiff(width=(256, 4, 1, 10**6), height=(257, 4, 1, 10**6)),
    "samples.tif": plain_tiff(samples=(277, 3, 1, 65_535), bits=(258, 3, 65_535, 8)),
    "strips.tif": plain_tiff(offsets=(273, 4, 2**31, 8), lengths=(279, 4, 2**31, 8)),
    "rows.tif": plain_tiff(rows=(278, 4, 1, 0), lengths=(279, 4, 1, 2**32 - 1)),
    "tile.tif": plain_tiff(tile=(322, 4, 1, 2**31), tall=(323, 4, 1, 2**31), at=(324, 4, 1, 8), long=(325, 4, 1, 64)),
    "declared.jp2": changed(".jp2", 0, b""),
    "declared.webp": b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<II", 10, 0) + b"\xff" * 6 + bytes(8),
    "declared.ico": b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, 2**31, 22) + png(50_000, 50_000),
    "declared.tga": struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 65_535, 65_535, 24, 0) + b"\xff\1\2\3",
    "declared.pcx": b"\n\5\1\x08" + struct.pack("<HHHHHH", 0, 0, 65_534, 65_534, 72, 72) + bytes(49)
    + b"\3" + struct.pack("<H", 65_535) + bytes(60),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two classes of ordinary pictures."""
    monkeypatch.chdir(tmp_path)
    for name in ("cat", "dog"):
        (tmp_path / "pics" / name).mkdir(parents=True)
        for i in range(2):
            cv2.imwrite(f"pics/{name}/{i}.png", np.full((8, 8, 3), 99 * i, np.uint8))
    return tmp_path


def answers(command, capsys):
    """One line and exit status 2, or an answer; soon, and with a gigabyte more than before."""
    started = time.monotonic()
    with at_most(GIGA):
        status = main(command)
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line.startswith("reslearn: ")]
    assert status in (0, 2), (command, err)
    assert len(lines) == (status == 2) and "Traceback" not in err, (command, err)
    assert time.monotonic() - started < 20, command
    return status, out, err


def test_a_gigabyte_is_what_the_block_gets():
    with at_most(GIGA), pytest.raises(MemoryError):
        np.zeros(2 * GIGA, np.uint8)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_that_asks_for_too_much(name, folder, capsys):
    content = PICTURES[name]
    if name == "declared.jp2":  # the size stands behind the marker SIZ and its length and kind
        at = content.index(b"\xff\x51") + 6
        content = content[:at] + struct.pack(">II", 2**31, 2**31) + content[at + 8 :]
    (folder / "pics/cat" / name).write_bytes(content)
    answers(["data", "stats", "pics"], capsys)
    status, _, err = answers(["data", "check", "--no-write", "pics"], capsys)
    assert status == 0, err


def test_a_picture_of_a_terabyte(folder, capsys):
    (folder / "pics/cat/long.png").write_bytes(png(8, 8))
    os.truncate("pics/cat/long.png", 1 << 40)
    status, _, err = answers(["data", "stats", "pics"], capsys)
    assert status == 2 and "long.png" in err
    status, out, err = answers(["data", "check", "--no-write", "pics"], capsys)
    assert status == 0 and "long.png" in out + err


def tar_of(name, size, pax=None):
    """A tar whose member says that it has `size` bytes, or what the extended header says."""
    member = tarfile.TarInfo(name)
    member.size = size
    member.pax_headers = pax or {}
    return member.tobuf(tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT) + bytes(1024)


def zip_of(name, content):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return memory.getvalue()


def safetensors(length, text):
    return struct.pack("<Q", length) + text


FILES = {
    "list.csv": {
        "field": b"path,label\n" + b"x" * 300_000 + b",cat\n",
        "number": b"path,label\npics/cat/0.png," + b"7" * 5000 + b"\npics/dog/0.png,1\n",
        "label": b"path,label\npics/cat/0.png," + b"7" * 5000 + b"\npics/dog/0.png," + b"8" * 5000 + b"\n",
        "quote": b'path,label\n"' + b"pics/cat/0.png,cat\n" * 100_000,
        "columns": b"path,label" + b",x" * 2_000_000 + b"\n",
        "zeros": b"path,label\n" + bytes(1 << 20),
    },
    "m.json": {
        "deep": b"[" * 5_000_000,
        "object": b'{"a":' * 1_000_000,
        "number": b"1" * 5000,
        "exponent": b'{"format": 1e400}',
    },
    "x.pack": {
        "index": b"RSLNPACK" + struct.pack("<QQ", 1 << 40, 1 << 40) + bytes(4096),
        "zeros": bytes(1 << 20),
    },
    "x.tar": {
        "octal": tar_of("cat/0.png", 8**11 - 1),
        "exabytes": tar_of("cat/0.png", 1 << 62),
        "pax": tar_of("cat/0.png", 9, {"size": "9" * 30}),
    },
    "x.tar.gz": {
        "exabytes": gzip.compress(tar_of("cat/0.png", 1 << 62)),
        "zeros": gzip.compress(bytes(1 << 28)),
    },
    "x.zip": {"member": zip_of("cat/0.png", bytes(1 << 28))},
    "x.parquet": {"footer": b"PAR1" + bytes(100) + struct.pack("<I", 2**31 - 1) + b"PAR1"},
    "w.safetensors": {
        "length": safetensors(1 << 62, b"{}"),
        "header": safetensors(99_999_999, b"{" + b" " * 1000),
        "deep": safetensors(500_000, b'{"a":' * 100_000),
        "shape": safetensors(64, b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,0]}}'[:64]),
        "offsets": safetensors(66, b'{"a":{"dtype":"F32","shape":[4000],"data_offsets":[0,16000]}}'.ljust(66)),
        "number": safetensors(5030, b'{"a":' + b"1" * 5000 + b"}".ljust(25)),
    },
    "w.pth": {
        "zip": zip_of("archive/data.pkl", bytes(1 << 28)),
        "pickle": b"\x80\x02" + b"B" + struct.pack("<I", 2**31 - 1),
        "long": b"\x80\x04\x8b" + struct.pack("<I", 2**31 - 1),
        "frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 60),
        "array": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40),
    },
}  # fmt: skip


@pytest.mark.parametrize(("name", "fault"), [(name, fault) for name, faults in FILES.items() for fault in faults])
def test_a_file_that_asks_for_too_much(name, fault, folder, capsys):
    (folder / name).write_bytes(FILES[name][fault])
    if name.startswith("w."):
        commands = [["show", name], ["convert", name, "--model", "resnet20_cifar", "-o", "out.safetensors"]]
    else:
        commands = [["data", "stats", name], ["data", "check", "--no-write", name]]
    for command in commands:
        answers(command, capsys)


@pytest.mark.parametrize("name", [*FILES, "sealed.safetensors"])
def test_a_file_of_a_terabyte(name, folder, capsys):
    """Sparse: it takes no room, and none may be asked for."""
    content = next(iter(FILES.get(name, FILES["w.safetensors"]).values()))
    (folder / name).write_bytes(content)
    os.truncate(name, 1 << 40)
    if name.startswith(("w.", "sealed")):
        command = ["convert", name, "--model", "resnet20_cifar", "-o", "out.safetensors"]
    else:
        command = ["data", "stats", name]
    assert answers(command, capsys)[0] == 2


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt", "t.json", "pics/reslearn-manifest.json"])
def test_a_text_of_two_gigabytes_that_is_sparse(name, folder, capsys):
    """It is below the largest that is read, and yet nothing of it but the line that it is empty."""
    if name.endswith(".json"):
        assert main(["data", "check", "pics", "-o", str(folder / name)]) == 0
        capsys.readouterr()
    else:
        (folder / name).write_text("pics/cat/0.png,cat\npics/dog/0.png,dog\n")
    os.truncate(name, (1 << 31) - 4096)
    for command in (["data", "stats"], ["data", "check", "--no-write"]):
        status, _, err = answers([*command, "pics" if name.startswith("pics") else name], capsys)
        assert status == 2 and f"{os.path.basename(name)}: a sparse file" in err


def test_a_run_whose_files_are_of_a_terabyte(folder, capsys):
    train = ["train", "digits", "--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--epochs", "1"]
    train += ["--precision", "fp32", "--set", "spec.stage_blocks=1,1,1", "--set", "settings.threads=1", "--out", "run"]
    assert main(train) == 0
    capsys.readouterr()
    assert main(["evaluate", "run", "digits", "--no-cache", "--json"]) == 0
    right = json.loads(capsys.readouterr().out)
    checkpoints = [f"checkpoints/{name}" for name in os.listdir("run/checkpoints")]
    names = ["run.json", "metrics.jsonl", "ledger.jsonl", "pictures.safetensors", "model.safetensors"]
    for name in [*names, *checkpoints]:
        before = Path(f"run/{name}").read_bytes() if os.path.exists(f"run/{name}") else None
        with open(f"run/{name}", "ab") as file:
            file.truncate(1 << 40)
        if name in checkpoints:
            os.rename("run/model.safetensors", "away")
        for command in (["resume", "run"], ["report", "run"], ["evaluate", "run", "digits", "--json"]):
            status, out, _ = answers(command, capsys)
            if status == 0 and out and command[0] == "evaluate":
                assert json.loads(out)["loss"] == right["loss"]
        os.unlink(f"run/{name}")
        if before is not None:
            Path(f"run/{name}").write_bytes(before)
        if name in checkpoints:
            os.replace("away", "run/model.safetensors")
