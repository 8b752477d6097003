"""What a file or folder is that holds pictures, or may, and is not read as DATA; and what would be right."""

from __future__ import annotations

import contextlib
import os
import zipfile
from typing import NamedTuple

from ...runtime.opening import open_regular
from ...spec.errors import some
from ..pictures.kinds import EXTENSIONS, MAGIC
from .listing import is_clutter

_PICTURE = "one picture"
_UNPACK = "which is not read in place; unpack it and give the folder"
_FILES = "write its pictures as files into class folders, or as Parquet"
_ONE = "which holds one file and no tar; unpack it and give what is in it"
_STARTS = (  # where in the file, which bytes, what it is, what would be right
    (0, b"PK\3\4", "a damaged zip archive", "copy it again, unpack it and give the folder"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (0, b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "compressed by Zstandard", "which is not read; decompress it with `zstd -d`"),
    (0, b"\x04\x22\x4d\x18", "compressed by LZ4", "which is not read; decompress it with `lz4 -d`"),
    (0, b"\x1f\x8b", "compressed by gzip", _ONE),
    (0, b"BZh", "compressed by bzip2", _ONE),
    (0, b"\xfd7zXZ\0", "compressed by xz", _ONE),
    (0, b"MATLAB ", "a MATLAB file", _FILES),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", _FILES),
    (512, b"\x89HDF\r\n\x1a\n", "an HDF5 file", _FILES),
    (0, b"\x93NUMPY", "a NumPy array", _FILES),
    (0, b"PAR1", "a Parquet file", "whose name must end with .parquet"),
    (0, b"ARROW1\0\0", "an Arrow file", "which is not read; write it as Parquet"),
    (0, b"SQLite format 3\0", "an SQLite database", _FILES),
    (16, b"\xde\xc0\xef\xbe", "an LMDB database", _FILES),
    (0, b"\x0a\x23\xd7\xce", "an MXNet RecordIO file", _FILES),
    (0, b"%PDF", "a PDF document", "extract its pictures into class folders"),
    (0, (b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5"), "a Python pickle", _FILES),
)
_NAMES = (  # what a name tells where the bytes do not
    (".tfrecord", "TFRecords", _FILES),
    (".beton", "an FFCV file", _FILES),
    (".mat", "a MATLAB file", _FILES),
    (".arrow", "an Arrow file", "which is not read; write it as Parquet"),
    (".jsonl", "JSON lines", "which are not read; write them as a CSV with the columns path and label"),
    (".dvc", "a DVC pointer", "not the data itself; run `dvc pull`"),
    (".yaml", "a YAML file", "name the folder of pictures"),
    (".yml", "a YAML file", "name the folder of pictures"),
)
_IN_A_ZIP = (  # a member's name ends so -> what the zip is
    (".npy", "NumPy arrays (.npz)", _FILES),
    ("data.pkl", "a PyTorch file", "which holds weights or tensors, not pictures"),
    ("xl/workbook.xml", "an Excel workbook", "save the sheet as CSV"),
)


class Other(NamedTuple):
    """What a file is, and what would be right."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}, {self.remedy}"

    @property
    def a_tar(self) -> bool:
        """Whether it may yet be a compressed tar, though a damaged one."""
        return self.remedy == _ONE


def other_source(path: str) -> Other | None:
    """For a file whose kind is known and not read as DATA; None for any other."""
    names: list[str] = []
    with open_regular(path) as file:
        head = file.read(1024)
        zipped = zipfile.is_zipfile(file)
        with contextlib.suppress(zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            names = zipfile.ZipFile(file).namelist() if zipped else []
    if zipped:
        inside = (Other(*kind) for end, *kind in _IN_A_ZIP if any(name.endswith(end) for name in names))
        return next(inside, Other("a zip archive", _UNPACK))
    return _by_start(os.path.basename(path), head)


def other_start(name: str, head: bytes) -> Other | None:
    """`other_source` of a file that is called `name`, of which the first bytes are here alone."""
    return Other("a zip archive", _UNPACK) if head.startswith(b"PK\3\4") else _by_start(name, head)


def _by_start(name: str, head: bytes) -> Other | None:
    name = name.lower()
    if head.startswith(MAGIC) or os.path.splitext(name)[1] in EXTENSIONS:
        return Other(_PICTURE, "give the folder of the class folders")
    found = next((kind for at, start, *kind in _STARTS if head[at:].startswith(start)), None)
    found = found or next((kind for part, *kind in _NAMES if part in name), None)
    return None if found is None else Other(*found)


def other_sources(folder: str) -> str:
    """The files directly in a folder that hold pictures in a way that is not read, and what would be right; or ""."""
    files = sorted(entry.path for entry in os.scandir(folder) if not is_clutter(entry.name) and entry.is_file())
    found = [(os.path.basename(file), other) for file in files[:100] if (other := other_source(file)) is not None]
    found = [(name, other) for name, other in found if other.what != _PICTURE]
    return f"{some([name for name, _ in found])}: {found[0][1]}" if found else ""
