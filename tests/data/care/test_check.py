"""A corpus with every planted fault: the check finds all of them and reports no clean file."""

import json
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from reslearn.data.care import duplicates
from reslearn.data.care.check import KINDS, check
from reslearn.data.care.check_page import render_check
from reslearn.data.care.duplicates import Look, clusters, look_of, near_groups
from reslearn.data.care.inspect import inspect_bytes
from reslearn.data.memory import ArrayDataset
from reslearn.data.parts.manifest import write_manifest
from reslearn.data.sources import open_data
from reslearn.spec.errors import UserError

from ..conftest import encode, picture


def bomb():
    """A whole PNG of 30,000 x 30,000 black pixels in one bit: 110 kB that would take 2.7 GB as RGB."""
    side = 30_000
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)

    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def repaired():
    """A JPEG from whose compressed data a stretch is gone: it decodes to the end, with a warning."""
    raw = bytearray(encode(picture(99, (120, 160)), quality=90))
    middle = len(raw) * 2 // 3
    del raw[middle : middle + 200]
    return bytes(raw)


def photo(seed, size=(96, 128)):
    """A picture with enough structure for a perceptual hash; different seeds look different."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC))


def see_through(seed):
    image = Image.fromarray(photo(seed))
    image.putalpha(128)
    return image


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus") / "data"
    for split in ("train", "test"):
        for cls in ("cat", "dog", "rare"):
            (root / split / cls).mkdir(parents=True)
    clean = set()
    for i in range(40):
        name = f"{'test' if i % 4 == 0 else 'train'}/{'cat' if i % 3 else 'dog'}/clean{i:02d}"
        kind, suffix = [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("BMP", "bmp")][i % 4]
        (root / f"{name}.{suffix}").write_bytes(encode(photo(i), kind))
        clean.add(f"{name}.{suffix}")
    (root / "train/rare/clean.jpg").write_bytes(encode(photo(400)))
    clean.add("train/rare/clean.jpg")
    whole = encode(photo(50), quality=95)
    exif = Image.Exif()
    exif[0x112] = 6
    frames = [Image.fromarray(photo(60 + i)) for i in range(3)]
    faults = {
        "empty": {"train/cat/zero.jpg": b""},
        "truncated": {
            "train/cat/cut.jpg": whole[: len(whole) // 2],
            "train/dog/cut.png": encode(photo(51), "PNG")[:-300],
        },
        "undecodable": {
            "train/cat/text.jpg": b"this is no image at all",
            "train/cat/notes.txt": b"hello",
            "train/dog/header.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 64,
        },
        "bomb": {"test/dog/bomb.png": bomb()},
        "repaired": {"train/dog/repaired.jpg": repaired()},
        "wrong-extension": {"train/cat/really.png": encode(photo(52))},
        "cmyk": {"train/cat/cmyk.jpg": encode(Image.fromarray(photo(53)).convert("CMYK"))},
        "16-bit": {
            "train/dog/deep.png": encode((photo(54)[..., 0].astype(np.uint16) * 257), "PNG"),
            "train/dog/deep_rgb.png": cv2.imencode(".png", photo(55).astype(np.uint16) * 257)[1].tobytes(),
        },
        "alpha": {
            "train/cat/sprite.png": encode(Image.fromarray(photo(63)).convert("RGBA"), "PNG"),
            "train/dog/sprite.webp": encode(see_through(64), "WEBP"),
        },
        "odd-size": {"train/dog/poster.png": encode(photo(65, (500, 700)), "PNG")},
        "animated": {
            "train/cat/moving.gif": encode(frames[0], "GIF", save_all=True, append_images=frames[1:]),
            "train/cat/moving.webp": encode(frames[1], "WEBP", save_all=True, append_images=frames[1:]),
        },
        "exif-rotated": {"test/cat/lying.jpg": encode(photo(56), exif=exif)},
        "tiny": {"train/dog/tiny.png": encode(photo(57, (6, 8)), "PNG")},
        "extreme-aspect": {"train/dog/strip.jpg": encode(photo(58, (40, 600)))},
    }
    for files in faults.values():
        for name, raw in files.items():
            (root / name).write_bytes(raw)
    original = photo(70)
    copies = {
        "train/cat/original.jpg": encode(original, quality=92),
        "test/cat/copy.jpg": encode(original, quality=92),  # exact, across splits
        "train/dog/copy.jpg": encode(original, quality=92),  # exact, another label
        "test/cat/small.jpg": encode(Image.fromarray(original).resize((96, 72)), quality=60),  # near, across splits
        "train/cat/second.png": encode(photo(71), "PNG"),
        "train/cat/second.jpg": encode(photo(71), quality=50),  # near, within one split
    }
    for name, raw in copies.items():
        (root / name).write_bytes(raw)
    return root, faults, clean, set(copies)


@pytest.fixture(scope="module")
def found(corpus):
    data = open_data(corpus[0], on_bad_file="skip", manifest=False)
    return data, *check(data, workers=0)


def test_every_planted_fault_is_found_under_its_kind(corpus, found):
    report = found[1]
    for kind, files in corpus[1].items():
        assert {row["id"] for row in report.faults[kind]} == set(files), kind
    assert set(report.faults) <= set(KINDS) and report.pictures == sum(1 for f in corpus[0].rglob("*") if f.is_file())


def test_no_clean_file_is_reported(corpus, found):
    report = found[1]
    named = {row["id"] for rows in report.faults.values() for row in rows}
    named |= {name for group in [*report.exact, *report.near] for name in group}
    assert not named & corpus[2]
    assert named == {name for files in corpus[1].values() for name in files} | corpus[3]


def test_duplicates_leaks_and_conflicts(found):
    report = found[1]
    trio = {"train/cat/original.jpg", "test/cat/copy.jpg", "train/dog/copy.jpg"}
    assert [set(g) for g in report.exact] == [trio]
    near = [set(g) for g in report.near]
    assert {"train/cat/second.png", "train/cat/second.jpg"} in near and len(near) == 2
    assert any("test/cat/small.jpg" in g for g in near)
    assert [set(g) for g in report.crossing] == [trio | {"test/cat/small.jpg"}]
    assert [set(g) for g in report.conflicts] == [trio | {"test/cat/small.jpg"}]


def test_classes_imbalance_and_missing(found):
    report = found[1]
    assert report.missing == {"test": ["rare"]}
    assert report.classes["rare"] == {"test": 0, "train": 1}
    assert report.imbalance > 10


def test_what_cannot_be_read_is_left_out_and_training_obeys(corpus, found, tmp_path):
    data, report, manifest = found
    fatal = {name for kind in ("empty", "truncated", "undecodable", "bomb") for name in corpus[1][kind]}
    assert set(report.excluded) == fatal == set(manifest.excluded)
    path = tmp_path / "m.json"
    from dataclasses import replace

    write_manifest(str(path), replace(manifest, data=str(corpus[0])))
    obeyed = open_data(path)  # no --on-bad-file: the manifest names notes.txt too
    assert len(obeyed) == report.pictures - len(fatal) and not set(obeyed.ids) & fatal
    for i in range(len(obeyed)):
        obeyed.read(i)
    assert {k: len(v) for k, v in obeyed.splits.items()} == {
        name: sum(1 for x in data.splits[name] if data.ids[int(x)] not in fatal) for name in ("test", "train")
    }
    with pytest.raises(UserError, match=r"notes\.txt: not an image"):
        open_data(corpus[0])


def test_more_can_be_left_out(found):
    data = found[0]
    report, _ = check(data, workers=0, exclude=("duplicates", "conflicts", "cmyk"))
    assert "train/cat/cmyk.jpg" in report.excluded and "train/dog/copy.jpg" in report.excluded
    assert "train/cat/moving.gif" not in report.excluded


def test_the_report_is_json_and_a_page_that_needs_nothing_else(found):
    data, report, _ = found
    value = json.loads(json.dumps(report.to_json()))
    assert value["pictures"] == report.pictures and value["clean"] == report.clean
    page = render_check(report, data)
    assert "data:image/jpeg;base64," in page and "train/cat/notes.txt" in page
    assert "http://" not in page and "https://" not in page and 'src="/' not in page
    for kind in report.faults:
        assert f'id="{kind}"' in page


def test_names_are_escaped_in_the_page(folder):
    root = folder({"a": 1, "<script>alert(1)</script>": 1})
    data = open_data(root)
    page = render_check(check(data, workers=0)[0], data)
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_worker_processes_find_the_same(found, monkeypatch):
    import reslearn.data.care.check as module

    data, report, manifest = found
    big = [data] * 1
    real = module.map_chunks
    monkeypatch.setattr(module, "map_chunks", lambda *values, **options: real(*values[:2], 2, **options | {"size": 8}))
    again, same = check(big[0], workers=2)
    assert again == report and same == manifest


def test_photographs_are_clean(photographs):
    facts = [inspect_bytes(raw, name) for name, raw in photographs]
    assert not [(f.faults, n) for f, (n, _) in zip(facts, photographs, strict=True) if f.faults]
    assert near_groups([f.look for f in facts], [f.sha256 for f in facts]) == []


def test_photographs_resized_recompressed_or_brightened_are_found(photographs):
    photos = [cv2.imdecode(np.frombuffer(raw, np.uint8), 1) for _, raw in photographs]
    changes = {
        "resized": lambda x: cv2.resize(x, (180, 160), interpolation=cv2.INTER_AREA),
        "recompressed": lambda x: cv2.imdecode(cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, 25])[1], 1),
        "a little brighter": lambda x: cv2.convertScaleAbs(x, alpha=1.0, beta=5),
    }
    for name, change in changes.items():
        looks = [look_of(p[..., ::-1].copy()) for p in photos] + [look_of(change(p)[..., ::-1].copy()) for p in photos]
        groups = near_groups(looks, [str(i) for i in range(len(looks))])
        assert len(groups) >= 0.95 * len(photos), name
        assert all(group == [group[0], group[0] + len(photos)] for group in groups), name


def test_bare_pixels_are_checked_for_duplicates():
    images = np.stack([photo(i, (32, 32)) for i in range(6)] + [photo(2, (32, 32))])
    data = ArrayDataset(images, np.arange(7) % 2, classes=["a", "b"], ids=[f"i{k}" for k in range(7)], path="memory")
    report, _ = check(data, workers=0)
    assert report.exact == [["i2", "i6"]] and not report.faults and not report.excluded


def traced(function, *arguments):
    """(what it returns, the most bytes it held at a time)."""
    tracemalloc.start()
    try:
        return function(*arguments), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["equal", "one code"])
def test_memory_does_not_grow_with_the_pairs_of_look_alikes(kind):
    count, rng = 3000, np.random.default_rng(0)
    small = np.full((count, 192), 100, np.uint8)
    if kind == "one code":
        small += rng.integers(0, 9, small.shape, dtype=np.uint8)
    looks = [Look(0x0F0F_1234_5678_9ABC, row.tobytes(), 64) for row in small]
    groups, most = traced(near_groups, looks, [str(i) for i in range(count)])
    assert groups == [list(range(count))]
    assert most < 48e6


@pytest.mark.parametrize("pairs", [1 << 18, 5])
def test_blocks_of_pairs_find_what_comparing_all_finds(pairs, monkeypatch):
    monkeypatch.setattr(duplicates, "_PAIRS", pairs)
    monkeypatch.setattr(duplicates, "_LEVELS", max(pairs // 16, 2))
    rng = np.random.default_rng(1)
    bases = rng.integers(0, 1 << 63, 12)
    looks = []
    for _ in range(150):
        code = int(rng.choice(bases))
        for bit in rng.integers(0, 63, rng.integers(0, 6)):
            code ^= 1 << int(bit)
        level = int(rng.choice([40, 47, 54, 90, 200]))
        looks.append(Look(code, np.full(192, level, np.uint8).tobytes(), 64))
    linked = [
        (i, j)
        for i in range(150)
        for j in range(i)
        if (looks[i].hash ^ looks[j].hash).bit_count() <= 7 and abs(looks[i].small[0] - looks[j].small[0]) <= 8
    ]
    groups = near_groups(looks, [str(i) for i in range(150)])
    assert groups == clusters(linked) and len(groups) > 5


def test_unreadable_files_are_no_duplicates_of_one_another(folder):
    root = folder({"a": 4, "b": 4})
    for name in ("a/empty.jpg", "b/empty.jpg"):
        (root / name).write_bytes(b"")
    for name in ("a/cut.jpg", "b/cut.jpg"):
        (root / name).write_bytes((root / "a" / "000.jpg").read_bytes()[:300])
    data = open_data(root, on_bad_file="skip", manifest=False)
    report, _ = check(data, workers=0, exclude=("duplicates", "conflicts"))
    assert not report.exact and not report.near and not report.conflicts
    assert {row["id"] for row in report.faults["empty"]} == {"a/empty.jpg", "b/empty.jpg"}
    assert {name: why.split(":")[0] for name, why in report.excluded.items()} == {
        "a/empty.jpg": "empty",
        "b/empty.jpg": "empty",
        "a/cut.jpg": "truncated",
        "b/cut.jpg": "truncated",
    }


def test_the_page_s_style_is_css_and_names_are_text(folder):
    data = open_data(folder({"<b>": 3, "b": 3}), on_bad_file="skip", manifest=False)
    text = render_check(check(data, workers=0)[0], data)
    style = text[text.index("<style>") : text.index("</style>")]
    fonts = [line for line in style.splitlines() if "font" in line and '"' in line]
    assert fonts and not any(mark in style for mark in ("&#34;", "&quot;", "&#39;"))  # a browser ignores it
    assert "&lt;b&gt;" in text and "<td><b>" not in text
