"""`open_data`: whatever the user calls DATA, as a `Dataset`."""

from __future__ import annotations

import difflib
import os
import re
import tarfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import get_args

import numpy as np

from ..runtime.opening import open_regular
from ..spec.choices import OnBadFile
from ..spec.errors import UserError, check_choice, path_text, some
from ..spec.text import counted
from .formats.pack import is_pack, open_pack
from .formats.tar_index import DAMAGED, open_tar
from .layout.archives import TARS, Archives, archives_in, asked_of, is_plain, refuse_pointer
from .layout.labels import look_alikes, odd_names
from .layout.named_files import is_address
from .layout.other_sources import other_source
from .memory import part
from .parts.manifest import Manifest, data_of, manifest_path, obey, read_manifest
from .table import Pictures

KINDS = (
    "`digits`, a folder of class folders, a CIFAR archive or its folder, a folder of SVHN's .mat files, a CSV, TSV or "
    "list file, a Parquet file, tar shards, a pack, or a manifest, on a disk or at an address such as s3://bucket/folder"
)
TABLES = (".csv", ".tsv", ".txt", ".list", ".lst")
Say = Callable[[str], None]


def open_data(
    path: str | os.PathLike[str],
    split: str | None = None,
    *,
    split_seed: int = 0,
    on_bad_file: OnBadFile = "stop",
    manifest: bool = True,
    strict: bool = True,
    stale: bool = False,
    say: Say | None = None,
) -> Pictures:
    """Open DATA; with `split`, only that declared part of it. Pictures are decoded when they are read.

    A manifest in the folder (or beside the file) is obeyed unless `manifest` is false. `on_bad_file` concerns files
    in class folders that are no images; `split_seed` the test split of `digits`; `say` is told before a source without
    random access is packed. `#label=species&path=photo` after a table's name (`image` and `label` after that of a
    Parquet file) says which columns are meant. Raises `UserError` naming the path and the remedy; without `strict`,
    what makes a set unfit for training (a class without pictures, a missing file) is left in its `problems` instead.
    With `stale`, so is a manifest whose pictures have changed since: who asks so compares them with what he knows.
    """
    check_choice("on_bad_file", on_bad_file, get_args(OnBadFile))
    path = path_text(path, "open_data takes a path (what `reslearn train` takes)")
    if is_address(path):
        return _open_address(
            path, split, on_bad_file=on_bad_file, manifest=manifest, strict=strict, stale=stale, say=say
        )
    rules = manifest_path(path) if manifest and os.path.exists(manifest_path(path)) else None
    if path.endswith(".json") and os.path.exists(path):
        rules, path = path, data_of(path, read_manifest(path))
        if is_address(path):
            data, obeyed = _at(path, say), read_manifest(rules)
            return _finished(
                data, path, split, on_bad_file=on_bad_file, strict=strict, stale=stale, rules=(obeyed, rules)
            )
        if path != "digits" and not os.path.exists(asked_of(path)[0]):
            raise UserError(f"{rules}: its data {path} is gone; put it back or make the manifest anew")
    data = _open(path, split_seed, say)
    found = (read_manifest(rules), rules) if rules else None
    return _finished(data, path, split, on_bad_file=on_bad_file, strict=strict, stale=stale, rules=found)


def _finished(
    data: Pictures,
    path: str,
    split: str | None,
    *,
    on_bad_file: OnBadFile,
    strict: bool,
    stale: bool,
    rules: tuple[Manifest, str] | None,
) -> Pictures:
    """What was opened, under its manifest and the rules for training, and the part that was asked for."""
    obeyed = None if rules is None else rules[0]
    data = _settled(data, path, on_bad_file, obeyed.excluded if obeyed else (), strict)
    if rules is not None:
        data = obey(data, *rules, stale=stale)
    unlearned = _unlearned(data, path)
    if strict:
        _refuse(unlearned)
    elif data.table.found is not None:
        data = data.told(found=replace(data.table.found, problems=(*data.table.found.problems, *unlearned)))
    return part(data, split)


def _open_address(
    path: str,
    split: str | None,
    *,
    on_bad_file: OnBadFile,
    manifest: bool,
    strict: bool,
    stale: bool,
    say: Say | None,
) -> Pictures:
    """The pictures at an address, or under the manifest there."""
    from .remote.address import Opening
    from .remote.failures import Absent
    from .remote.manifests import ruling

    place, asked = asked_of(path)
    url, rules = ruling(place, manifest, Opening.of(asked, place).urls)
    try:
        data = _at(path.replace(place, url, 1), say)
    except Absent:
        if url == place:
            raise
        raise UserError(f"{place}: its data {url} is gone; put it back or make the manifest anew") from None
    opened = _finished(data, path, split, on_bad_file=on_bad_file, strict=strict, stale=stale, rules=rules)
    return opened.told(path=path)


def _at(path: str, say: Say | None) -> Pictures:
    """The source at an address, whatever kind it is."""
    from .remote.address import Opening
    from .remote.opening import open_remote

    url, asked = asked_of(path)
    found = Opening.of(asked, url)

    def local(place: str, columns: Mapping[str, str]) -> Pictures:
        return _open_folder(place, columns, say) if os.path.isdir(place) else _open_file(place, columns, say)

    return open_remote(url, found, local).told(path=path)


def _open(path: str, split_seed: int, say: Say | None) -> Pictures:
    """The source itself, whatever kind it is."""
    if path == "digits" and not os.path.exists(path):
        from .formats.digits import open_digits

        return open_digits(split_seed)
    file, asked = asked_of(path)
    if not os.path.exists(file):
        pattern = "; a pattern is not expanded, give the folder of the shards" if re.search(r"[*?{\[]", path) else ""
        raise UserError(f"{path}: no such file or folder{_nearest(path)}{pattern}; DATA is {KINDS}")
    data = _open_folder(file, asked, say) if os.path.isdir(file) else _open_file(file, asked, say)
    return data.told(path=os.path.abspath(path)) if asked else data  # what opens it again


def _open_folder(path: str, asked: Mapping[str, str], say: Say | None) -> Pictures:
    from .formats.cifar import is_cifar_folder, open_cifar_folder
    from .formats.folders import open_folder
    from .formats.svhn import is_svhn_folder, open_svhn_folder

    if not os.access(path, os.R_OK | os.X_OK):
        raise UserError(f"{path}: no permission to read this folder")
    if is_cifar_folder(path):
        return open_cifar_folder(path)
    if is_svhn_folder(path):
        return open_svhn_folder(path)
    archives = archives_in(path)
    if archives is not None:
        return _open_archives(path, archives, asked, say)
    _refuse_asked(path, asked)
    return open_folder(path)


def _open_file(path: str, asked: Mapping[str, str], say: Say | None) -> Pictures:
    from .formats.cifar import open_cifar_archive

    if not os.access(path, os.R_OK):
        raise UserError(f"{path}: no permission to read this file")
    if is_pack(path):
        _refuse_asked(path, asked)
        return open_pack(path)
    refuse_pointer(path)
    lower = path.lower()
    if lower.endswith(TABLES):
        return _open_table(path, asked)
    archive = Archives([path], os.path.dirname(path) or ".")
    if lower.endswith(".parquet"):
        return _open_archives(path, archive, asked, say)
    try:
        is_tar = _is_tar(path)
        cifar = open_cifar_archive(path) if is_tar else None
    except UserError:
        raise
    except (*DAMAGED, ValueError, OverflowError) as error:  # what damage makes tarfile raise
        raise UserError(f"{path}: damaged or incomplete archive ({error})") from None
    if cifar is not None:
        return cifar
    other = None if is_tar else other_source(path)
    if is_tar or (lower.endswith(TARS) and (other is None or other.a_tar)):
        return _open_archives(path, archive, asked, say)
    if other is not None:
        raise UserError(f"{path}: {other}")
    raise UserError(f"{path}: not a set of labelled pictures; DATA is {KINDS}")


def _open_table(path: str, asked: Mapping[str, str]) -> Pictures:
    from .formats.tables import open_table
    from .remote.address import Opening
    from .remote.readers import Addresses

    found = Opening.of(asked, path)
    return open_table(path, found.columns or {}, made=Addresses if found.urls else None)


def _is_tar(path: str) -> bool:
    with open_regular(path) as file:
        try:
            return open_tar(file).next() is not None  # a file of zeros would pass for an empty archive
        except tarfile.TarError:
            return False


def _open_archives(path: str, archives: Archives, asked: Mapping[str, str], say: Say | None) -> Pictures:
    """Plain tars are indexed and read in place; Parquet and compressed tars come from their pack."""
    from .formats.packed import open_packed
    from .formats.shards import open_shards

    for file in archives.files:
        refuse_pointer(file)
    if not archives.files[0].lower().endswith(".parquet"):
        _refuse_asked(path, asked)
    if all(file.lower().endswith(".tar") and is_plain(file) for file in archives.files):
        data = open_shards(archives.files, path)
    else:
        data = open_packed(path, archives, asked, say=say)
    return data.told(notes=(*archives.notes, *data.table.notes))


def _refuse_asked(path: str, asked: Mapping[str, str]) -> None:
    if asked:
        raise UserError(f"{path}: it has no columns to choose from; leave the # and what follows out")


def _settled(data: Pictures, path: str, on_bad_file: str, excluded: Collection[str], strict: bool) -> Pictures:
    """Refuse what is unfit for training, or note it. A file that is no picture is refused where it can be removed."""
    found = data.table.found
    if found is None:
        return data
    if strict:
        _refuse(found.problems)
        _refuse([line for name, line in found.missing.items() if name not in excluded])
    notes = [*data.table.notes, *look_alikes(data.classes, path), *odd_names(data.classes, path)]
    strays = [stray.name for stray in found.strays if stray.name not in excluded]
    if strays and found.sealed:
        notes.append(f"{path}: {counted(len(strays), 'file')} of another kind than images, left out: {some(strays)}")
    elif strays and on_bad_file == "stop":
        raise UserError(
            f"{os.path.join(path, strays[0])}: not an image{_more(strays)}; remove it, run `reslearn data check` "
            "whose manifest leaves it out, or train with --on-bad-file skip"
        )
    notes += [f"{os.path.join(path, stray)}: not an image, left out" for stray in strays if not found.sealed]
    return data.told(notes=tuple(notes))


def _more(lines: Collection[str]) -> str:
    return f" (and {len(lines) - 1:,} more)" if len(lines) > 1 else ""


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise UserError(problems[0] + _more(problems))


def _unlearned(data: Pictures, path: str) -> list[str]:
    """Classes of `val` or `test` without one training picture, in any kind of source."""
    if "train" not in data.splits or data.reader.images is not None:  # a small cut of CIFAR may lack some
        return []
    trained = np.bincount(data.labels[data.splits["train"]], minlength=len(data.classes)) > 0
    return [
        f"{path}: class '{data.classes[label]}' is in {name} but not in train, so no network could have "
        f"learned it; add training pictures of it, or remove it from {name}"
        for name, members in data.splits.items()
        for label in np.unique(data.labels[members])
        if not trained[label]
    ]


def _nearest(path: str) -> str:
    """`, did you mean X?` where the parent folder holds a similar name."""
    parent, name = os.path.split(os.path.abspath(path))
    try:
        names = os.listdir(parent)
    except OSError:
        return ""
    near = difflib.get_close_matches(name, [*names, "digits"], n=1, cutoff=0.6)
    if not near:
        return ""
    shown = near[0] if near[0] == "digits" else os.path.join(os.path.dirname(path), near[0])
    return f", did you mean {shown}?"
