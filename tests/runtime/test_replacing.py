"""What a command may write over: files of its own kind, and nothing else that anybody has."""

from __future__ import annotations

import os

import pytest

from reslearn.runtime.replacing import FIGURE, PAGE, PICKLE, PREDICTIONS, SEALED, WEIGHTS, replaceable, write_page
from reslearn.spec.errors import UserError


def safetensors_with(key):
    head = f'{{"__metadata__":{{"{key}":"x"}}}}'.encode()
    return len(head).to_bytes(8, "little") + head


OURS = {
    "sealed": (SEALED, safetensors_with("reslearn.bundle")),
    "predictions": (PREDICTIONS, safetensors_with("reslearn.predictions")),
    "weights": (WEIGHTS, safetensors_with("reslearn.layout")),
    "page": (PAGE, b'<!doctype html>\n<html><meta name="generator" content="reslearn">'),
    "page of before": (PAGE, b"\n<!doctype html>\n" + b"x" * 9000 + b"<footer>Made by reslearn 0.1.0. This page"),
    "check of before": (PAGE, b"<!doctype html>\n<html><title>Data check: /data</title>"),
    "sheet": (FIGURE, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR....\0\0\0\x11tEXtSoftware\0reslearn...."),
}
FOREIGN = {
    "text": b"years of work\n",
    "empty": b"",
    "safetensors": safetensors_with("format"),
    "mentions us": b"<p>reslearn.bundle <footer>Made by reslearn",
    "page": b'<!DOCTYPE html><html><head><meta name="generator" content="Hugo">reslearn',
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR....\0\0\0\x15tEXtSoftware\0Matplotlib....",
    "pickle": b"PK\x03\x04archive/data.pkl",
}


@pytest.mark.parametrize("name", OURS)
def test_each_kind_replaces_itself_alone(tmp_path, name):
    kind, content = OURS[name]
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    assert replaceable(path, kind) == path
    for other in (SEALED, PREDICTIONS, WEIGHTS, PAGE, FIGURE, PICKLE):
        if other is not kind:
            with pytest.raises(UserError, match=f"--out {path}: what is there is no {other.name}"):
                replaceable(path, other, "--out")


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("kind", [SEALED, PREDICTIONS, WEIGHTS, PAGE, FIGURE, PICKLE], ids=lambda kind: kind.name)
def test_nothing_of_anybody_else_is_replaced(tmp_path, kind, name):
    path = tmp_path / "page.html"
    path.write_bytes(FOREIGN[name])
    with pytest.raises(UserError, match="it is not replaced"):
        replaceable(path, kind)


def test_where_nothing_is_anything_may_come(tmp_path):
    assert replaceable(tmp_path / "new", PICKLE) == tmp_path / "new"
    write_page(tmp_path / "p.html", '<!doctype html><meta name="generator" content="reslearn">1')
    write_page(tmp_path / "p.html", '<!doctype html><meta name="generator" content="reslearn">2')
    assert (tmp_path / "p.html").read_text().endswith("2")


def test_what_is_read_is_not_replaced_under_any_name(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(OURS["sealed"][1])
    os.link(path, tmp_path / "linked")
    (tmp_path / "pointed").symlink_to(path)
    for name in ("m", "linked", "pointed", "../" + tmp_path.name + "/m"):
        with pytest.raises(UserError, match="the file which is read"):
            replaceable(tmp_path / name, SEALED, inputs=[path])


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("nowhere", path)], ids=["pipe", "dangling link"])
def test_what_is_no_plain_file_is_left_alone(tmp_path, make):
    make(tmp_path / "odd")
    with pytest.raises(UserError, match="it is not replaced"):
        replaceable(tmp_path / "odd", SEALED)
    with pytest.raises(UserError, match="it is not replaced"):
        replaceable("/dev/null", SEALED)
