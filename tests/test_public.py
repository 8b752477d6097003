"""The names of `reslearn`: each is there, says what it is, and its signature names nothing that is not there, too."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import numpy as np
import pytest

import reslearn

CALLS = ("calibrate", "card", "check", "compare", "convert", "create_backbone", "create_model", "crossval", "doctor",
         "draw", "ensemble", "evaluate", "explain", "export", "export_data", "features", "find_lr", "fit", "get_spec",
         "list_models", "list_weights", "load", "open_data", "pack", "plan", "predict", "preview", "push", "recipe",
         "resume", "save", "split", "stats", "sweep", "verify", "write_report")  # fmt: skip


@pytest.mark.parametrize("name", reslearn.__all__)
def test_every_name_is_there_and_documented(name):
    found = getattr(reslearn, name)
    assert inspect.getdoc(found) and name in dir(reslearn)
    assert (name in CALLS) == inspect.isfunction(found)


@pytest.mark.parametrize("name", CALLS)
def test_the_types_of_a_signature_are_public(name):
    """Classes of ours that a user is given or must give; what is only a Literal or an alias needs no name."""
    function = getattr(reslearn, name)
    for parameter in [*inspect.signature(function).parameters.values(), inspect.signature(function)]:
        hint = getattr(parameter, "annotation", None) or getattr(parameter, "return_annotation", "")
        for word in set(re.findall(r"[A-Z]\w+", str(hint))):
            kind = getattr(sys.modules[function.__module__], word, None)
            if inspect.isclass(kind) and kind.__module__.startswith("reslearn."):
                assert word in reslearn.__all__, f"{name}: {word}"


@pytest.mark.parametrize(
    "name",
    ["calibrate", "card", "check", "compare", "convert", "crossval", "ensemble", "evaluate", "explain", "export_data",
     "features", "fit", "find_lr", "pack", "plan", "preview", "push", "resume", "split", "stats", "sweep", "verify",
     "write_report"],
)  # fmt: skip
def test_no_argument_goes_unsaid(name):
    """Each argument's name stands in the docstring or is one that every such function has."""
    shared = {"device", "workers", "precision", "batch_size", "seed", "prefer", "on_bad_file", "allow_seen", "settings",
              "only_unseen", "forget_pictures", "html", "write", "folds", "group", "overwrite", "value_range",
              "watch"}  # fmt: skip
    function = getattr(reslearn, name)
    text = inspect.getdoc(function)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD and parameter.name not in shared:
            assert re.search(rf"\b{parameter.name}\b", text), parameter.name


def test_importing_every_module_hides_no_name():
    code = (
        "import importlib, pkgutil, reslearn\n"
        "for one in pkgutil.walk_packages(reslearn.__path__, 'reslearn.'):\n"
        "    if not one.name.endswith('__main__'): importlib.import_module(one.name)\n"
        "assert all(callable(getattr(reslearn, name)) for name in reslearn.__all__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name",
    ("Agreement", "Calibrated", "Card", "CheckReport", "Checkup", "Compared", "Converted", "Crossval", "Ensembled",
     "Evaluation", "Explained", "Exported", "Features", "Forecast", "Loaded", "Packed", "Pictures", "Prediction",
     "Predictor", "Previewed", "Published", "Pushed", "RangeTest", "Run", "Scene", "SplitResult", "Statistics", "Sweep",
     "Written"),
)  # fmt: skip
def test_what_a_call_returns_is_a_line_and_not_all_its_fields(name):
    assert not hasattr(getattr(reslearn, name).__repr__, "__wrapped__"), "a dataclass prints every field, arrays too"


@pytest.mark.parametrize("wrong", [7, None, {"a": 1}, [1.5]], ids=repr)
@pytest.mark.parametrize(
    "name",
    ["calibrate", "card", "check", "compare", "convert", "create_backbone", "create_model", "crossval", "ensemble",
     "evaluate", "explain", "export", "export_data", "features", "find_lr", "fit", "get_spec", "load", "open_data",
     "pack", "plan", "predict", "Predictor", "preview", "push", "recipe", "resume", "save", "split", "stats", "sweep",
     "verify", "write_report"],
)  # fmt: skip
def test_what_a_call_does_not_take_is_one_line_that_says_what_it_does(name, wrong, tmp_path):
    more = {
        "calibrate": (wrong,), "compare": (wrong,), "ensemble": (wrong,), "evaluate": (wrong,), "explain": (wrong,),
        "export": (tmp_path / "x",), "export_data": ("tar", tmp_path / "x"), "features": (wrong,), "fit": (wrong,),
        "pack": (tmp_path / "x",), "predict": (wrong,), "save": (wrong,), "sweep": ({"lr": "0.1..1"},),
        "verify": (wrong, wrong),
    }  # fmt: skip
    named = {"convert": {"out": tmp_path / "x"}, "save": {"preprocess": reslearn.Preprocess(8, 8)}}
    with pytest.raises(reslearn.UserError, match=r"found|give|must be|valid|needs|an item is") as told:
        getattr(reslearn, name)(wrong, *more.get(name, ()), **named.get(name, {}))
    assert "\n" not in str(told.value) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "given", "option"),
    [
        ("draw", (3,), {}), ("draw", ([3],), {}), ("split", ("digits",), {"folds": "x", "out": "s.json"}),
        ("crossval", ("digits",), {"folds": "x"}), ("fit", (None, "digits"), {"watch": 3}),
        ("predict", (None, np.zeros((8, 8, 3), np.uint8)), {"top": "x"}),
        ("predict", (None, np.zeros((8, 8, 3), np.uint8)), {"batch_size": "x"}),
        ("evaluate", (None, "digits"), {"split": 3}), ("calibrate", (None, "digits"), {"target_precision": "x"}),
    ],
)  # fmt: skip
def test_an_option_of_a_wrong_kind_is_one_line(name, given, option, tmp_path_factory, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if name in ("predict", "evaluate", "calibrate"):
        sealed = tmp_path_factory.mktemp("sealed") / "m.safetensors"
        net = reslearn.create_model("resnet20_cifar", stage_blocks=(1, 1, 1))
        reslearn.save(sealed, net, preprocess=reslearn.Preprocess(8, 8), classes=list("0123456789"))
        given = (sealed, *given[1:])
    with pytest.raises(reslearn.UserError, match=r"must be|must lie|give a name|valid: ") as told:
        getattr(reslearn, name)(*given, **option)
    assert "\n" not in str(told.value) and not list(tmp_path.iterdir())


def test_an_error_names_arguments_where_a_command_has_options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for call, words in {
        lambda: reslearn.crossval("digits", epochs=-1): "epochs is -1; it must be positive",
        lambda: reslearn.sweep("digits", {"lr": "log:0..1"}): "lr=log:0..1: the logarithm needs numbers above 0",
        lambda: reslearn.sweep("digits", {"lr": 0.1}): "nothing to search; give FIELD=VALUES",
        lambda: reslearn.split("digits", out="s.json"): "give ratio=... (such as 6:2:2) or folds=K",
    }.items():
        with pytest.raises(reslearn.UserError) as told:
            call()
        assert words in str(told.value) and "--" not in str(told.value)
    assert reslearn.crossval is reslearn.crossval and not list(tmp_path.iterdir())
