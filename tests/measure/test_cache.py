"""A kept score belongs to what was scored, and only whole files of them are believed."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialise

from reslearn.bundle.file import load, read_tensors, save, write_sealed
from reslearn.bundle.header import Bundle, Member
from reslearn.data.care.check import check_data
from reslearn.data.formats.pack_index import PackOptions
from reslearn.data.formats.packing import write_pack
from reslearn.data.memory import Subset
from reslearn.data.sources import open_data
from reslearn.measure import cache
from reslearn.measure.cache import CacheKey, add_to_cache, read_cache
from reslearn.measure.evaluate import evaluate
from reslearn.measure.scoring import Scoring
from reslearn.nets.build import create_model
from reslearn.runtime.container import digest_tensors
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import Preprocess

SPEC = NetSpec(
    "tiny", stem="cifar", stem_channels=4, block="basic", stage_blocks=(1, 1), stage_channels=(4, 8), shortcut="A"
)
KEY = CacheKey("m" * 64, "p" * 64, "0" * 12, "fp32", images=5, classes=3)


def net(seed, spec):
    torch.manual_seed(seed)
    made = create_model(spec).eval()
    for module in made.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
    return made


def draw(path, seed):
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Pictures in two classes and a sealed ensemble of two networks that answer them."""
    root = tmp_path_factory.mktemp("world")
    for name, i in itertools.product("ab", range(4)):
        (root / "data" / name).mkdir(parents=True, exist_ok=True)
        draw(root / "data" / name / f"{i}.bmp", ord(name) * 10 + i)
    spec = replace(SPEC, num_classes=2)
    bundle = Bundle(
        (Member(spec, "0.", 1.0), Member(spec, "1.", 3.0)),
        Preprocess(8, 8),
        classes=("a", "b"),
        combine="softmax",
    )
    save(root / "m", [net(0, spec), net(1, spec)], bundle)
    return root


def members(bundle, i, **fields):
    changed = [replace(m, **fields) if at == i else m for at, m in enumerate(bundle.members)]
    return replace(bundle, members=tuple(changed))


HEADERS = {
    "pad_channels": lambda b: members(b, 0, spec=replace(b.members[0].spec, pad_channels="end")),
    "se_bias": lambda b: members(b, 1, spec=replace(b.members[1].spec, se_bias=False)),
    "weight": lambda b: members(b, 0, weight=2.0),
    "combine": lambda b: replace(b, combine="logits"),
    "mean": lambda b: replace(b, preprocess=replace(b.preprocess, mean=(0.5, 0.5, 0.5))),
    "mode": lambda b: replace(b, preprocess=replace(b.preprocess, mode="pad")),
    "classes": lambda b: replace(b, classes=("b", "a")),
    "temperature": lambda b: replace(b, temperature=2.0),
}


@settings(max_examples=25)
@given(
    change=st.sampled_from([*HEADERS, "tensor", "in memory", "picture", "order", "fewer", "pack", "jpeg", "precision"]),
    number=st.integers(0, 10**6),
)
def test_no_kept_score_is_served_for_another(world, tmp_path_factory, change, number):
    """After any single change of spec, weights, combination or pictures, what is kept is what would be scored."""
    folder = tmp_path_factory.mktemp("kept")
    loaded, data, options = load(world / "m"), open_data(world / "data"), {}
    evaluate(loaded, data, Scoring(cache=folder))
    assert evaluate(loaded, data, Scoring(cache=folder)).kept
    bundle, tensors = read_tensors(world / "m")
    if change in HEADERS:
        write_sealed(folder / "m", tensors, HEADERS[change](bundle))
        loaded = load(folder / "m")
    elif change == "tensor":
        name = sorted(name for name in tensors if tensors[name].is_floating_point())[number % 30]
        tensors[name].view(-1)[number % tensors[name].numel()] += 0.5
        write_sealed(folder / "m", tensors, bundle)
        loaded = load(folder / "m")
    elif change == "in memory":
        with torch.no_grad():
            loaded.net.members[number % 2].head.fc.bias[0] += 0.5
    elif change == "picture":  # in place, of the same size
        draw(world / "data" / "ab"[number % 2] / f"{number % 4}.bmp", number)
    elif change in ("order", "fewer"):
        data = Subset(data, [*range(1, 8), *([0] if change == "order" else [])])
    elif change in ("pack", "jpeg"):
        write_pack(data, folder / "d.pack", PackOptions("raw" if change == "pack" else "jpeg"))
        data = open_data(folder / "d.pack")
    else:
        options = {"precision": "bf16"}
    second, fresh = evaluate(loaded, data, Scoring(cache=folder, **options)), evaluate(loaded, data, Scoring(**options))
    assert np.array_equal(second.logits, fresh.logits) and second.loss == fresh.loss
    assert not second.kept


def test_a_pack_altered_in_place_is_scored_anew(world, tmp_path):
    """Its index still names the originals; what is scored are the bytes that it stores."""
    loaded, options = load(world / "m"), PackOptions("raw")
    write_pack(open_data(world / "data"), tmp_path / "d.pack", options)
    first = evaluate(loaded, open_data(tmp_path / "d.pack"), Scoring(cache=tmp_path / "kept"))
    assert evaluate(loaded, open_data(tmp_path / "d.pack"), Scoring(cache=tmp_path / "kept")).kept
    content = bytearray((tmp_path / "d.pack").read_bytes())
    content[64:256] = bytes(192)
    (tmp_path / "d.pack").write_bytes(content)
    second = evaluate(loaded, open_data(tmp_path / "d.pack"), Scoring(cache=tmp_path / "kept"))
    assert not second.kept and not np.array_equal(first.logits[0], second.logits[0])


def test_pictures_replaced_while_they_are_scored_are_not_kept(world, tmp_path, monkeypatch, capsys):
    loaded, data = load(world / "m"), open_data(world / "data")
    forward = loaded.net.forward

    def slowly(x):
        draw(world / "data" / "a" / "0.bmp", 99)
        return forward(x)

    monkeypatch.setattr(loaded.net, "forward", slowly)
    evaluate(loaded, data, Scoring(cache=tmp_path))
    assert list(tmp_path.iterdir()) == [] and "were changed while they were scored" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_costs_no_score(world, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "add_to_cache", full)
    loaded, data = load(world / "m"), open_data(world / "data")
    found = evaluate(loaded, data, Scoring(cache=tmp_path / "kept"))
    assert found.images == 8
    assert "the scores are not kept (No space left on device)" in capsys.readouterr().err


def test_a_source_of_ones_own_is_what_it_gives(world, tmp_path):
    """Somebody else's class over files of ours: its pixels count, not the bytes that lie under it."""

    class Darker(Subset):
        def read(self, i):
            image, label = super().read(i)
            return image // self.by, label

    loaded, data = load(world / "m"), open_data(world / "data")
    losses = []
    for by in (1, 2, 4):
        darker = Darker(data, range(len(data)))
        darker.by = by
        scored = evaluate(loaded, darker, Scoring(cache=tmp_path))
        assert not scored.kept and evaluate(loaded, darker, Scoring(cache=tmp_path)).kept
        losses.append(scored.loss)
    assert len(set(losses)) == 3 and not evaluate(loaded, data, Scoring(cache=tmp_path)).kept


@pytest.mark.parametrize("how", ["times put back", "link turned", "manifest newer"])
def test_a_picture_replaced_on_the_sly_is_scored_anew(world, tmp_path, how):
    root = tmp_path / "data"
    shutil.copytree(world / "data", root)
    picture = root / "a" / "0.bmp"
    if how == "link turned":
        for i in (1, 2):
            draw(tmp_path / f"{i}.bmp", 70 + i)
            os.utime(tmp_path / f"{i}.bmp", ns=(10**18, 10**18))
        picture.unlink()
        picture.symlink_to(tmp_path / "1.bmp")
    os.utime(picture, ns=(10**18, 10**18))
    if how == "manifest newer":
        check_data(str(root))
        manifest = json.loads((root / "reslearn-manifest.json").read_text())
        manifest["settings"]["hashed_at"] = 2**62
        (root / "reslearn-manifest.json").write_text(json.dumps(manifest))
    loaded = load(world / "m")
    first = evaluate(loaded, open_data(root), Scoring(cache=tmp_path / "kept"))
    assert evaluate(loaded, open_data(root), Scoring(cache=tmp_path / "kept")).kept
    if how == "link turned":
        picture.unlink()
        picture.symlink_to(tmp_path / "2.bmp")
    else:
        draw(picture, 12345)
        os.utime(picture, ns=(10**18, 10**18))
    second = evaluate(loaded, open_data(root), Scoring(cache=tmp_path / "kept"))
    assert not second.kept and second.loss != first.loss


# -- the file --------------------------------------------------------------------------------------------------------


def kept_file(folder):
    scores = {"centre@0": np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)}
    add_to_cache(folder, KEY, scores)
    [path] = folder.iterdir()
    return path, scores


def test_what_is_kept_comes_back(tmp_path):
    _, scores = kept_file(tmp_path)
    more = {"whole@1": np.zeros((5, 3), np.float32)}
    add_to_cache(tmp_path, KEY, more)
    found = read_cache(tmp_path, KEY)
    assert found.keys() == {"centre@0", "whole@1"}
    assert all(np.array_equal(rows, {**scores, **more}[name]) for name, rows in found.items())
    add_to_cache(tmp_path / "not" / "there" / "yet", KEY, more)
    assert read_cache(tmp_path / "not" / "there" / "yet", KEY).keys() == {"whole@1"}
    for other in ({"model": "n" * 64}, {"engine": "compiled"}, {"format": 3}, {"images": 6}, {"precision": "bf16"}):
        assert read_cache(tmp_path, replace(KEY, **other)) == {}


def test_no_altered_byte_is_believed(tmp_path, capsys):
    """Every bit of the file; what is read, if anything, is what was written."""
    path, scores = kept_file(tmp_path)
    content = path.read_bytes()
    for at in range(len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 1 << (at % 8)
        path.write_bytes(flipped)
        capsys.readouterr()
        found = read_cache(tmp_path, KEY)
        assert found == {} or np.array_equal(found["centre@0"], scores["centre@0"])
        assert found or "scored anew" in capsys.readouterr().err
    for cut in range(0, len(content), 7):
        path.write_bytes(content[:cut])
        assert read_cache(tmp_path, KEY) == {}


@pytest.mark.parametrize("shape", [(4, 3), (5, 2), (5,), (6, 3)])
def test_another_shape_is_computed_anew(tmp_path, shape, capsys):
    """Also where somebody has made the checksum right."""
    path, _ = kept_file(tmp_path)
    add_to_cache(tmp_path, KEY, {})
    text = json.loads(json.loads(path.read_bytes()[8:].split(b"}}")[0] + b"}}")["__metadata__"]["reslearn.scores"])
    rows = {"centre@0": np.zeros(shape, np.float32)}
    text["sha256"] = digest_tensors(serialise(rows))
    path.write_bytes(serialise(rows, metadata={"reslearn.scores": json.dumps(text)}))
    assert parse(path.read_bytes())["centre@0"].shape == shape
    assert read_cache(tmp_path, KEY) == {} and "scored anew" in capsys.readouterr().err


def test_files_of_the_release_before_are_not_read(tmp_path):
    """They are of another key; nothing is believed of them, and nothing is said."""
    (tmp_path / "efc1b6b5-40523120-c624b92cb277-fp32-7d469b5b.safetensors").write_bytes(b"anything")
    assert read_cache(tmp_path, KEY) == {}
