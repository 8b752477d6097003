"""What cannot be normalised is refused before anything runs; torch itself says where that is."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reslearn.data.sources import open_data
from reslearn.nets.build import create_model
from reslearn.runtime.process_group import World
from reslearn.runtime.settings import Settings
from reslearn.spec.catalogue import get_spec
from reslearn.spec.errors import UserError
from reslearn.spec.recipes import RECIPES
from reslearn.train.batch_size import check_batch, check_world
from reslearn.train.fit import fit, resume

DEMO = RECIPES["demo"]
NARROW = {
    "resnet18": {"stage_channels": (4, 4, 4, 4), "stem_channels": 4},
    "preact_resnet18": {"stage_channels": (4, 4, 4, 4), "stem_channels": 4},
    "resnet20_cifar": {"stage_channels": (4, 4, 4), "stem_channels": 4, "stage_blocks": (1, 1, 1)},
    "vgg11_bn": {"stage_channels": (4, 4, 4, 4, 4), "hidden_channels": 4},
    "vgg11": {"stage_channels": (4, 4, 4, 4, 4), "hidden_channels": 4},
}


@settings(max_examples=40)
@given(name=st.sampled_from(sorted(NARROW)), size=st.sampled_from([1, 2, 4, 5, 32, 33, 64]), batch=st.integers(1, 2))
def test_refused_exactly_where_torch_would_stop(name, size, batch):
    spec = get_spec(name, **NARROW[name])
    if name.startswith("vgg") and size < 32:
        return  # its pools leave nothing
    net = create_model(spec).train()
    try:
        net(torch.randn(batch, 3, size, size))
        stops = False
    except ValueError as error:
        stops = "more than 1 value per channel" in str(error)
        assert stops, error
    try:
        check_batch(spec, replace(DEMO, batch_size=batch), size)
        assert not stops
    except UserError as error:
        assert stops and "\n" not in str(error)


@pytest.mark.parametrize(
    ("changes", "processes", "words"),
    [
        ({"batch_size": 1}, 1, "a batch of 1 sees one picture.*--set batch_size=2,"),
        ({"batch_size": 4, "accumulate": 4}, 1, "a batch of 4 in 4 accumulation steps sees one.*--set batch_size=8,"),
        ({"batch_size": 4, "accumulate": 2}, 2, "in 2 accumulation steps times 2 processes sees one picture"),
        ({"batch_size": 4, "bn_sync": True}, 4, None),
        ({"batch_size": 1, "freeze_bn": True}, 1, None),
        ({"batch_size": 8, "bn_batch": 3}, 1, "bn_batch is 3; it must divide the 8 pictures.*--set batch_size=3 or"),
        ({"batch_size": 8, "bn_batch": 4}, 1, None),
    ],
)
def test_what_one_pass_sees_counts(changes, processes, words):
    spec, recipe = get_spec("resnet18"), replace(DEMO, **changes)
    if words is None:
        check_batch(spec, recipe, 32, processes)
    else:
        with pytest.raises(UserError, match=words):
            check_batch(spec, recipe, 32, processes)
    check_batch(spec, replace(recipe, bn_batch=None), 64, processes)


def test_pictures_that_are_shrunk_early_on_count(tmp_path):
    recipe = replace(DEMO, batch_size=1, small_size=32, small_part=0.5)
    with pytest.raises(UserError, match="at 32 pixels"):
        check_batch(get_spec("resnet18"), recipe, 64)


@pytest.mark.parametrize(
    ("batch", "accumulate", "processes", "instead"), [(64, 1, 3, 66), (1, 1, 2, 2), (12, 4, 2, 16), (12, 4, 3, None)]
)
def test_a_batch_that_cannot_be_shared_out(batch, accumulate, processes, instead):
    recipe = replace(DEMO, batch_size=batch, accumulate=accumulate)
    if instead is None:
        check_world(recipe, World(0, processes))
    else:
        words = f"of {processes} processes times {accumulate} accumulation steps, e.g. --set batch_size={instead}$"
        with pytest.raises(UserError, match=words):
            check_world(recipe, World(0, processes))


def test_a_resume_by_more_processes_must_be_able_to_normalise(tmp_path, monkeypatch):
    """Two pictures in one process have a variance; one in each of two has none, where the map is 1x1."""
    recipe = replace(DEMO, epochs=None, iterations=1, batch_size=2, image_size=1)
    spec, data = get_spec("resnet20_cifar", **NARROW["resnet20_cifar"]), open_data("digits")
    fit(spec, data, None, recipe, out=tmp_path, settings=Settings(threads=1))
    (tmp_path / "model.safetensors").unlink()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="a batch of 2 in 2 processes sees one picture"):
        resume(tmp_path, train_data=data, allow_different_numerics=True)
