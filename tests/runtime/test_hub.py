"""Repositories of the hub, through the real `huggingface_hub`, from a double of the hub on loopback."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from reslearn.runtime.addresses import local
from reslearn.spec.errors import UserError

CONTENT = bytes(range(256)) * 4000
TIMM = {
    "config.json": json.dumps({"architecture": "resnet18", "num_classes": 1000}).encode(),
    "model.safetensors": CONTENT,
    "pytorch_model.bin": b"never asked for",
    "README.md": b"---\nlicense: mit\n---\n",
}
CDN = "/cdn/me/net/model.safetensors"


@pytest.fixture
def server(hub):
    hub.repositories["me/net"] = dict(TIMM)
    return hub


def whole(tmp_path):
    """The names of the files of all snapshots; blobs that no snapshot needs are none."""
    return sorted(p.name for p in (tmp_path / "hub").glob("models--*/snapshots/*/*"))


def test_a_repository_is_fetched_once_and_works_offline(server, tmp_path, monkeypatch):
    folder = local("hf://me/net")
    assert (folder / "model.safetensors").read_bytes() == CONTENT and folder.name == server.commit
    assert whole(tmp_path) == ["README.md", "config.json", "model.safetensors"]
    assert not any("pytorch_model.bin" in path for _, path, _ in server.asked)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asked = len(server.asked)
    assert local("hf://me/net") == folder and len(server.asked) == asked


def test_a_hub_that_is_down_is_no_trouble_afterwards(server, monkeypatch):
    folder = local("hf://me/net")
    server.always["*"] = "500"
    monkeypatch.setenv("HF_TOKEN", "asks anew")
    assert local("hf://me/net") == folder


def test_a_revision_is_taken_and_a_pickle_where_there_is_nothing_else(server):
    del server.repositories["me/net"]["model.safetensors"]
    folder = local("hf://me/net@v1")
    assert (folder / "pytorch_model.bin").read_bytes() == b"never asked for"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hf://me/other", "there is no such repository, or it is private"),
        ("hf://me/net@v2", "there is no such revision"),
        ("hf://me/net@", "no revision after the @"),
        ("hf://net", "named as hf://OWNER/REPO"),
        ("hf://me/net/sub", "named as hf://OWNER/REPO"),
    ],
)
def test_a_name_that_means_nothing_is_one_line(server, name, words):
    with pytest.raises(UserError, match=words) as raised:
        local(name)
    assert "\n" not in str(raised.value) and str(raised.value).startswith(name)


def test_another_family_is_refused_before_its_weights_are_fetched(server):
    server.repositories["me/net"]["config.json"] = b'{"architecture": "vit_base_patch16_224"}'
    with pytest.raises(UserError, match="vit_base_patch16_224 of timm is no network of the family"):
        local("hf://me/net")
    assert not any("safetensors" in path for _, path, _ in server.asked)


def test_an_empty_repository_is_one_line(server):
    server.repositories["me/net"] = {"README.md": b"x"}
    with pytest.raises(UserError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        local("hf://me/net")


@pytest.mark.parametrize("faults", [["breaks off"], ["wrong byte"], ["breaks off", "wrong byte"], ["too short"]])
def test_what_goes_wrong_once_is_mended(server, tmp_path, faults):
    server.faults[CDN] = list(faults)
    try:
        folder = local("hf://me/net")
    except UserError as error:
        assert faults == ["too short"] and "\n" not in str(error)
        assert "model.safetensors" not in whole(tmp_path)
        folder = local("hf://me/net")
    assert (folder / "model.safetensors").read_bytes() == CONTENT


def test_a_large_file_is_gone_on_with(server):
    """Its library writes pieces of 10 MB: what is smaller comes anew."""
    server.repositories["me/net"]["model.safetensors"] = CONTENT * 24
    server.faults[CDN] = ["breaks off"]
    assert (local("hf://me/net") / "model.safetensors").read_bytes() == CONTENT * 24
    asked = [asked for method, path, asked in server.asked if path == CDN and method == "GET"]
    assert len(asked) == 2 and asked[1].startswith("bytes=10485760-")


@pytest.mark.parametrize(
    "fault", ["breaks off", "wrong byte", "too short", "too long", "404", "401", "429", "500", "circle"]
)
def test_what_goes_wrong_for_good_is_one_line_and_no_half_file(server, tmp_path, fault):
    server.always[CDN] = fault
    with pytest.raises(UserError, match=r"hf://me/net: ") as raised:
        local("hf://me/net")
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 300
    assert "model.safetensors" not in whole(tmp_path)
    server.always.clear()
    assert (local("hf://me/net") / "model.safetensors").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("fault", "words"),
    [("401", "HF_TOKEN"), ("429", "too many requests"), ("500", "500"), ("circle", "in a circle")],
)
def test_a_hub_that_says_no_is_one_line(server, tmp_path, fault, words):
    server.always["*"] = fault
    with pytest.raises(UserError, match=words) as raised:
        local("hf://me/net")
    assert "\n" not in str(raised.value) and whole(tmp_path) == []


def test_nothing_in_the_cache_offline_is_one_line(server, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="HF_HUB_OFFLINE forbids"):
        local("hf://me/net")
    assert server.asked == []


def test_a_file_that_was_altered_in_the_cache_is_fetched_again(server, monkeypatch):
    weights = local("hf://me/net") / "model.safetensors"
    weights.write_bytes(b"x" + CONTENT[1:])
    monkeypatch.setenv("HF_TOKEN", "asks anew")
    assert (local("hf://me/net") / "model.safetensors").read_bytes() == CONTENT
    weights.write_bytes(b"x" + CONTENT[1:])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="not what the repository promises"):
        local("hf://me/net")


def _fetch():
    assert (local("hf://me/net") / "model.safetensors").read_bytes() == CONTENT
    os._exit(0)


def test_two_processes_do_not_spoil_each_other(server, tmp_path):
    server.slow = 0.2
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_fetch) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(30)
    assert [one.exitcode for one in both] == [0, 0]
    assert whole(tmp_path) == ["README.md", "config.json", "model.safetensors"]


def test_without_its_library_the_package_to_install_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(UserError, match="pip install huggingface_hub"):
        local("hf://a/without")


def test_paths_are_left_alone(tmp_path):
    assert local(tmp_path) == tmp_path and local("x.pth") == Path("x.pth")
