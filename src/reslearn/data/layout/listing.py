"""What counts as a picture of a class, by name and first bytes: one rule for every source, and for `predict`.

What operating systems, file servers and notebooks leave behind is nobody's picture, nor is what this package writes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from ...runtime.replacing import FIGURE, PAGE
from ..pictures.kinds import EXTENSIONS

HEAD = 1024  # first bytes that are enough to tell what a file is
_CLUTTER = {  # hidden names (.DS_Store, ._x.jpg, .ipynb_checkpoints, .Trash-1000, .git) apart
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "__pycache__", "lost+found"),
    *("@eadir", "@tmp", "@recycle", "#recycle", "@recently-snapshot", "$recycle.bin", "system volume information"),
}
_SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
SPLIT_NAMES = {word: split for split, words in _SPLITS.items() for word in words}
_MAGICS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_RECORD = re.compile(rb'\s*\{\s*"(spec|space)"\s*:')  # how run.json and crossval.json begin, and sweep.json
_WRITTEN = (  # the files of ours that people put into folders of their own: a suffix, and how such a file begins
    (".pack", re.compile(rb"RSLNPACK")),
    (".pack.part", re.compile(rb"")),
    (".pack.part.journal", re.compile(rb"")),
    (".lock", re.compile(rb"\Z")),
    ("lock", re.compile(rb"\Z")),
    (".safetensors", re.compile(rb"")),
    (".onnx", re.compile(rb".{1,60}\x12\x08reslearn", re.DOTALL)),
    (".xml", re.compile(rb'<\?xml[^>]*>\s*<net name="reslearn"')),
    (".seen", re.compile(rb'.{8}\{"__metadata__":\{"reslearn\.seen"', re.DOTALL)),
    (".html", re.compile(rb".*(default-src 'none'; img-src data:|<title>Data check:)", re.DOTALL)),
    (".toml", re.compile(rb"# reslearn train --config ")),
    (".csv", re.compile(rb"path,label,index,probability,error,top\b")),
    (".jsonl", re.compile(rb'\{"path": ("(\\.|[^"\\])*"|null), "label": ')),
    (".json", re.compile(rb'\s*\{\s*"(spec"|data": "[^"]*",\s*"classes"|identity": "[^"]*",\s*"net")')),
)


def is_clutter(part: str) -> bool:
    """Whether one part of a path is hidden, or a name that systems and programs use for themselves."""
    return (part[:1] == "." and part not in {".", ".."}) or part.lower() in _CLUTTER


def in_clutter(path: str) -> bool:
    """Whether any part of a relative path with `/` is clutter."""
    return any(map(is_clutter, path.split("/")))


def split_of(name: str) -> str | None:
    """The split that a folder's, shard's or table's word means: `Training`, `test_set`, `VAL`; None for others."""
    word = name.strip().lower()
    return SPLIT_NAMES.get(word) or SPLIT_NAMES.get(re.sub(r"[-_ ]?(set|split|data|images)$", "", word))


def is_picture(name: str, head: Callable[[], bytes]) -> bool:
    """Whether a file is taken for a picture: by its extension, else by the first bytes that `head` reads."""
    if os.path.splitext(name)[1].lower() in EXTENSIONS:
        return True
    start = head()
    return start.startswith(_MAGICS) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")


def is_run(name: str, head: Callable[[], bytes]) -> bool:
    """Whether this file marks its folder as a run, a cross-validation or a sweep of ours."""
    return name in {"run.json", "crossval.json", "sweep.json"} and _RECORD.match(head()) is not None


def is_written(name: str, head: Callable[[], bytes]) -> bool:
    """Whether a file is a pack, page, figure, sealed or exported file, manifest, answers, options or lock of ours."""
    if any(name.endswith(suffix) and begin.match(head()) for suffix, begin in _WRITTEN):
        return True
    if not name.endswith((".png", ".svg", ".html")):
        return False
    start = head()
    return FIGURE.known(start, b"") or PAGE.known(start, b"")
