"""Sources without random access (Parquet, compressed tars) are packed once, beside themselves or in the cache."""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ...runtime import notes
from ...runtime.files import exclusive_lock, naming, user_cache
from ...runtime.opening import open_regular
from ...spec.errors import UserError
from ..layout.archives import COMPRESSED, Archives
from ..layout.parquet_columns import image_column
from ..table import Pictures
from .pack import SUFFIX, open_pack
from .packing import remove_remains, write_pack
from .parquet import open_rows
from .shards import open_shards
from .tar_index import DAMAGED, open_tar

COPY_RATE = 60e6  # bytes per second of the source: decompress, hash, write; measured on a slow disk
READING = "3"  # of compressed tars: raised when another release reads other pictures or classes from the same file
_SPARE = 1.2  # of the disk asked for: index, hashes, and what a file system adds


def open_packed(
    path: str, archives: Archives, asked: Mapping[str, str], *, say: Callable[[str], None] | None = None
) -> Pictures:
    """The pack of Parquet files or compressed tar shards, written now if this is their first use."""
    files = archives.files
    parquet = files[0].lower().endswith(".parquet")
    source = archives.folder if os.path.isdir(path) else path
    chosen = image_column(files, path, asked) if parquet else READING
    target = pack_path(source, files, chosen)
    unpacked_into = target.with_name(f".{os.path.basename(os.path.abspath(source))}.unpacking")
    if target.exists():
        remove_remains(target)
        if unpacked_into.exists():
            with contextlib.suppress(UserError, OSError), _emptied(unpacked_into):
                pass
        return open_pack(str(target), path)
    say = say or notes.say
    size = sum(os.path.getsize(file) for file in files)
    free = shutil.disk_usage(target.parent).free
    # A compressed tar lies there unpacked while its pack is written, so twice what it holds, which is `size` at least.
    _need_room(path, target.parent, size if parquet else 2 * size, free)
    seconds = size / COPY_RATE + 1
    say(f"{path}: no random access; packing it once into {target} ({_mega(size)}, about {seconds:.0f} s)")
    if parquet:
        write_pack(open_rows(files, path, asked), target, threads=1)
        return open_pack(str(target), path)
    with _emptied(unpacked_into) as folder:
        plain, unpacked = [], 0
        for file in files:
            tar, unpacked = _decompress(
                file, folder, unpacked, lambda whole: _need_room(path, target.parent, 2 * whole, free)
            )
            plain.append(tar)
        write_pack(open_shards(plain, path), target)
        return open_pack(str(target), path)


@contextlib.contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    """An empty folder for the block. Its name is always the same, so what a killed process left in it is removed.

    Raises `UserError` while another process has it.
    """
    lock = folder.with_name(f"{folder.name}.lock")
    with exclusive_lock(lock, f"{folder}: another process is unpacking into it; wait for it or stop it"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)  # while it is still ours


def _need_room(path: str, folder: Path, size: int, free: int) -> None:
    need = _SPARE * size
    if free < need:
        raise UserError(f"{folder}: packing {path} needs at least {_mega(need)} of disk, {_mega(free)} are free")


def pack_path(path: str, files: Sequence[str], reading: str = "") -> Path:
    """Where the pack of a source lies: beside it where that is writable, else in the user's cache.

    The name holds the files' sizes and times, so a changed source is packed anew, and so is one read otherwise.
    """
    import hashlib

    stats = [(os.path.basename(f), os.path.getsize(f), os.stat(f).st_mtime_ns) for f in sorted(files)]
    tag = hashlib.sha256((repr(stats) + reading).encode()).hexdigest()[:10]
    folder, name = os.path.split(os.path.abspath(path))
    if not os.access(folder, os.W_OK):
        folder = str(user_cache())
        os.makedirs(folder, exist_ok=True)
    return Path(folder) / f"{name}.{tag}{SUFFIX}"


def _decompress(file: str, folder: Path, unpacked: int, need: Callable[[int], None]) -> tuple[str, int]:
    """A compressed tar as a plain one, member by member, so that its own index reads it; and `unpacked` bytes so far.

    `need` is told that sum before each member is written: what a tar holds is known only on the way.
    """
    name = os.path.basename(file)
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    target = folder / f"{name}.tar"
    try:
        with (
            naming(target),
            open_regular(file) as opened,
            open_tar(opened) as source,
            tarfile.open(target, "w") as plain,
        ):
            for member in source:
                if member.isfile():
                    unpacked += member.size
                    need(unpacked)
                    member.type = tarfile.REGTYPE  # a sparse one comes out whole
                    plain.addfile(member, source.extractfile(member))
                elif member.isdir() or member.islnk() or member.issym():
                    plain.addfile(member)
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(f"{file}: damaged or incomplete archive ({error})") from None
    return str(target), unpacked


def _mega(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"
