"""The sealed file: what goes in comes out, and whatever is not whole and ours is one plain line."""

from __future__ import annotations

import errno
import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reslearn.bundle import file as bundle_file
from reslearn.bundle import tensors as bundle_tensors
from reslearn.bundle.file import load, read_bundle, read_tensors, reseal, save, verify, write_sealed
from reslearn.data.parts.known import FORGOTTEN, Known
from reslearn.runtime.container import KEY
from reslearn.spec.errors import UserError
from reslearn.spec.preprocess import default_preprocess
from reslearn.spec.seen import SeenHeader

from .sealing import CLASSES, TINY, bundle_of, forge, one_line_from, tiny, with_spec


def test_what_is_sealed_comes_back(sealed):
    x = torch.randn(4, 3, 8, 8)
    loaded = load(sealed)
    assert torch.equal(loaded.net(x), tiny()(x))
    assert not loaded.net.training and loaded.net.spec == TINY
    assert loaded.bundle.classes == CLASSES and loaded.bundle.temperature == 1.5
    assert loaded.bundle == verify(sealed) == read_bundle(sealed)
    assert all(not p.is_meta and p.requires_grad for p in loaded.net.parameters())


def test_the_header_is_the_published_one(sealed):
    """Other programs read this: the key, the format, and the names of the fields."""
    with safetensors.safe_open(sealed, "pt") as file:
        header = json.loads(file.metadata()[KEY])
        names = set(file.keys())
    assert KEY == "reslearn.bundle" and header["format"] == 2
    assert header["members"][0].keys() == {"spec", "prefix", "weight"}
    assert {"combine", "preprocess", "classes", "output", "temperature", "threshold", "recipe", "data", "scores"} <= {
        *header
    }
    assert header["output"] == "logits" and header["combine"] == "logits"
    assert names == tiny().state_dict().keys()


def test_sealing_twice_gives_the_same_bytes(sealed, tmp_path):
    save(tmp_path / "again", [tiny()], bundle_of(TINY, temperature=1.5, threshold=0.4, scores={"val": {"top1": 0.5}}))
    assert (tmp_path / "again").read_bytes() == sealed.read_bytes()


def test_a_run_folder_is_its_sealed_file(sealed):
    assert load(sealed.parent).bundle == load(sealed).bundle
    assert load(sealed.parent).path == sealed


@pytest.mark.parametrize("combine", ["logits", "softmax"])
def test_members_answer_as_one(tmp_path, combine):
    other = replace(TINY, name="other", stage_channels=(4, 12), activation="pre", projection_norm=False)
    nets = [tiny(0), tiny(1), tiny(2, other)]
    bundle = bundle_of(TINY, TINY, other, combine=combine)
    weights = (1.0, 2.0, 3.0)
    members = tuple(replace(m, weight=w) for m, w in zip(bundle.members, weights, strict=True))
    save(tmp_path / "e", nets, replace(bundle, members=members))
    x = torch.randn(5, 3, 8, 8)
    answer = load(tmp_path / "e").net(x)
    each = [net(x) for net in nets]
    if combine == "logits":
        expected = (each[0] + 2 * each[1] + 3 * each[2]) / 6
    else:
        expected = ((each[0].softmax(1) + 2 * each[1].softmax(1) + 3 * each[2].softmax(1)) / 6).log()
    torch.testing.assert_close(answer, expected)


def test_a_member_of_weight_zero_is_silent(tmp_path):
    bundle = bundle_of(TINY, TINY, combine="softmax")
    members = (bundle.members[0], replace(bundle.members[1], weight=0.0))
    save(tmp_path / "e", [tiny(0), tiny(1)], replace(bundle, members=members))
    x = torch.randn(5, 3, 8, 8)
    torch.testing.assert_close(load(tmp_path / "e").net(x).softmax(1), tiny(0)(x).softmax(1))


def test_wrappers_are_taken_off(tmp_path):
    net = tiny().to(memory_format=torch.channels_last)
    save(tmp_path / "m", [torch.compile(net)], bundle_of(TINY))
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(load(tmp_path / "m").net(x), tiny()(x))


def test_a_mean_image_travels_along(tmp_path):
    image = torch.rand(3, 8, 8)
    digest = hashlib.sha256(image.numpy().tobytes()).hexdigest()
    bundle = replace(bundle_of(TINY), preprocess=replace(default_preprocess(8), mean_image=digest))
    save(tmp_path / "m", [tiny()], bundle, mean_image=image)
    assert torch.equal(load(tmp_path / "m").mean_image, image)
    with pytest.raises(UserError, match="mean_image is missing"):
        save(tmp_path / "n", [tiny()], bundle)
    with pytest.raises(UserError, match="not the mean image that its preprocessing names"):
        save(tmp_path / "n", [tiny()], bundle, mean_image=image + 1)


def test_resealing_changes_the_header_alone(sealed):
    before, tensors = read_tensors(sealed)
    after = reseal(sealed, temperature=2.5)
    assert after == replace(before, temperature=2.5, sha256=after.sha256) == read_bundle(sealed)
    assert after.sha256 != before.sha256
    assert all(torch.equal(tensors[name], tensor) for name, tensor in read_tensors(sealed)[1].items())


def test_tensors_beside_the_networks_are_handed_on(sealed):
    """`seen.` tensors belong to no network; they come back from `load` and outlive resealing."""
    known = Known(np.arange(-20, 20), np.array([7, 9]))
    save(sealed, [tiny()], bundle_of(TINY), known=known)
    reseal(sealed, temperature=2.0)
    loaded = load(sealed)
    assert (loaded.bundle.seen.trained, loaded.bundle.seen.selected, loaded.bundle.seen.known_by) == (40, 2, "content")
    assert loaded.bundle.seen.error == 42 / 2**64
    assert np.array_equal(loaded.known.trained, known.trained) and np.array_equal(loaded.known.selected, known.selected)
    reseal(sealed, known=FORGOTTEN)
    assert load(sealed).bundle.seen.forgotten and not len(load(sealed).known.trained)


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(2),
        torch.zeros(1, 2, dtype=torch.int64),
        torch.tensor([1, 2], dtype=torch.int32),
        torch.tensor([2, 1]),
        torch.tensor([1, 1]),
        torch.tensor([1, 2, 3]),
    ],
)
def test_a_filter_is_what_the_header_promises(sealed, wrong):
    bundle, tensors = read_tensors(sealed)
    bundle = replace(bundle, seen=SeenHeader("content", trained=2))
    write_sealed(sealed, tensors | {"seen.trained": torch.tensor([1, 2])}, bundle)
    for name in ("seen.trained", "seen.other"):
        with pytest.raises(UserError, match=f"{name} belongs to no network"):
            write_sealed(sealed, tensors | {name: wrong}, bundle)
    with pytest.raises(UserError, match=r"seen\.trained is missing"):
        write_sealed(sealed, tensors, bundle)


# -- what is not ours, or not whole ----------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 40, 0.2, 0.5, 0.99])
def test_a_truncated_file_says_so(sealed, keep):
    content = sealed.read_bytes()
    sealed.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    message = one_line_from(sealed)
    assert "truncated" in message or "not a sealed file" in message or "empty file" in message


def test_no_bit_can_be_flipped(sealed):
    """500 bits over the whole file, header and tensors alike, and every digit of the checksum: none goes unnoticed."""
    content = sealed.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    draw = np.random.default_rng(0)
    places = [*draw.integers(0, header, 250), *draw.integers(header, len(content), 250)]
    digits = content.index(read_bundle(sealed).sha256.encode())
    for place in [*places, *range(digits - 4, digits + 68)]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(draw.integers(8))
        sealed.write_bytes(flipped)
        one_line_from(sealed, read_bundle)
    sealed.write_bytes(content)
    read_bundle(sealed)


@settings(max_examples=80)
@given(where=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), cut=st.integers(0, 40))
def test_no_other_bytes_are_accepted(tmp_path_factory, where, byte, cut):
    """Bytes replaced, removed or inserted anywhere: one line that names the file, and never a crash."""
    path = tmp_path_factory.mktemp("bytes") / "m"
    save(path, [tiny()], bundle_of(TINY, scores={"val": {"top1": 0.5}}))
    content = path.read_bytes()
    at = int(where * len(content))
    changed = content[:at] + bytes([byte]) + content[at + cut :]
    path.write_bytes(changed)
    if changed != content:
        one_line_from(path)


def test_what_is_not_a_sealed_file(tmp_path):
    torch.save(tiny().state_dict(), tmp_path / "a.pth")
    assert "reslearn convert" in one_line_from(tmp_path / "a.pth")
    safetensors.torch.save_file(tiny().state_dict(), tmp_path / "b.safetensors")
    assert "did not seal" in one_line_from(tmp_path / "b.safetensors")
    (tmp_path / "c.txt").write_text("a text that is long enough to be read as eight bytes and more")
    assert "not a sealed file" in one_line_from(tmp_path / "c.txt")
    assert "no such file" in one_line_from(tmp_path / "nothing")
    assert "no model.safetensors" in one_line_from(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    assert f"reslearn resume {tmp_path}" in one_line_from(tmp_path)
    assert "untrained" in one_line_from("resnet20_cifar")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: {**h, "format": 3}, "upgrade reslearn"),
        (lambda h: {**h, "format": "x"}, "names no format"),
        (lambda h: {**h, "format": True}, "names no format"),
        (lambda h: {**h, "colour": 1}, "unknown field 'colour'"),
        (lambda h: {**h, "members": []}, "members is empty"),
        (lambda h: {**h, "members": 3}, "expected a list"),
        (lambda h: {**h, "combine": "median"}, "combine"),
        (lambda h: {**h, "temperature": 0}, "temperature"),
        (lambda h: {**h, "classes": ["one"]}, "1 class names for a network with 3"),
        (lambda h: with_spec(h, stage_blocks=[10**9, 1]), "all together at most 10,000"),
        (lambda h: with_spec(h, stage_blocks=[5000, 1]), "more blocks than the file has tensors"),
        (lambda h: with_spec(h, stage_blocks=[2, 1]), "is missing"),
        (lambda h: with_spec(h, stage_channels=[4, 16]), "has shape"),
        (lambda h: with_spec(h, stage_channels=[4, 10**30]), "cannot be built"),
        (lambda h: with_spec(h, variant="gated"), "unknown variant 'gated'"),
        (lambda h: with_spec(h, kind="lenet"), "kind"),
        (lambda h: {**h, "preprocess": {**h["preprocess"], "std": [0, 0, 0]}}, "std must be positive"),
    ],
)
def test_a_header_that_does_not_fit(sealed, change, message):
    forge(sealed, change)
    assert message in one_line_from(sealed)


def test_an_infinite_loss_is_null(tmp_path):
    save(tmp_path / "m", [tiny()], bundle_of(TINY, scores={"test": {"loss": float("inf"), "top1": 0.5}}))
    with safetensors.safe_open(tmp_path / "m", "pt") as file:
        assert "Infinity" not in file.metadata()[KEY]
    assert load(tmp_path / "m").bundle.scores == {"test": {"loss": None, "top1": 0.5}}


def test_a_header_without_end_is_one_line(tmp_path):
    for text in ("[" * 100_000, '{"a":' * 100_000):
        body = text.encode()
        (tmp_path / "m").write_bytes(len(body).to_bytes(8, "little") + body)
        one_line_from(tmp_path / "m")


def test_an_extra_tensor_belongs_to_no_network(sealed):
    bundle, tensors = read_tensors(sealed)
    with pytest.raises(UserError, match="belongs to no network"):
        bundle_file.write_sealed(sealed, tensors | {"more": torch.zeros(1)}, bundle)


def test_nothing_is_built_from_an_altered_file(sealed, monkeypatch):
    content = bytearray(sealed.read_bytes())
    content[-1] ^= 1
    sealed.write_bytes(content)
    for module in (bundle_file, bundle_tensors):
        monkeypatch.setattr(module, "create_model", lambda *a, **k: pytest.fail("built before it was verified"))
    one_line_from(sealed)


def test_a_full_disk_leaves_what_was_there(sealed, monkeypatch):
    before = sealed.read_bytes()

    def full(path, content):
        path.open("wb").write(content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space left") as caught:
        save(sealed, [tiny(1)], bundle_of(TINY))
    assert caught.value.filename == str(sealed)
    assert sealed.read_bytes() == before
    assert [entry.name for entry in sealed.parent.iterdir()] == [sealed.name]


def test_networks_and_members_must_agree(tmp_path):
    with pytest.raises(UserError, match="2 networks for a bundle of 1"):
        save(tmp_path / "m", [tiny(), tiny()], bundle_of(TINY))
    with pytest.raises(UserError, match="share a prefix"):
        bundle_of(TINY, TINY, prefixes=["a.", "a."])
    with pytest.raises(UserError, match="different numbers of classes"):
        bundle_of(TINY, replace(TINY, num_classes=4))


def test_the_header_alone_is_read_without_the_tensors(sealed, monkeypatch):
    """`read_bundle` asks for the checksum and no more: of a large file that is much quicker."""
    forge(sealed, lambda header: with_spec(header, stage_blocks=[2, 1]))
    for read in (verify, load):
        assert "is missing" in one_line_from(sealed, read)
    monkeypatch.delattr(bundle_file, "parse_tensors")
    assert read_bundle(sealed).members[0].spec.stage_blocks == (2, 1)
