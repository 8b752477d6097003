"""One small sealed file."""

from __future__ import annotations

import pytest

from reslearn.bundle.file import save

from .sealing import TINY, bundle_of, tiny


@pytest.fixture
def sealed(tmp_path):
    path = tmp_path / "model.safetensors"
    save(path, [tiny()], bundle_of(TINY, temperature=1.5, threshold=0.4, scores={"val": {"top1": 0.5}}))
    return path
