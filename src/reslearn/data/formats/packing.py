"""Writes a pack: in parallel, resumable, whole or absent."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...runtime.files import exclusive_lock, naming, writable_target
from ...runtime.opening import parse_json, read_document
from ...spec.errors import UserError
from ..dataset import Dataset, Progress
from ..parts.keys import ORIGINAL, content_hash, key_of
from ..preprocess import resize
from ..strings import StringTable
from ..table import Pictures, as_pictures, identity_digest
from ..workers import in_threads
from .pack import Packed, is_pack, open_pack
from .pack_index import HEAD, PackOptions, head_bytes, index_bytes

_HEX = re.compile("[0-9a-f]*")
_JOURNAL_EVERY = 64  # pictures between two lines of the journal


def write_pack(
    dataset: Dataset,
    target: str | os.PathLike[str],
    options: PackOptions | None = None,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Pictures:
    """Pack `dataset` into `target`, which appears when it is whole. Stopped and called again, it goes on.

    A pack that is there is replaced, any other file is a `UserError`.
    `original` copies bytes and decodes nothing; with `raw` and `jpeg` a picture that cannot be read is a `UserError`
    with its name (`data check` finds them all). A full disk leaves
    `target` absent and the part file ready to be gone on with.
    """
    target, options = Path(target), options or PackOptions()
    check_target(target)
    if options.encoding == "original" and options.shorter_side is not None:
        raise UserError("original bytes cannot be resized; choose encoding raw or jpeg")
    job = json.dumps([dataset.fingerprint(), members_digest(dataset), asdict(options)])
    part, journal, lock = _beside(target)
    with exclusive_lock(lock, f"{target}: another process is writing this pack"):
        done = _go_on(part, journal, job, len(dataset))
        encode = partial(_encode, as_pictures(dataset), options)
        with (
            naming(part),
            open(part, "r+b" if done else "wb") as file,
            open(journal, "a", encoding="utf-8") as lines,
            contextlib.closing(in_threads(encode, range(len(done), len(dataset)), threads)) as encoded,
        ):
            if not done:
                file.write(bytes(HEAD))
                lines.write(job + "\n")
            end = file.seek(done[-1]["end"] if done else HEAD)
            for data, line in encoded:
                file.write(data)
                end += len(data)
                done.append({"end": end} | line)
                lines.write(json.dumps(done[-1]) + "\n")
                if len(done) % _JOURNAL_EVERY == 0:
                    file.flush()
                    lines.flush()
                if progress is not None:
                    progress(len(done), len(dataset))
            _finish(file, dataset, options, done)
        os.replace(part, target)
        journal.unlink()
        lock.unlink(missing_ok=True)  # while it is still ours
    return open_pack(str(target))


def remove_remains(target: Path) -> None:
    """Remove what a process leaves beside a whole pack when it is killed just after that came to be there."""
    part, journal, lock = _beside(target)
    if lock.exists():
        with contextlib.suppress(OSError, UserError), exclusive_lock(lock):
            part.unlink(missing_ok=True)
            journal.unlink(missing_ok=True)
            lock.unlink(missing_ok=True)


def _beside(target: Path) -> tuple[Path, Path, Path]:
    """The unfinished pack, its journal, and the lock of whoever writes them."""
    part, journal, lock = (target.with_name(target.name + end) for end in (".part", ".part.journal", ".lock"))
    return part, journal, lock


def check_target(target: str | os.PathLike[str]) -> None:
    """Raise `UserError` unless a pack can be written to `target`: nothing is there, or a pack to replace."""
    if writable_target(target).exists() and not is_pack(str(target)):
        raise UserError(f"{target}: a file that is no pack is there, and is not replaced; name another, or remove it")


def members_digest(dataset: Dataset) -> str:
    """Digest of which pictures are packed, as what and in which split: a manifest may change all of that while the
    fingerprint, its source's, stays; positions in the part file would then name other pictures."""
    digest = hashlib.sha256(identity_digest(dataset.ids, dataset.labels, dataset.classes))
    for name, indices in dataset.splits.items():
        digest.update(f"{name}:{len(indices)}:".encode() + np.asarray(indices, dtype="<i8").tobytes())
    digest.update(json.dumps(list(as_pictures(dataset).table.groups or ())).encode())
    return digest.hexdigest()


def _go_on(part: Path, journal: Path, job: str, count: int) -> list[dict[str, Any]]:
    """Records of an earlier, stopped job that was the same; both files are cut to what is surely whole."""
    try:
        lines = read_document(journal).split(b"\n")
        size = part.stat().st_size
    except (OSError, UserError):
        lines, size = [], 0
    done: list[dict[str, Any]] = []
    if lines and lines[0] == job.encode():
        for text in lines[1:-1]:
            record = _record(text, done[-1]["end"] if done else HEAD, size)
            if record is None or len(done) == count:
                break
            done.append(record)
    if done:
        os.truncate(part, done[-1]["end"])
        journal.write_text("\n".join([job, *(json.dumps(r) for r in done)]) + "\n", encoding="utf-8")
    else:
        part.unlink(missing_ok=True)
        journal.unlink(missing_ok=True)
    return done


def _record(text: bytes, start: int, size: int) -> dict[str, Any] | None:
    """A journal's line about the picture from `start` on, if it is one and that picture lies in the part file."""
    try:
        record = parse_json(text, "")
    except UserError:
        return None
    match record:
        case {"end": int(end), "shape": [int(), int()], "sha256": str(digest)} if (
            start <= end <= size
            and _HEX.fullmatch(digest)
            and len(digest) == 64
            and all(_HEX.fullmatch(record.get(name) or "") for name in ("pixels", "stored"))
        ):
            return dict(record)
    return None


def encoded(source: Pictures, options: PackOptions, i: int) -> bytes:
    """Picture `i` as other programs read it: its bytes as they are, bare pixels as PNG, or as `options` say."""
    if options.encoding != "original":
        return _encode(source, options, i)[0]
    raw = source.raw(i)
    if raw is not None:
        return raw
    whole, png = cv2.imencode(".png", source.decode(i, None)[..., ::-1])
    if not whole:
        raise UserError(f"{source.root.path or 'the data'}: {source.ids[i]} cannot be encoded as PNG")
    return png.tobytes()


def _encode(source: Pictures, options: PackOptions, i: int) -> tuple[bytes, dict[str, Any]]:
    """What is stored of picture `i`, and what the journal says of that."""
    raw = source.raw(i)
    digest, pixels = _of_pack(source, i)  # the pack of a pack knows the originals
    if options.encoding == "original":
        if raw is None:
            raise UserError(
                f"{source.root.path or 'the data'}: its pictures are no encoded files; pack it with encoding raw"
            )
        # the content hash tells already whether they are altered
        return raw, {"shape": (0, 0), "sha256": digest or content_hash(raw), "pixels": pixels, "stored": ""}
    image = source.decode(i, raw)
    digest, pixels = digest or content_hash(image if raw is None else raw), pixels or key_of(image).hex()
    if options.shorter_side is not None and min(image.shape[:2]) > options.shorter_side:
        factor = options.shorter_side / min(image.shape[:2])
        height, width = (max(round(side * factor), options.shorter_side) for side in image.shape[:2])
        image = resize(image, height, width)
    if options.encoding == "raw":
        data = np.ascontiguousarray(image).tobytes()
    else:
        whole, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        if not whole:
            raise UserError(f"{source.root.path}: {source.ids[i]} cannot be encoded as JPEG; use encoding raw")
        data = encoded.tobytes()
    return data, {"shape": image.shape[:2], "sha256": digest, "pixels": pixels, "stored": key_of(data).hex()}


def _of_pack(source: Pictures, i: int) -> tuple[str, str]:
    """Content hash and pixel key of the original that picture `i` of a pack was made from, as far as it knows them."""
    pack, at = source.reader, int(source.where[i])
    if not isinstance(pack, Packed):
        return "", ""
    pixels = pack.keys[at, ORIGINAL]
    return pack.hashes[at], pixels.tobytes().hex() if pixels.any() else ""


def _finish(file: Any, dataset: Dataset, options: PackOptions, done: list[dict[str, Any]]) -> None:
    """Write the index and the head, and see that all of it is on the disk."""
    ids = dataset.ids if isinstance(dataset.ids, StringTable) else StringTable(dataset.ids)
    id_ends, blob = ids.blob
    source = as_pictures(dataset)
    groups, found = source.table.groups, source.table.found if source is source.root else None
    info = {
        "classes": list(dataset.classes),
        "options": asdict(options),
        "fingerprint": dataset.fingerprint(),
        "splits": list(dataset.splits),
        "groups": list(groups) if groups is not None else None,
    }
    if found is not None:
        info["beside"] = {"notes": source.notes, "problems": found.problems, "strays": found.strays}
    hashes = np.frombuffer(bytes.fromhex("".join(r["sha256"] for r in done)), np.uint8).reshape(len(done), -1)
    arrays = {
        "ends": np.array([r["end"] for r in done], dtype="<i8"),
        "shapes": np.array([r["shape"] for r in done], dtype="<i4").reshape(len(done), 2),
        "labels": np.asarray(dataset.labels, dtype="<i8"),
        "hashes": hashes,
        "id_ends": np.asarray(id_ends, dtype="<i8"),
        "ids": np.frombuffer(blob, np.uint8),
    } | {f"split/{name}": np.asarray(indices, dtype="<i8") for name, indices in dataset.splits.items()}
    for name, keys in (("pixel_keys", "pixels"), ("stored_keys", "stored")):
        text = "".join((r.get(keys) or "").rjust(32, "0") for r in done)  # a part file of before has none
        if text.strip("0"):
            arrays[name] = np.frombuffer(bytes.fromhex(text), np.uint8).reshape(len(done), -1)
    start, index = file.tell(), index_bytes(info, arrays)
    file.write(index)
    file.seek(0)
    file.write(head_bytes(start, index))
    file.flush()
    os.fsync(file.fileno())
