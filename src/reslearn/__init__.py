"""reslearn: deep residual learning in image recognition. Names load when first used, so importing this is quick."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_WHERE = {
    "UserError": "spec.errors",
    "NetSpec": "spec.net",
    "VggSpec": "spec.net",
    "Recipe": "spec.recipe",
    "Augment": "spec.recipe",
    "Preprocess": "spec.preprocess",
    "Settings": "runtime.settings",
    "list_models": "spec.catalogue",
    "get_spec": "spec.catalogue",
    "create_model": "nets.build",
    "create_backbone": "nets.build",
    "open_data": "data.sources",
    "fit": "train.fit",
    "resume": "train.fit",
    "load": "bundle.file",
    "save": "bundle.own:save_networks",
    "evaluate": "jobs.evaluation:evaluate_model",
    "export": "jobs.export:export_with",
    "predict": "predictor.predictor",
}
__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'reslearn' has no attribute '{name}'")
    module, _, attribute = _WHERE[name].partition(":")
    return getattr(importlib.import_module(f".{module}", __name__), attribute or name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
