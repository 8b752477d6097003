"""Says what the other tests of the server need, where it is missing."""

from __future__ import annotations

import pytest

from reslearn.serve.settings import NEEDS


@pytest.mark.parametrize("package", NEEDS)
def test_the_extra_is_here(package):
    pytest.importorskip(
        package, reason="needs the extra serve, as all tests of the server: pip install reslearn[serve]"
    )
