"""Values survive JSON, and an unknown or wrong field is named with what would be right."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from reslearn.runtime.settings import Settings
from reslearn.spec.catalogue import get_spec
from reslearn.spec.codec import field_paths, fields_to_json, from_json, set_fields, settable, to_json
from reslearn.spec.errors import UserError
from reslearn.spec.preprocess import Preprocess, default_preprocess
from reslearn.spec.recipe import Recipe
from reslearn.spec.recipes import RECIPES
from reslearn.spec.seen import Seen


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_recipes_survive_json(recipe):
    assert from_json(Recipe, json.loads(json.dumps(to_json(recipe))), "x") == recipe


@dataclass(frozen=True)
class Outer:
    """Holds what JSON does not know, and a value that tells itself."""

    where: Path
    seen: Seen
    parts: tuple[Preprocess, ...]

    def to_json(self):
        return fields_to_json(self)


def test_inside_a_value_paths_are_texts_and_what_tells_itself_is_asked():
    part = default_preprocess(32)
    value = to_json({"all": [Outer(Path("a") / "b", Seen(at_least=(1, 2)), (part,))]})
    assert value == {"all": [{"where": "a/b", "seen": Seen().to_json(), "parts": [to_json(part)]}]}
    assert json.loads(json.dumps(value)) == value


def test_set_reaches_nested_fields_and_keeps_types():
    recipe = set_fields(RECIPES["paper-cifar"], {"lr": "0.05", "augment.pad": "2", "decay": "all", "nesterov": "true"})
    assert (recipe.lr, recipe.augment.pad, recipe.decay, recipe.nesterov) == (0.05, 2, "all", True)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        ({"momentun": "0.9"}, "momentum"),
        ({"augment.pas": "2"}, "augment.pad"),
        ({"lr": "fast"}, "lr"),
        ({"select": "median"}, "'last', 'best' or 'ema'"),
        ({"epochs": "3"}, "exactly one"),
        ({"lr.x": "3"}, "unknown field"),
    ],
)
def test_a_wrong_assignment_is_one_line(assignments, message):
    with pytest.raises(UserError, match=message) as raised:
        set_fields(RECIPES["paper-cifar"], assignments)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["4,4,4", "(4, 4, 4)", "[4,4,4]", " 4, 4,4,", "(4,4,4,)"])
def test_a_tuple_is_read_as_docs_show_and_messages_write_it(text):
    assert set_fields(get_spec("resnet20_cifar"), {"stage_blocks": text}).stage_blocks == (4, 4, 4)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("milestones", "0.5", (0.5,)),
        ("milestones", "()", ()),
        ("augment.area", "0.3,1", (0.3, 1.0)),
        *(("lr_batch", none, None) for none in ("None", "none", "null")),
        ("class_weights", "none", "none"),
        ("augment.crop", "none", "none"),
        ("nesterov", "True", True),
    ],
)
def test_a_text_is_read_as_its_field_s_type(field, text, value):
    recipe = set_fields(replace(RECIPES["paper-cifar"], lr_batch=256), {field: text})
    assert field_paths(recipe)[field] == value


@pytest.mark.parametrize(
    ("value", "field"),
    [(RECIPES["demo"], "name"), (RECIPES["demo"], "source"), (RECIPES["demo"], "departures"), (Settings(), "source")],
)
def test_what_describes_a_value_is_no_field_to_set(value, field):
    assert field in field_paths(value) and field not in settable(value)
    with pytest.raises(UserError, match=f"--set {field}: it describes and changes nothing"):
        set_fields(value, {field: "mine"})
    with pytest.raises(UserError, match="unknown field 'bogus'") as error:
        set_fields(value, {"bogus": "1"})
    assert f" {field}," not in str(error.value)


@pytest.mark.parametrize(
    ("given", "found"), [({}, "none"), ({"iterations": 10, "images": 100}, "iterations=10 and images=100")]
)
def test_a_wrong_budget_names_what_was_given_and_no_recipe(given, found):
    with pytest.raises(UserError, match=f"^give exactly one of epochs, iterations, images; found {found}$"):
        Recipe("folder", "", **given)


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("stage_blocks", "many", "whole numbers with commas between, e.g. 4,8"),
        ("stage_blocks", "3.5,3,3", "whole numbers"),
        ("stage_blocks", "true,1,1", "whole numbers"),
        ("stage_blocks", "None", "whole numbers"),
    ],
)
def test_what_is_no_tuple_says_the_form_wanted(field, text, words):
    with pytest.raises(UserError, match=f"^--set spec.{field}={text}: expected .*{words}"):
        set_fields(get_spec("resnet20_cifar"), {field: text}, prefix="spec.")
    with pytest.raises(UserError, match="expected 2 numbers with commas between"):
        set_fields(RECIPES["demo"], {"augment.area": "0.3,0.5,1"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "foo"}, "--set: preprocess.mode: Input should be"),
        ({"size": "0"}, "--set: preprocess.size is 0; it must be at least 1"),
        ({"std": "0.2,0,0.2"}, "--set: preprocess.std is 0.2,0.0,0.2; every std must be positive"),
        ({"std": "0.2,NaN,0.2"}, "--set: preprocess.std is .*; every std must be positive"),
        ({"mean": "0.2,Infinity,0.2"}, "--set: preprocess.mean is .*; .*a mean lies there"),
        ({"mean": "123.675,116.28,103.53"}, "a mean lies there, too; divided by 255: 0.485,0.456,0.406"),
        ({"std": "58.395,57.12,57.375"}, "at most 0.5 .*; divided by 255: 0.229,0.224,0.225"),
        ({"mean": "-0.1,0.5,0.5"}, "mean is -0.1,0.5,0.5; .*a mean lies there, too$"),
        ({"std": "0.7,0.7,0.7"}, "std is 0.7,0.7,0.7; .* at most 0.5"),
        ({"sise": "8"}, "--set: unknown field 'preprocess.sise'; did you mean preprocess.size"),
    ],
)
def test_a_message_gives_the_name_as_it_was_typed(change, message):
    with pytest.raises(UserError, match=message):
        set_fields(default_preprocess(32), change, prefix="preprocess.")
