"""Settings that ask for what is not here."""

from __future__ import annotations

import pytest

from reslearn.runtime import device
from reslearn.runtime.settings import Settings
from reslearn.spec.errors import UserError


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(device="cuda"), "torch sees 0 GPUs; use cpu"),
        (Settings(device="cuda:7"), "torch sees 0 GPUs; use cpu"),
        (Settings(precision="fp16"), "on a CPU use bf16 or fp32"),
    ],
)
def test_settings_that_this_machine_has_not(settings, words, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UserError, match=words):
        device.check_settings(settings)
    assert device.check_settings(Settings()) == Settings()
