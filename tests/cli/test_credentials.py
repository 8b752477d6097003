"""Credentials in an address, whatever it is of: one line without them, nothing asked of a server, nothing written."""

from __future__ import annotations

import json
import sys

import cv2
import numpy as np
import pytest

from reslearn.cli.app import main
from reslearn.data.sources import open_data
from reslearn.runtime.environment import command_line
from reslearn.spec.credentials import check_address, masked, without_secrets
from reslearn.spec.errors import UserError

SHA = "0" * 64
TINY = ["--model", "resnet20_cifar", "--recipe", "demo", "--epochs", "1"]
ADDRESSES = {
    f"https://h/w.pth?v=1&X-Amz-Signature=SECRET#sha256={SHA}": "a signed address (X-Amz-Signature)",
    f"https://h/w.pth?rlkey=SECRET&dl=1#sha256={SHA}": "a signed address (rlkey)",
    f"https://me:SECRET@127.0.0.1/w.pth#sha256={SHA}": "with a name or password in it",
    "HTTPS://me:SECRET@127.0.0.1/w.pth": "with a name or password in it",
    "s3://ID:SECRET/SECRET@bucket/w.pth": "with a name or password in it",  # S3's secrets hold slashes
    "hf://SECRET@owner/repository": "with a name or password in it",
}


@pytest.fixture
def pictures(tmp_path):
    """A folder of pictures, and a network that was trained on nothing."""
    draws = np.random.default_rng(0)
    for label in "ab":
        (tmp_path / "set" / label).mkdir(parents=True)
        for i in range(4):
            cv2.imwrite(str(tmp_path / "set" / label / f"{i}.png"), draws.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    return tmp_path / "set"


def refused(command, why, capfd):
    """That a command names no secret and ends with one of the lines `why`."""
    assert main([*map(str, command)]) == 2, command
    out, err = capfd.readouterr()
    assert "SECRET" not in out + err, (command, out, err)
    assert any(words in err.strip().splitlines()[-1] for words in why), (command, err)


def test_weights_at_an_address_with_credentials_are_refused_by_every_command(
    loopback, pictures, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    at = f"{loopback.url}/w.pth?token=SECRET#sha256={SHA}"
    for command in (
        ["train", pictures, *TINY, "--weights", at], ["train", pictures, *TINY, "--weights", at, "--dry-run"],
        ["train", pictures, "--weights", at], ["plan", pictures, *TINY, "--weights", at],
        ["sweep", pictures, *TINY, "--set", "lr=0.1,0.2", "--weights", at],
        ["crossval", pictures, *TINY, "--folds", "2", "--weights", at], ["evaluate", at, pictures],
        ["predict", at, pictures], ["explain", at, pictures], ["show", at], ["calibrate", at, pictures],
        ["ensemble", at, at, "--data", pictures, "-o", "e.safetensors"], ["compare", at, at, "--data", pictures],
        ["export", at, "--to", "torch", "-o", "m.pt2"], ["card", at], ["serve", at], ["push", at, "hf://o/r"],
        ["convert", at, "--model", "resnet18", "-o", "m.safetensors"],
        ["features", at, pictures, "-o", "f.parquet"],
    ):  # fmt: skip
        refused(command, ("a signed address (token)", "fetched weights are not changed"), capfd)
    for address, why in ADDRESSES.items():
        refused(["train", pictures, *TINY, "--weights", address], [why], capfd)
    assert loopback.asked == []
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) == 8 and not [path for path in kept if b"SECRET" in path.read_bytes()]


def test_addresses_that_a_table_is_not_allowed_to_name_are_said_without_credentials(tmp_path):
    address = "https://me:SECRET@h/a.jpg?token=SECRET"
    (tmp_path / "t.csv").write_text(f"path,label\n{address},x\n{address},y\n")
    with pytest.raises(UserError, match=r"https://h/a\.jpg is an address; add --allow-urls") as error:
        open_data(str(tmp_path / "t.csv"))
    assert "SECRET" not in str(error.value)


def test_addresses_in_place_of_pictures_are_reported_without_credentials(tmp_path, capfd):
    pa = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install pyarrow")
    from pyarrow import parquet

    image = [{"bytes": None, "path": f"https://me:SECRET@h/{i}.jpg?token=SECRET"} for i in range(4)]
    parquet.write_table(pa.table({"image": image, "label": [0, 1, 0, 1]}), tmp_path / "train.parquet")
    main(["data", "check", str(tmp_path / "train.parquet"), "-o", str(tmp_path / "m.json"), "--json"])
    out, err = capfd.readouterr()
    assert "https://h/0.jpg" in out + err and "SECRET" not in out + err
    assert not [path for path in tmp_path.glob("*.json") if "SECRET" in path.read_text()]


def test_the_command_that_a_record_keeps_has_none(monkeypatch):
    words = [
        "train",
        "https://me:SECRET@h/t.csv?v=2#cache=1GB",
        "--weights",
        "https://h/w?v=2&api_key=SECRET#sha256=00",
    ]
    monkeypatch.setattr(sys, "argv", ["/bin/reslearn", *words])
    shown = "reslearn train 'https://...@h/t.csv?v=2#cache=1GB' --weights 'https://h/w?v=2&api_key=...#sha256=00'"
    assert command_line() == shown


@pytest.mark.parametrize(
    "address",
    ["https://h:8080/me@home/w.pth", "https://h/x?monkey=1&width=9", "hf://owner/repo@main", "s3://b/a@b?versionId=3",
     "/data/a@b?token=x.pth", "memory://x:1/y"],
)  # fmt: skip
def test_what_is_no_credential_passes(address):
    check_address(address, "")
    assert masked(address) == address and json.loads(json.dumps(without_secrets(address))).startswith(address[:9])
