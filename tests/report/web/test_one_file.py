"""The page that is one file: what it answers, how large it is, and that not a byte of it can be changed unseen."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest

import reslearn
from reslearn.cli.app import main
from reslearn.jobs.one_file import page_target
from reslearn.report.web_page import ONE_FILE, PARTS, WEB, one_script, server_files
from reslearn.report.web_runtime import SCRIPT, WASM, packed_runtime, vendored
from reslearn.spec.errors import UserError


def test_the_script_is_whole():
    script = one_script()
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    names = re.findall(r"^(?:async )?(?:function|class|const|let) (\w+)", script, re.MULTILINE)
    assert len(names) == len(set(names))
    for name in ONE_FILE:
        for used in re.findall(r'from "\./([\w.]+)"', (WEB / name).read_text()):
            assert ONE_FILE.index(used) < ONE_FILE.index(name)


def test_the_server_has_every_file_that_its_page_names():
    files = server_files()
    named = {one for text in files.values() for one in re.findall(r'from "\./([\w.]+)"', text)}
    named |= set(re.findall(r'"static/([\w.]+)"', files["index.html"]))
    assert named and named < set(files)
    for text in files.values():
        assert not re.search(r"https?://", text)


def test_both_languages_have_every_word():
    script = (WEB / "words.js").read_text()
    english, korean = (re.findall(r"^    (\w+):", part, re.MULTILINE) for part in script.split("  ko: {"))
    assert english == korean
    texts = "".join((WEB / name).read_text() for name in (*ONE_FILE, "body.html", "server.js"))
    said = set(re.findall(r'say\("(\w+)"', texts)) | set(re.findall(r'data-say(?:-label)?="(\w+)"', texts))
    assert said <= set(english)


def test_the_runtime_is_what_was_vendored():
    runtime = vendored()
    assert runtime.sha512.startswith("sha512-") and runtime.licence == "MIT" and runtime.wasm[:4] == b"\0asm"
    assert "MIT License" in (WEB / "runtime" / "LICENSE").read_text()


def test_another_runtime_can_be_named(painted, tmp_path):
    runtime, package = vendored(), tmp_path / "onnxruntime-web-9.tgz"
    about = {"name": "onnxruntime-web", "version": "9", "license": "MIT"}
    files = {"package.json": json.dumps(about).encode(), f"dist/{SCRIPT}": runtime.script, f"dist/{WASM}": runtime.wasm}
    with tarfile.open(package, "w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    found = packed_runtime(package)
    assert found.version == "9" and found.wasm == runtime.wasm
    os.mkfifo(tmp_path / "pipe.tgz")
    for wrong in (painted, tmp_path / "none.tgz", tmp_path / "pipe.tgz", Path("/dev/zero")):
        with pytest.raises(UserError, match="npm pack onnxruntime-web"):
            packed_runtime(wrong)


def test_the_command_says_what_it_wrote(one_file):
    value = json.loads(one_file.with_suffix(".json").read_text())
    assert value["to"] == "html" and value["input"] == "uint8" and value["path"] == str(one_file)
    assert value["bytes"] == one_file.stat().st_size < 7e6
    assert value["verified"]["agreement"] == 1.0 and value["outputs"] == ["logits", "cam"]


def test_it_replaces_its_own_kind_alone(one_file, painted, tmp_path):
    assert page_target(one_file, painted) == one_file
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><p>somebody's")
    for wrong in (page, tmp_path / "model.onnx"):
        assert main(["export", str(painted), "--to", "html", "-o", str(wrong)]) == 2
    assert page.read_text().endswith("somebody's")


@pytest.mark.parametrize(
    "more, words",
    [
        (["--to", "onnx", "-o", "m.onnx", "--runtime", "r.tgz"], "--runtime is for --to html"),
        (["--to", "html", "-o", "m.html", "--runtime", "r.tgz"], "npm pack onnxruntime-web"),
        (["--to", "html", "-o", "m.html", "--outputs", "both"], "--outputs is for graphs"),
        (["--to", "html", "-o", "m.html", "--precision", "bf16"], "--precision bf16"),
    ],
)
def test_wrong_input_is_one_line(painted, tmp_path, monkeypatch, capsys, more, words):
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(painted), *more]) == 2
    assert words in capsys.readouterr().err


def test_it_holds_no_path_of_the_machine(one_file, painted):
    assert str(painted.parent) not in one_file.read_text()


@pytest.mark.browser
@pytest.mark.parametrize("part", PARTS)
def test_one_changed_character_is_told_and_nothing_is_answered(one_file, visit, tmp_path, part):
    text = one_file.read_text()
    start = text.index(f'id="part-{part}">') + len(f'id="part-{part}">')
    end = text.index("</script>", start)
    at = (start + end) // 2
    other = "A" if text[at] != "A" else "B"
    (tmp_path / "altered.html").write_text(text[:at] + other + text[at + 1 :])
    seen = visit(tmp_path / "altered.html")
    seen.page.wait_for_selector("#status.problem", timeout=30_000)
    assert "was altered" in seen.page.inner_text("#status") and part in seen.page.inner_text("#status")
    assert seen.page.is_disabled("#choose")
    seen.drop(("x.png", b"x"))
    assert seen.page.locator(".item").count() == 0


@pytest.mark.browser
def test_a_changed_script_does_not_run(one_file, visit, tmp_path):
    text = one_file.read_text()
    (tmp_path / "altered.html").write_text(text.replace("const TOP = 5;", "const TOP = 6;"))
    seen = visit(tmp_path / "altered.html")
    seen.until("getComputedStyle(document.querySelector('.late')).visibility === 'visible'")
    assert "does not run" in seen.page.inner_text("#status")


def logits_of(seen, content):
    """What the model inside the page gives for a picture's bytes."""
    import base64

    return np.array(seen.page.evaluate(
        """async (text) => {
          const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
          const { logits } = await globalThis.reslearn.answer(new Blob([bytes]));
          return logits;
        }""",
        base64.b64encode(content).decode(),
    ))  # fmt: skip


@pytest.mark.browser
def test_it_gives_the_packages_own_logits(one_file, visit, picture, painted):
    seen = visit(one_file)
    seen.ready()
    for size, kind in (((32, 32), "PNG"), ((60, 48), "PNG"), ((90, 200), "JPEG")):
        content = picture((200, 80, 60), size, kind)
        ours = reslearn.Predictor(painted, engine="torch").scorer.whole([decoded(content)])[0]
        assert np.abs(logits_of(seen, content) - ours).max() < 1e-3


def decoded(content):
    from reslearn.data.formats.decode import decode_bytes

    return decode_bytes(content, "a picture")


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cifar", "photographs"])
def test_fifty_pictures_each(kind, shared_data, visit, tmp_path, capsys):
    """Top-1 equal wherever the margin exceeds the gap, which is printed."""
    import torch

    if kind == "cifar":
        reslearn.convert(
            shared_data("weights/resnet20-12fca82f.th"), "resnet20_cifar", out=tmp_path / "model.safetensors"
        )
        with tarfile.open(shared_data("cifar10-lossless-mini.tar.gz")) as archive:
            archive.extractall(tmp_path / "cifar", filter="data")
        data = reslearn.open_data(next((tmp_path / "cifar").glob("**/test_batch")).parent)
        places = list(data.splits["test"])[:50]
        contents = [encoded(data.read(int(i))[0]) for i in places]
    else:
        torch.manual_seed(0)
        net = reslearn.create_model("resnet18")
        with torch.no_grad():
            net.train()(torch.randn(8, 3, 64, 64))
        from reslearn.spec.preprocess import default_preprocess

        reslearn.save(tmp_path / "model.safetensors", net.eval(), preprocess=default_preprocess(224))
        with tarfile.open(shared_data("photos-100.tar")) as archive:
            members = [one for one in archive.getmembers() if one.isfile()][:50]
            contents = [archive.extractfile(one).read() for one in members]
    reslearn.export(tmp_path / "model.safetensors", tmp_path / "model.html", to="html")
    seen = visit(tmp_path / "model.html")
    seen.ready()
    scorer = reslearn.Predictor(tmp_path / "model.safetensors", engine="torch").scorer
    ours = np.stack([scorer.whole([decoded(content)])[0] for content in contents])
    theirs = np.stack([logits_of(seen, content) for content in contents])
    gap = float(np.abs(ours - theirs).max())
    ordered = np.sort(ours, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > 2 * gap
    with capsys.disabled():
        print(f"\n{kind}: gap {gap:.2g}, {int(clear.sum())} of {len(ours)} clear")
    assert (ours.argmax(1) == theirs.argmax(1))[clear].all() and clear.sum() >= 45


def encoded(pixels):
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
