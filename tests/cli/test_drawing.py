"""`draw` on the command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from PIL import Image

from reslearn.cli.app import main


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def call(capsys, *arguments):
    status = main(["draw", *arguments])
    return status, *capsys.readouterr()


def test_a_drawing_is_named_after_its_networks(capsys, tmp_path):
    assert call(capsys, "resnet20_cifar", "plain20_cifar", "resnet20_cifar+shortcut=B")[0] == 0
    assert (tmp_path / "resnet20_cifar-plain20_cifar-resnet20_cifar-shortcut-B.svg").read_text().startswith("<svg ")
    assert call(capsys, "resnet20_cifar")[0] == call(capsys, "resnet20_cifar")[0] == 0  # a drawing of ours is replaced


def test_two_drawings_have_two_names(capsys, tmp_path):
    net, long = "resnet20_cifar", [f"resnet20_cifar+dropout=0.{n}" for n in range(1, 9)]
    for arguments in ([net], [net, "--block"], [net, "--lang", "ko"], [net, "--block", "--lang", "ko"],
                      [f"{net}+variant=exclusive_gate:-6", "--block"], [f"{net}+variant=exclusive_gate:6", "--block"],
                      long, long[::-1]):  # fmt: skip
        assert call(capsys, *arguments)[0] == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 8 and all(re.fullmatch(r"[\w.-]{,150}\.svg", name, re.ASCII) for name in names)
    assert {"resnet20_cifar.svg", "resnet20_cifar-block.svg", "resnet20_cifar-ko.svg", "resnet20_cifar-block-ko.svg",
            "resnet20_cifar-variant-exclusive_gate--6-block.svg"} <= set(names)  # fmt: skip


def test_it_tells_programs_what_it_drew(capsys):
    status, out, _ = call(capsys, "resnet20_cifar", "--block", "--lang", "ko", "-o", "b.png", "--json")
    found = json.loads(out)
    assert status == 0 and found["path"] == "b.png" and "stages.0.0.conv1" in [box["layer"] for box in found["boxes"]]
    assert Image.open("b.png").format == "PNG"
    assert call(capsys, "resnet20_cifar", "-o", "b.png")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet35"], "resnet34"),
        (["resnet34", "-o", "a.pdf"], ".svg or .png"),
        (["resnet34", "--lang", "fr"], "en"),
        (["vgg19", "--block"], "no residual blocks"),
        (["resnet34", "-o", "none/a.svg"], "no such folder"),
        (["resnet34", "-o", "mine.svg"], "is not replaced"),
        ([], "Missing argument"),
        ([""], "an argument is empty"),
        (["resnet34+shortcut=Z"], "resnet34+shortcut=Z: shortcut: Input should be 'A', 'B'"),
        (["resnet34+depth=7"], "resnet34+depth=7: unknown field 'depth'"),
        (["resnet34+"], "'resnet34+': after its name stands field=value, e.g. resnet34+shortcut=B"),
        (["resnet34+=3"], "after its name stands field=value"),
        (["resnet20_cifar+variant=se_pre", "--block"], "this net has none: set se_reduction"),
        (["plain20_cifar+variant=shortcut_gate:-6"], "changes the shortcut, and this net has none"),
        (["resnet34+variant=se_stage:9"], "set se_reduction"),
        (["se_resnet34+variant=se_stage:9"], "its stages are 2 to 5"),
        (["preact_resnet18+variant=bn_after_addition"], "post-activation nets"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(capsys, tmp_path, arguments, message):
    (tmp_path / "mine.svg").write_text("<svg>mine</svg>")
    status, out, err = call(capsys, *arguments)
    assert (status, out) == (2, "") and message in err.splitlines()[-1] and "Traceback" not in err
    assert (tmp_path / "mine.svg").read_text() == "<svg>mine</svg>" and "--set" not in err


def test_drawing_imports_no_torch(tmp_path):
    code = "import sys; from reslearn.cli.app import main; main(['draw', 'resnet34']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
