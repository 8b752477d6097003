"""reslearn: deep residual learning in image recognition. Names load when first used, so importing this is quick."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_WHERE = {
    "UserError": "spec.errors",
    # networks and how they are trained
    "NetSpec": "spec.net",
    "VggSpec": "spec.net",
    "Recipe": "spec.recipe",
    "Augment": "spec.recipe",
    "Preprocess": "spec.preprocess",
    "Settings": "runtime.settings",
    "list_models": "spec.catalogue",
    "get_spec": "spec.catalogue",
    "recipe": "spec.recipes:changed_recipe",
    "create_model": "nets.build",
    "create_backbone": "nets.build",
    "draw": "jobs.draw.drawing",
    # from pictures to a model, and what it is worth
    "open_data": "data.sources",
    "check": "jobs.calls",
    "split": "jobs.calls",
    "fit": "jobs.fitting",
    "resume": "train.fit",
    "crossval": "jobs.calls",
    "evaluate": "jobs.evaluation:evaluate_model",
    "calibrate": "jobs.calls",
    "compare": "jobs.calls",
    "ensemble": "jobs.calls",
    "load": "bundle.file",
    "save": "bundle.own:save_networks",
    "export": "jobs.export:export_with",
    "convert": "jobs.calls",
    "explain": "jobs.explain_call",
    "predict": "predictor.predictor",
    "Predictor": "predictor.predictor",
    # what these take and return
    "Answer": "predictor.answers",
    "Backbone": "nets.build",
    "Bundle": "bundle.header",
    "Calibrated": "jobs.calibration",
    "CheckReport": "data.care.check",
    "Compared": "jobs.compare",
    "Converted": "jobs.convert",
    "Crossval": "train.crossval",
    "Dataset": "data.dataset",
    "Ensembled": "jobs.ensemble",
    "Evaluation": "measure.evaluation",
    "Explained": "jobs.explaining",
    "ExportOptions": "jobs.export",
    "Loaded": "bundle.file",
    "PictureMap": "jobs.explaining",
    "Pictures": "data.table",
    "Prediction": "predictor.answers",
    "Reading": "train.events",
    "Run": "train.fit",
    "Scene": "report.diagram",
    "SplitResult": "data.care.splitting",
    "Tick": "train.events",
    "Written": "jobs.export",
    "Unread": "predictor.answers",
}
__all__ = sorted(_WHERE)
_PACKAGES = ("serve",)  # whose names are used through them: reslearn.serve.create_app


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f".{name}", __name__)
    if name not in _WHERE:
        raise AttributeError(f"module 'reslearn' has no attribute '{name}'")
    module, _, attribute = _WHERE[name].partition(":")
    return getattr(importlib.import_module(f".{module}", __name__), attribute or name)


def __dir__() -> list[str]:
    return [*__all__, *_PACKAGES, "__version__"]
