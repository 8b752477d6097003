"""Fixtures several test packages share. Real data lies in `shared/data` beside a checkout; without it tests skip."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("shared machine", deadline=None)  # a busy machine is no failure
settings.load_profile("shared machine")

SHARED = Path(os.environ.get("RESLEARN_SHARED_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))


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
            pytest.skip(f"needs {name} in {SHARED} (set RESLEARN_SHARED_DATA)")
        return path

    return locate
