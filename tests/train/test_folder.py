"""Where a run may begin."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reslearn.spec.errors import UserError
from reslearn.train.folder import refuse_existing


def test_a_place_in_which_nothing_can_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    refuse_existing(tmp_path / "new" / "run", overwrite=False)
    with pytest.raises(UserError, match=r"file/run: .*file is a file; name another place with --out"):
        refuse_existing(tmp_path / "file" / "run", overwrite=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="needs a user who is not root")
def test_a_place_that_belongs_to_another():
    with pytest.raises(UserError, match="nothing may be written in /; name another place with --out"):
        refuse_existing(Path("/reslearn-runs/a"), overwrite=False)
