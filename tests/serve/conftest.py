"""One model for all tests of the server. Without the extra `serve` only `test_needs.py` is collected, which says so."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from reslearn.serve.settings import NEEDS

HERE = Path(__file__).parent
collect_ignore = []
if not all(map(importlib.util.find_spec, NEEDS)):
    collect_ignore = [path.name for path in HERE.glob("test_*.py") if path.name != "test_needs.py"]


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    from .hosting import sealed

    return sealed(tmp_path_factory.mktemp("served") / "insects.safetensors")


@pytest.fixture(scope="module")
def host(model):
    from .hosting import hosting

    with hosting(model) as running:
        yield running
