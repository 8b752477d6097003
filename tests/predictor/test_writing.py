"""`predict -o`: rows of any number of pictures in one file, the same whoever was killed on the way, however often."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import reslearn
from reslearn.cli.app import main
from reslearn.nets.build import create_model
from reslearn.predictor import writing
from reslearn.predictor.given import given
from reslearn.predictor.writing import Wanted, parts_folder, sharded, write_answers
from reslearn.spec.errors import UserError
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import default_preprocess

CLASSES = ("ant", "bee", "cow")
SPEC = NetSpec(
    name="tiny", stem="cifar", stem_channels=4, block="basic", stage_blocks=(1,), stage_channels=(4,), num_classes=3
)
COUNT, BAD = 50, (7, 31)
COLUMNS = ["path", "label", "index", "probability", "error", "top"]


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A sealed file and a folder of pictures, of which two are bad."""
    folder = tmp_path_factory.mktemp("here")
    torch.manual_seed(0)
    reslearn.save(
        folder / "m.safetensors", create_model(SPEC).eval(), preprocess=default_preprocess(16), classes=CLASSES
    )
    (folder / "pics").mkdir()
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"pics/{i:02d}.png")
    for i in BAD:
        (folder / f"pics/{i:02d}.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def predictor(here):
    return reslearn.Predictor(here / "m.safetensors", engine="torch", batch_size=4)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(writing, "PART", 8)


def rows_of(path):
    """The rows of a file of answers, as JSON Lines has them."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".parquet":
        return pytest.importorskip("pyarrow.parquet", reason="needs pyarrow").read_table(path).to_pylist()
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kinds = {"index": int, "probability": float, "top": json.loads, "logits": json.loads, "features": json.loads}
    return [{k: (kinds.get(k, str)(v) if v else None) for k, v in row.items()} for row in rows]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_a_row_for_each_picture_in_order(here, predictor, tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    wanted = Wanted(2, logits=True, features="pool")
    done = write_answers(predictor, given(here / "pics"), path, wanted)
    assert (done.pictures, done.errors, done.kept, done.path) == (COUNT, 2, 0, path)
    rows = rows_of(path)
    assert list(rows[0]) == [*COLUMNS, "logits", "features"]
    assert [row["path"] for row in rows] == [str(here / f"pics/{i:02d}.png") for i in range(COUNT)]
    for i, row in enumerate(rows):
        if i in BAD:
            assert f"{i:02d}.png" in row["error"] and row["top"] == []
            assert [row[name] for name in ("label", "index", "probability", "logits", "features")] == [None] * 5
        else:
            best = row["top"][0]
            assert row["error"] is None and len(row["top"]) == 2 and len(row["features"]) == 4
            assert (row["label"], row["index"], row["probability"]) == tuple(best.values())
            assert best["label"] == CLASSES[best["index"]] == CLASSES[int(np.argmax(row["logits"]))]
            believed = torch.tensor(row["logits"]).double().softmax(0)[best["index"]]
            assert best["probability"] == pytest.approx(float(believed), abs=1e-6)
    one = predictor(here / "pics/03.png", 2)[0].to_json()["predictions"]
    assert rows[3]["top"] == [pytest.approx(answer, abs=1e-6) for answer in one]
    assert not parts_folder(path).exists()


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_a_file_of_answers_is_known_and_replaced_by_another(here, predictor, tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    write_answers(predictor, given(here / "pics"), path, Wanted(2))
    first = path.read_bytes()
    write_answers(predictor, given(here / "pics"), path, Wanted(2))
    assert path.read_bytes() == first


def test_shards_count_from_one_and_make_up_the_whole(here, predictor, tmp_path):
    pictures = given(here / "pics")
    write_answers(predictor, pictures, tmp_path / "all.jsonl", Wanted())
    whole = rows_of(tmp_path / "all.jsonl")
    for i in (1, 2, 3):
        write_answers(predictor, pictures, tmp_path / f"{i}.jsonl", Wanted(shard=f"{i}/3"))
        assert [row["path"] for row in rows_of(tmp_path / f"{i}.jsonl")] == [row["path"] for row in whole[i - 1 :: 3]]
    for wrong in ("0/3", "4/3", "1", "a/b", "1/0", "-1/2"):
        with pytest.raises(UserError, match="must be i/n with i from 1 to n"):
            sharded(9, wrong)


class Stopped(Exception):
    pass


def test_what_is_answered_is_not_answered_again(here, predictor, tmp_path):
    """Stopped anywhere: whole parts are kept, and the file comes out byte for byte."""
    pictures = given(here / "pics")
    write_answers(predictor, pictures, tmp_path / "whole.csv", Wanted())
    expected = (tmp_path / "whole.csv").read_bytes()
    for at in (1, 8, 9, 33, 50):
        path = tmp_path / f"{at}.csv"

        def stop(done, total, at=at):
            if done == at:
                raise Stopped

        with pytest.raises(Stopped):
            write_answers(predictor, pictures, path, Wanted(), progress=stop)
        assert not path.exists()
        asked = []
        done = write_answers(predictor, pictures, path, Wanted(), progress=lambda done, total, a=asked: a.append(done))
        assert done.kept == (at - 1) // 8 * 8 and len(asked) == COUNT - done.kept
        assert path.read_bytes() == expected and not parts_folder(path).exists()


def test_parts_of_something_else_are_refused(here, predictor, tmp_path):
    path, pictures = tmp_path / "a.csv", given(here / "pics")

    def stop(done, total):
        if done == 20:
            raise Stopped

    with pytest.raises(Stopped):
        write_answers(predictor, pictures, path, Wanted(), progress=stop)
    with pytest.raises(UserError, match=r"a\.csv\.parts: parts of a prediction with other top;"):
        write_answers(predictor, pictures, path, Wanted(top=1))
    with pytest.raises(UserError, match="with other pictures, names"):
        write_answers(predictor, given(here / "pics/01.png"), path, Wanted())
    other = tmp_path / "b.csv"
    parts_folder(other).mkdir()
    (parts_folder(other) / "diary.txt").write_text("mine")
    with pytest.raises(UserError, match="a folder that no prediction has left"):
        write_answers(predictor, pictures, other, Wanted())


def test_the_command(here, tmp_path, capsys):
    model, pics, out = str(here / "m.safetensors"), str(here / "pics"), str(tmp_path / "a.csv")
    assert main(["predict", model, pics, "-o", out, "--top", "1", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert list(value) == ["path", "pictures", "errors", "kept", "engine", "precision", "seconds"]
    assert (value["path"], value["pictures"], value["errors"]) == (out, COUNT, 2)
    assert main(["predict", model, pics, "-o", out]) == 0  # its own kind is replaced
    assert len(rows_of(tmp_path / "a.csv")[0]["top"]) == 3
    (tmp_path / "mine.csv").write_text("a,b\n")
    for arguments, line in {
        ("-o", str(tmp_path / "a.txt")): "answers are written to .parquet, .csv or .jsonl",
        ("--logits",): "--logits needs a file to write to",
        ("--shard", "1/2"): "--shard needs a file to write to",
        ("-o", out, "--shard", "3/2"): "--shard is '3/2'; it must be i/n",
        ("-o", out, "--features", "nose"): "pool",
        ("-o", str(tmp_path / "no/a.csv")): "no such folder to write into",
        ("-o", str(tmp_path / "mine.csv")): "is no file of answers of reslearn, and it is not replaced",
        ("-o", out, "--batch-size", "0"): "--batch-size is 0",
        ("-o", out, "--top", "0"): "top is 0",
    }.items():
        capsys.readouterr()
        assert main(["predict", model, pics, *arguments]) == 2, arguments
        assert line in capsys.readouterr().err.splitlines()[-1], arguments


def command(here, out, *more):
    """`predict -o` as a process of its own, with small parts."""
    script = (
        "import sys; from reslearn.predictor import writing; writing.PART = 8;"
        "from reslearn.cli.app import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["predict", "m.safetensors", "pics", "-o", str(out), "--engine", "torch", "--batch-size", "4", *more]
    surroundings = os.environ | {"OMP_NUM_THREADS": "1"}
    return [sys.executable, "-c", script, *words], {"cwd": here, "env": surroundings}


def begun(here, out):
    words, options = command(here, out)
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)


def finished(here, out):
    words, options = command(here, out, "--json")
    done = subprocess.run(words, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_killed_command_goes_on(here, tmp_path):
    """SIGKILL as soon as the second part is whole."""
    path = tmp_path / "a.jsonl"
    process = begun(here, path)
    deadline = time.monotonic() + 120
    while len(list(parts_folder(path).glob("part-*"))) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.kill()
    assert process.wait() in (-signal.SIGKILL, 0)
    kept = finished(here, path)["kept"]
    assert kept >= 16 or path.exists()
    whole = tmp_path / "whole.jsonl"
    finished(here, whole)
    assert path.read_bytes() == whole.read_bytes() and not parts_folder(path).exists()


@pytest.mark.slow
def test_killed_at_ten_random_instants(here, tmp_path):
    finished(here, tmp_path / "whole.parquet")
    began = time.monotonic()
    finished(here, tmp_path / "again.parquet")
    seconds, draw = time.monotonic() - began, random.Random(0)
    path = tmp_path / "a.parquet"
    for _ in range(10):
        process = begun(here, path)
        time.sleep(draw.uniform(0.3, 1.1) * seconds)
        process.kill()
        process.wait()
    finished(here, path)
    assert path.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not parts_folder(path).exists()


@pytest.mark.slow
def test_processes_of_torchrun_write_what_one_writes(here, tmp_path):
    finished(here, tmp_path / "one.csv")
    words, options = command(here, tmp_path / "two.csv")
    script = tmp_path / "run.py"
    script.write_text(words[2].replace("; ", "\n").replace(";", "\n"))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    subprocess.run([*launcher, *words[3:]], check=True, **options)
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux, which tells a process's memory")
def test_memory_is_flat_over_many_pictures(here, tmp_path):
    """Of a list of files, the command's memory four times a second from a quarter of them on."""
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    names = [str(here / f"pics/{i % 7:02d}.png") for i in range(30_000)]
    (tmp_path / "many.txt").write_text("\n".join(names))
    script = Path(__file__).parents[2] / "benchmarks" / "predict_memory.py"
    words = [sys.executable, str(script), str(here / "m.safetensors"), str(tmp_path / "many.txt")]
    done = subprocess.run([*words, "--every", "0.25", "--json"], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["pictures"] == 30_000 and found["samples"] > 10
    assert found["most_mib"] - found["least_mib"] < 30 and abs(found["slope_mib"]) < 60, found
