"""What models are called, what settings may be, and what is wrong with either in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import reslearn
from reslearn.cli.app import main
from reslearn.serve import create_app
from reslearn.serve.models import named
from reslearn.serve.server import address_of, bound
from reslearn.serve.service import read_keys
from reslearn.serve.settings import Settings, size_of

from .hosting import hosting, picture


def test_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs/flowers-1").mkdir(parents=True)
    Path("a=b.safetensors").touch()
    given = {
        "runs/flowers-1": "flowers-1",
        "runs/flowers-1/model.safetensors": "flowers-1",
        "birds.onnx": "birds",
        "my birds (2).xml": "my-birds-2",
        "hf://someone/nice-net": "nice-net",
        "a=b.safetensors": "a-b",
        "model.safetensors": tmp_path.name[:64].strip("-._"),
    }
    for path, name in given.items():
        assert named(path) == {name: path}
        assert named(Path(path)) == {name: Path(path)} or "://" in path
    assert named(["x=birds.onnx", "y=runs/flowers-1"]) == {"x": "birds.onnx", "y": "runs/flowers-1"}
    assert named({"x": "birds.onnx"}) == {"x": "birds.onnx"}
    assert named("https://host/x.safetensors#sha256=00") == {"x": "https://host/x.safetensors#sha256=00"}


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (["a/m.onnx", "b/m.onnx"], "two models are called 'm'; name them apart: a=a/m.onnx b=b/m.onnx"),
        (["x="], "write NAME=MODEL"),
        ([], "no model to serve"),
        ({"a b": "m.onnx"}, "is no name of a model"),
    ],
)
def test_names_that_are_none(models, words):
    with pytest.raises(reslearn.UserError, match=words):
        named(models)


@pytest.mark.parametrize("text", ["", "1TiB", "0"])
def test_bodies_of_no_size(text):
    with pytest.raises(reslearn.UserError, match="--max-bytes is"):
        Settings(max_bytes=size_of(text))


@pytest.mark.parametrize(
    "change",
    [
        {"max_batch": 0}, {"max_batch": 2.5}, {"queue": 0}, {"max_bytes": 0}, {"max_bytes": 1 << 40},
        {"max_wait_ms": -1}, {"max_pixels": 0}, {"max_pixels": 10**9}, {"timeout_s": 0}, {"grace_s": float("nan")},
        {"receive_s": float("inf")}, {"engine": "tensorrt"}, {"log_format": "xml"},
    ],
)  # fmt: skip
def test_settings_that_there_are_not(change):
    [name] = change
    with pytest.raises(reslearn.UserError, match=f"--{name.replace('_', '-')} is"):
        replace(Settings(), **change)


def test_an_unknown_setting_is_named(model):
    with pytest.raises(reslearn.UserError, match="unknown setting of create_app 'max_batsch'; did you mean max_batch"):
        create_app(model, max_batsch=3)


def test_keys_that_are_none(tmp_path):
    for content, words in (
        (b"", "no key"),
        (b"# only words\n", "no key"),
        ("schlüssel".encode(), "ASCII"),
        (b"a b", "ASCII"),
    ):
        (tmp_path / "keys").write_bytes(content)
        with pytest.raises(reslearn.UserError, match=words):
            read_keys(tmp_path / "keys")
    with pytest.raises(reslearn.UserError, match="No such file"):
        read_keys(tmp_path / "nowhere")


def test_the_command_says_what_is_wrong_in_one_line(model, tmp_path, capsys):
    with bound("127.0.0.1", 0) as taken:
        taken.listen()
        port = address_of(taken).rpartition(":")[2]
        wrong = {
            ("nowhere.safetensors", "--port", "0"): "nowhere.safetensors: no such file",
            (f"{model}", "--port", port): "cannot be listened on",
            (f"{model}", "--port", "70000"): "--port is 70000",
            (f"{model}", "--host", "no.such.host.invalid"): "no address of this machine",
            (f"{model}", "--max-bytes", "many"): "--max-bytes is 'many'",
            (f"{model}", "--queue", "0"): "--queue is 0",
            (f"{model}", f"{model}"): "two models are called 'insects'",
            (f"{model}", "--api-key-file", "nowhere"): "--api-key-file nowhere: cannot be read",
        }  # fmt: skip
        for arguments, words in wrong.items():
            assert main(["serve", *arguments]) == 2
            assert words in capsys.readouterr().err.splitlines()[-1]


def test_what_reslearn_load_returned_is_a_model(model):
    loaded = reslearn.load(model)
    raw = picture(4)
    with hosting({"mine": loaded}) as host:
        answer = host.post(raw)[1]
    assert answer["model"] == "mine" and answer["sha256"] == loaded.bundle.sha256
