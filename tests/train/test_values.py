"""What a package passes around are values: nobody who holds one can change it under another."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil

import reslearn.train

CHANGE = {"Work", "Progress", "RateState"}  # what goes on while a run does


def test_values_are_frozen():
    found = {}
    for info in pkgutil.walk_packages(reslearn.train.__path__, "reslearn.train."):
        for name, kind in inspect.getmembers(importlib.import_module(info.name), inspect.isclass):
            if kind.__module__ == info.name and dataclasses.is_dataclass(kind):
                found[name] = kind.__dataclass_params__.frozen
    assert found and {name for name, frozen in found.items() if not frozen} == CHANGE
