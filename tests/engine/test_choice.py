"""The engine follows from facts, and says from which."""

from __future__ import annotations

import pytest

from reslearn.engine.choice import Facts, choose

ALL = ("torch", "compiled", "onnxruntime", "openvino")
RESNET50 = 4.1e9


@pytest.mark.parametrize(
    ("facts", "engine", "why"),
    [
        (Facts(ALL, count=1, macs=RESNET50), "torch", "before another engine's graph"),
        (Facts(ALL, count=100_000, macs=RESNET50), "onnxruntime", "saves"),
        (Facts(ALL, count=None, macs=RESNET50), "onnxruntime", "any number"),
        (Facts(ALL, kept=("openvino",), count=1, macs=RESNET50), "openvino", "kept"),
        (Facts(("torch", "openvino"), count=None), "openvino", "faster"),
        (Facts(("torch",), count=None), "torch", "installed"),
        (Facts(ALL, precision="bf16", count=None), "openvino", "faster"),
        (Facts(ALL, precision="fp16", count=None), "torch", "fp16"),
        (Facts(ALL, device="cuda", count=None), "torch", "cuda"),
    ],
)
def test_the_engine_follows_from_facts(facts, engine, why):
    chosen = choose(facts)
    assert chosen.engine == engine and why in chosen.why and chosen.why.startswith(engine)
