"""What holds pictures in a way that is not read is named, with what would be right; in one line."""

import bz2
import gzip
import io
import lzma
import pickle
import zipfile

import numpy as np
import pytest

from reslearn.data.sources import open_data
from reslearn.spec.errors import UserError

from ..conftest import encode, picture


def zipped(name):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, b"x")
    return out.getvalue()


def npz():
    out = io.BytesIO()
    np.savez(out, x=np.zeros(3))
    return out.getvalue()


ZSTD = b"\x28\xb5\x2f\xfd" + bytes(90)  # no writer of it is at hand
FILES = {
    "d.zip": (zipped("cat/0.png"), "a zip archive, .* unpack it and give the folder"),
    "d.npz": (npz(), "NumPy arrays .*class folders"),
    "d.xlsx": (zipped("xl/workbook.xml"), "an Excel workbook, save the sheet as CSV"),
    "d.pth": (zipped("archive/data.pkl"), "a PyTorch file, which holds weights"),
    "d.7z": (b"7z\xbc\xaf\x27\x1c" + bytes(90), "a 7z archive, .* unpack it"),
    "d.rar": (b"Rar!\x1a\x07\x01\0" + bytes(90), "a RAR archive, .* unpack it"),
    "d.tar.zst": (ZSTD, "Zstandard, .* `zstd -d`"),
    "d.tar": (ZSTD, "Zstandard, .* `zstd -d`"),
    "d.gz": (gzip.compress(b"0.png,a\n" * 99), "gzip, which holds one file and no tar; unpack it"),
    "d.csv.bz2": (bz2.compress(b"0.png,a\n" * 99), "bzip2, which holds one file and no tar; unpack it"),
    "d.xz": (lzma.compress(b"0.png,a\n" * 99), "xz, which holds one file and no tar; unpack it"),
    "d.h5": (b"\x89HDF\r\n\x1a\n" + bytes(90), "an HDF5 file, write its pictures"),
    "d.mat": (b"MATLAB 5.0 MAT-file" + bytes(90), "a MATLAB file, write its pictures"),
    "d.tfrecord-00000-of-00002": (bytes(99), "TFRecords, write its pictures"),
    "d.mdb": (bytes(16) + b"\xde\xc0\xef\xbe" + bytes(90), "an LMDB database, write its pictures"),
    "d.npy": (b"\x93NUMPY" + bytes(90), "a NumPy array, write its pictures"),
    "d.pkl": (pickle.dumps([1]), "a Python pickle, write its pictures"),
    "d.arrow": (b"\xff\xff\xff\xff" + bytes(90), "an Arrow file, .* as Parquet"),
    "d.jsonl": (b'{"file_name": "0.png"}\n', "JSON lines, .* as a CSV"),
    "d": (b"PAR1" + bytes(90) + b"PAR1", r"a Parquet file, whose name must end with \.parquet"),
    "d.png": (encode(picture(0), "PNG"), "one picture, give the folder"),
    "e.zip": (b"PK\3\4" + bytes(90), "a damaged zip archive"),
    "d.dat": (bytes(90), "not a set of labelled pictures; DATA is"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_kind_is_named(tmp_path, name):
    raw, says = FILES[name]
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(UserError, match=says) as error:
        open_data(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path / name}: ") and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["d.zip", "d.tar.zst", "d.tfrecord-00000-of-00002", "d.mdb", "d.arrow"])
def test_a_folder_of_such_files_is_named_and_beside_pictures_they_are_no_matter(tmp_path, name):
    raw, says = FILES[name]
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(UserError, match=f"no pictures found in class folders; .*; {name}: .*{says}"):
        open_data(tmp_path)
    for cls in ("cat", "dog"):
        (tmp_path / cls).mkdir()
        (tmp_path / cls / "0.png").write_bytes(encode(picture(0), "PNG"))
    assert open_data(tmp_path).classes == ("cat", "dog")


@pytest.mark.parametrize("address", ["memory://b/a.tar", "memory://b/a", "memory://b/a.csv", "memory://b/m.json"])
def test_an_address_where_nothing_is_is_named(address):
    with pytest.raises(UserError, match=rf"{address}: nothing is there; check the address"):
        open_data(address)


def test_a_pattern_is_named(tmp_path):
    with pytest.raises(UserError, match="a pattern is not expanded, give the folder of the shards"):
        open_data(tmp_path / "train-{000..009}.tar")
