"""A `Predictor` is built once, called often, from threads and other processes, with pictures of every kind."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import reslearn
from reslearn.nets.build import create_model
from reslearn.predictor.given import given
from reslearn.spec.errors import UserError
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import default_preprocess

CLASSES = ("ant", "bee", "cow")
SPEC = NetSpec(
    name="tiny", stem="cifar", stem_channels=4, block="basic", stage_blocks=(1,), stage_channels=(4,), num_classes=3
)
NAMES = ("ant/1.png", "bee/2.png", "cow/3.jpg")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    reslearn.save(path, create_model(SPEC).eval(), preprocess=default_preprocess(16), classes=CLASSES)
    return path


@pytest.fixture(scope="module")
def predictor(sealed):
    return reslearn.Predictor(sealed, engine="torch", batch_size=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name in NAMES:
        (path / name).parent.mkdir()
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path / name)
    return path


def probabilities(answers):
    return [sorted((a.index, a.probability) for a in one.predictions) for one in answers]


def test_every_kind_of_input_is_answered_as_its_file_is(predictor, folder, tmp_path):
    files = [str(folder / name) for name in NAMES]
    expected = probabilities(predictor(files))
    with tarfile.open(tmp_path / "all.tar", "w") as tar:  # no labels
        for i, file in enumerate(files):
            tar.add(file, f"{i}{os.path.splitext(file)[1]}")
    (tmp_path / "bare.txt").write_text("\n".join(files))
    (tmp_path / "bare.csv").write_text("n,filename\n" + "".join(f"{i},{file}\n" for i, file in enumerate(files)))
    (tmp_path / "labelled.csv").write_text("path,label\n" + "".join(f"{file},{i}\n" for i, file in enumerate(files)))
    kinds = {
        "folder": folder, "pattern": str(folder / "*" / "*"), "deep pattern": str(folder / "**" / "*.*"),
        "tar": tmp_path / "all.tar", "list": tmp_path / "bare.txt", "table": tmp_path / "bare.csv",
        "labelled table": str(tmp_path / "labelled.csv"), "data set": reslearn.open_data(folder),
        "bytes": [Path(file).read_bytes() for file in files], "PIL": [Image.open(file) for file in files],
        "arrays": [np.asarray(Image.open(file)) for file in files], "iterator": iter(files),
        "folders": [folder / "ant", folder / "bee", folder / "cow"],
        "mixed": [files[0], np.asarray(Image.open(files[1])), Path(files[2]).read_bytes()],
    }  # fmt: skip
    for kind, those in kinds.items():
        answers = list(predictor.stream(those, 3))
        assert probabilities(answers) == expected, kind
    assert [one.path for one in predictor(folder)] == files
    assert [one.path for one in predictor(tmp_path / "all.tar")] == [
        f"{tmp_path / 'all.tar'}: {name}" for name in ("0.png", "1.png", "2.jpg")
    ]


def test_a_manifest_and_shards_are_taken(predictor, folder, tmp_path):
    for shard in (1, 2):
        with tarfile.open(tmp_path / f"train-{shard}.tar", "w") as tar:
            for name in NAMES:
                tar.add(folder / name, name)
    assert len(predictor(tmp_path)) == 6
    with pytest.raises(UserError, match="no pictures"):
        (tmp_path / "empty").mkdir()
        predictor(tmp_path / "empty")


def test_a_picture_that_cannot_be_read_is_said_in_its_place(predictor, folder, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    files = [folder / NAMES[0], tmp_path / "bad.jpg", tmp_path / "gone.png", folder / NAMES[1], b"junk"]
    found = list(predictor.stream(files))
    assert [type(one).__name__ for one in found] == ["Prediction", "Unread", "Unread", "Prediction", "Unread"]
    assert found[1].path == str(tmp_path / "bad.jpg") and "bad.jpg" in found[1].error and "gone.png" in found[2].error
    assert found[4].path is None and "picture 1, of 4 bytes in memory" in found[4].error
    with pytest.raises(UserError, match=r"bad\.jpg"):
        predictor(files)


def test_threads_share_one(predictor, folder):
    expected = predictor(folder)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: predictor(folder), range(24)))
    assert all(one == expected for one in found)


def test_it_travels_to_another_process_without_its_file(sealed, folder, tmp_path):
    """The file may be gone, and the module is imported anew."""
    copy = tmp_path / "m.safetensors"
    copy.write_bytes(sealed.read_bytes())
    predictor = reslearn.Predictor(copy, engine="torch", batch_size=2, threads=1)
    expected = predictor(folder)
    (tmp_path / "p.pickle").write_bytes(pickle.dumps(predictor))
    copy.unlink()
    script = (
        "import pickle, sys; p = pickle.load(open(sys.argv[1], 'rb'));"
        "print([(a.label, a.probability) for one in p(sys.argv[2]) for a in one.predictions], p.engine, p.threads)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "p.pickle"), str(folder)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    told = [(a.label, a.probability) for one in expected for a in one.predictions]
    assert printed.strip() == f"{told} torch 1"


@pytest.mark.parametrize("workers", [0, 2])
def test_decoding_ahead_keeps_the_order(sealed, tmp_path, workers):
    """Pictures of one colour each, far more than are read ahead, some of them bad."""
    for i in range(70):
        if i % 9:
            Image.new("RGB", (20, 20), (3 * i, 255 - 3 * i, i)).save(tmp_path / f"{i:02d}.png")
        else:
            (tmp_path / f"{i:02d}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    predictor = reslearn.Predictor(sealed, engine="torch", batch_size=16, threads=2)
    found = list(predictor.stream(tmp_path, 3, workers=workers))
    assert [one.path for one in found] == [str(tmp_path / f"{i:02d}.png") for i in range(70)]
    for i in (1, 17, 69):
        np.testing.assert_allclose(probabilities([found[i]]), probabilities(predictor(found[i].path)), atol=1e-6)
    assert [i for i, one in enumerate(found) if isinstance(one, reslearn.Unread)] == list(range(0, 70, 9))


def test_an_endless_iterator_is_asked_for_no_more_than_is_near(predictor):
    """What is held does not grow with what is given."""
    asked = 0

    def endless():
        nonlocal asked
        while True:
            asked += 1
            yield np.zeros((16, 16, 3), np.uint8)

    stream = predictor.stream(endless())
    for _ in range(20):
        next(stream)
    assert asked <= 20 + 4 * predictor.step


class _Pictures(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/a.png" else 404)
        self.end_headers()
        if self.path == "/a.png":
            content = io.BytesIO()
            Image.new("RGB", (20, 20), (9, 99, 199)).save(content, "PNG")
            self.wfile.write(content.getvalue())

    def log_message(self, *_):
        pass


def test_addresses_are_read_only_where_that_is_allowed(predictor):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pictures)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        at = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(UserError, match="allow_urls"):
            predictor(f"{at}/a.png")
        [one] = predictor(f"{at}/a.png", 3, allow_urls=True)
        assert one.path == f"{at}/a.png"
        assert probabilities([one]) == probabilities(predictor(Image.new("RGB", (20, 20), (9, 99, 199)), 3))
        with pytest.raises(UserError, match=r"/b\.png: the server says 404"):
            predictor(f"{at}/b.png", allow_urls=True)
    finally:
        server.shutdown()
    with pytest.raises(UserError, match="only whole http and https addresses"):
        predictor("file:///etc/passwd", allow_urls=True)
    with pytest.raises(UserError, match=r"cannot be read"):
        predictor(f"{at}/a.png", allow_urls=True)


def test_what_it_is_not_built_of(sealed):
    for wrong in ({"batch_size": 0}, {"threads": 0}, {"batch_size": "many"}, {"threads": True}):
        with pytest.raises(UserError, match="whole number from 1"):
            reslearn.Predictor(sealed, **wrong)
    with pytest.raises(UserError, match="a model is"):
        reslearn.Predictor(7)
    with pytest.raises(UserError, match="engine"):
        reslearn.Predictor(sealed, engine="abacus")
    with pytest.raises(UserError, match="top"):
        next(reslearn.Predictor(sealed, engine="torch").stream([], 0))


def test_the_default_engine_says_why(sealed, folder):
    predictor = reslearn.Predictor(sealed)
    assert predictor.engine in predictor.why and predictor.why in repr(predictor)
    for one, other in zip(predictor(folder), reslearn.Predictor(sealed, engine="torch")(folder), strict=True):
        np.testing.assert_allclose(probabilities([one]), probabilities([other]), atol=1e-5)


def test_an_opened_file_is_one_picture(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8), (10, 20, 30)).save(path)
    with open(path, "rb") as file:
        found = given(file)
        assert len(found) == 1 and found.read(0)[0, 0].tolist() == [10, 20, 30]
    assert len(given([io.BytesIO(path.read_bytes()), path])) == 2
    with open(path, encoding="utf-8") as text, pytest.raises(UserError, match="'rb'"):
        given([io.StringIO("x"), text])
