"""reslearn: deep residual learning in image recognition. Names load when first used, so importing this is quick."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
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
    "check": "jobs.data_calls",
    "split": "jobs.data_calls",
    "stats": "jobs.data_calls",
    "preview": "jobs.data_calls",
    "pack": "jobs.data_calls",
    "export_data": "jobs.data_calls",
    "plan": "jobs.run_calls",
    "find_lr": "jobs.run_calls",
    "fit": "jobs.fitting",
    "resume": "jobs.run_calls",
    "crossval": "jobs.run_calls",
    "sweep": "jobs.run_calls",
    "write_report": "jobs.calls",
    "evaluate": "jobs.evaluation:evaluate_model",
    "calibrate": "jobs.calls",
    "compare": "jobs.calls",
    "ensemble": "jobs.calls",
    "load": "bundle.file",
    "save": "bundle.own:save_networks",
    "export": "jobs.export:export_with",
    "verify": "jobs.calls",
    "convert": "jobs.calls",
    "features": "jobs.calls",
    "card": "jobs.calls",
    "push": "jobs.calls",
    "list_weights": "spec.published:find_published",
    "doctor": "jobs.doctor:checkup",
    "explain": "jobs.explain_call",
    "predict": "predictor.predictor",
    "Predictor": "predictor.predictor",
    # what these take and return
    "Agreement": "measure.agreement",
    "Answer": "predictor.answers",
    "Backbone": "nets.build",
    "Bundle": "bundle.header",
    "Calibrated": "jobs.calibration",
    "Card": "jobs.card",
    "CheckReport": "data.care.check",
    "Checkup": "jobs.doctor",
    "Compared": "jobs.compare",
    "Converted": "jobs.convert",
    "Crossval": "train.crossval",
    "Dataset": "data.dataset",
    "Ensembled": "jobs.ensemble",
    "Evaluation": "measure.evaluation",
    "Explained": "jobs.explaining",
    "ExportOptions": "jobs.export",
    "Exported": "data.care.exporting",
    "Features": "jobs.features",
    "Forecast": "jobs.plan",
    "Loaded": "bundle.file",
    "Packed": "data.care.packing",
    "PictureMap": "jobs.explaining",
    "Pictures": "data.table",
    "Prediction": "predictor.answers",
    "Previewed": "jobs.previewing",
    "Published": "spec.published",
    "Pushed": "jobs.push",
    "RangeTest": "jobs.find_lr",
    "Reading": "train.events",
    "Run": "train.fit",
    "Scene": "report.diagram",
    "SplitResult": "data.care.splitting",
    "Statistics": "data.statistics",
    "Sweep": "jobs.search.result",
    "Tick": "train.events",
    "Unread": "predictor.answers",
    "Written": "jobs.export",
}
__all__ = sorted(_WHERE)
_PACKAGES = ("serve",)  # whose names are used through them: reslearn.serve.create_app


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f".{name}", __name__)
    if name not in _WHERE:
        raise AttributeError(f"module 'reslearn' has no attribute '{name}'")
    module, _, attribute = _WHERE[name].partition(":")
    found = getattr(importlib.import_module(f".{module}", __name__), attribute or name)
    return _public(name, found) if inspect.isfunction(found) else found


@functools.cache
def _public(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    from .spec.door import public

    return public(name, function)


def __dir__() -> list[str]:
    return [*__all__, *_PACKAGES, "__version__"]
