"""Fixtures several test packages share. Real data lies in `shared/data` beside a checkout; without it tests skip."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("shared machine", deadline=None)  # a busy machine is no failure
settings.load_profile("shared machine")

SHARED = Path(os.environ.get("RESLEARN_SHARED_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))


# What a shell, a cluster's launcher or a git hook would tell the code under test.
FOREIGN = ("COLUMNS", "LINES", "FORCE_COLOR", "PYTHONWARNINGS", "RANK", "LOCAL_RANK", "WORLD_SIZE")
FOREIGN += ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE")


def pytest_configure(config):
    """Nothing of the surroundings decides about a test: no variable or signal of the shell, GPUs for `-m gpu` alone."""
    for name in FOREIGN:
        os.environ.pop(name, None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell's background jobs have it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "gpu" not in config.getoption("markexpr"):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """What is kept for this machine's user neither decides about a test nor is touched by one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared_data():
    """shared_data("weights/x.th") -> its path, or a skip with a message where this machine lacks it."""

    def locate(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"needs {name} in {SHARED}, or in a folder that RESLEARN_SHARED_DATA names")
        return path

    return locate


def module_beside(path: str):
    """A module of the tests by its path from here, which several test packages share."""
    file = Path(__file__).parent / path
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def strangers():
    """Networks as other packages write them (`nets/strangers.py`)."""
    return module_beside("nets/strangers.py")


@pytest.fixture(scope="session")
def timm_config():
    """The `config.json` that timm writes beside a ResNet-18 of one block a stage."""
    return {
        "architecture": "resnet18", "num_classes": 3, "model_args": {"layers": [1, 1, 1, 1]},
        "label_names": ["a", "b", "c"],
        "pretrained_cfg": {"input_size": [3, 32, 32], "interpolation": "bicubic", "crop_pct": 0.875, "mean": [0.5] * 3,
                           "std": [0.25] * 3, "license": "mit"},
    }  # fmt: skip


@pytest.fixture
def loopback():
    """A server on loopback (`serving.py`): files, repositories of a hub, and what goes wrong with them."""
    with module_beside("serving.py").serving() as server:
        yield server


@pytest.fixture
def hub(loopback, monkeypatch, tmp_path):
    """The server as a hub that the real `huggingface_hub` asks, with a cache of its own and no pauses between tries."""
    pytest.importorskip("huggingface_hub", reason="needs huggingface_hub: pip install huggingface_hub")
    from huggingface_hub import file_download
    from huggingface_hub.utils import _http

    monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("HF_ENDPOINT", loopback.url)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return loopback
