"""What a run is made of, where it cannot be made."""

from __future__ import annotations

import pytest

from reslearn.spec.catalogue import get_spec
from reslearn.spec.errors import UserError
from reslearn.train import execute


@pytest.mark.parametrize("error", [RuntimeError, MemoryError, OverflowError, TypeError])
def test_a_network_that_cannot_be_built_is_one_line_with_the_reason(monkeypatch, error):
    def refuse(spec):
        raise error("  no room for 8 TB\nmore of it")

    monkeypatch.setattr(execute, "create_model", refuse)
    with pytest.raises(UserError, match=r"^network resnet50: it cannot be built here \(no room for 8 TB\); choose"):
        execute.built(get_spec("resnet50"))
