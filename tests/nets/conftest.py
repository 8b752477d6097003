"""Small relatives of every network: the same spec fields, one block a stage, narrow where width is free."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reslearn.spec.net import NetSpec, Spec


@pytest.fixture(scope="session")
def shallow():
    """shallow(spec) -> the same network with one block per stage (two where it had more, so that identities occur)."""

    def cut(spec: Spec) -> Spec:
        if isinstance(spec, NetSpec):
            return replace(spec, stage_blocks=tuple(min(2, blocks) for blocks in spec.stage_blocks))
        return replace(spec, stage_convs=tuple(1 for _ in spec.stage_convs), hidden_channels=32)

    return cut
