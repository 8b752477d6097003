"""A repository of each kind (timm's, transformers', ours) through the real `huggingface_hub`, whatever goes wrong.

Its model answers as the same files by hand do; afterwards without a network, too. `runtime/test_hub.py` has what does
not depend on the kind.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import socket
from dataclasses import dataclass

import pytest
import torch
from safetensors.torch import save as serialise

from reslearn.bundle.file import load
from reslearn.jobs.push import push_model
from reslearn.nets.build import create_model
from reslearn.nets.weights import export_state
from reslearn.spec.errors import UserError

THEIRS = {
    "model_type": "resnet", "architectures": ["ResNetForImageClassification"], "depths": [1, 1, 1, 1],
    "hidden_sizes": [16, 32, 64, 128], "embedding_size": 8, "layer_type": "bottleneck", "hidden_act": "relu",
    "id2label": {"0": "a", "1": "b", "2": "c"},
}  # fmt: skip
PREPARED = {"do_resize": True, "size": {"shortest_edge": 32}, "crop_pct": 0.875, "resample": 3,
            "image_mean": [0.5] * 3, "image_std": [0.25] * 3}  # fmt: skip
KINDS = ("timm", "transformers", "transformers, a pickle", "ours")
SMALL = ("transformers", "ours")  # `runtime/test_hub.py` does the same to files of timm's kind
FAULTS = ("breaks off", "wrong byte", "too short", "too long", "404", "401", "429", "500", "circle")
ADDRESS = "hf://me/net"
X = torch.linspace(-2, 2, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)


@dataclass(frozen=True)
class Held:
    """A repository that the server has, and what its model makes of `X`."""

    server: object
    files: dict[str, bytes]
    logits: torch.Tensor
    weights: str  # the name of the file that holds them
    beside: str  # of one that is fetched after them

    def spoil(self, name: str, fault: str, once: bool = False) -> None:
        """Let this go wrong wherever the bytes of the file come from: after the first, all are of that one's commit."""
        doors = [f"/me/net/resolve/{revision}/{name}" for revision in ("main", self.server.commit)]
        if name.endswith((".safetensors", ".bin")):
            doors = [f"/cdn/me/net/{name}"]
        self.server.faults.update({door: [fault] for door in doors if once})
        self.server.always.update({door: fault for door in doors if not once})

    def answers(self) -> bool:
        """Whether the model at the address is the one of the files by hand."""
        return torch.equal(logits_of(ADDRESS), self.logits)


def logits_of(model):
    with torch.no_grad():
        return load(model).net.eval()(X)


@pytest.fixture(scope="session")
def repositories(strangers, timm_config, _short_run, tmp_path_factory):
    """kind -> the files of a repository of that kind."""
    torch.manual_seed(0)
    net = create_model("resnet18", num_classes=3, stage_blocks=(1, 1, 1, 1))
    timm = {name: tensor.contiguous() for name, tensor in export_state(net, "timm").items()}
    hub = strangers.HubResNet(8, (16, 32, 64, 128), (1, 1, 1, 1), 3, bottleneck=True).state_dict()
    memory = io.BytesIO()
    torch.save(hub, memory)
    card = {"README.md": b"---\nlicense: mit\n---\n# A net\n"}
    theirs = card | {"config.json": json.dumps(THEIRS).encode()}
    theirs |= {"preprocessor_config.json": json.dumps(PREPARED).encode()}
    ours = tmp_path_factory.mktemp("pushed") / "r"
    push_model(_short_run, folder=ours)
    return {
        "timm": card | {"config.json": json.dumps(timm_config).encode(), "model.safetensors": serialise(timm)},
        "transformers": theirs | {"model.safetensors": serialise(hub)},
        "transformers, a pickle": theirs | {"pytorch_model.bin": memory.getvalue()},
        "ours": {path.name: path.read_bytes() for path in ours.iterdir()},
    }


@pytest.fixture(params=KINDS)
def held(hub, repositories, request, tmp_path):
    files = repositories[request.param]
    hub.repositories["me/net"] = dict(files)
    by_hand = tmp_path / "by-hand"
    by_hand.mkdir()
    for name, content in files.items():
        (by_hand / name).write_bytes(content)
    weights = "model.safetensors" if "model.safetensors" in files else "pytorch_model.bin"
    beside = next(name for name in ("seen.safetensors", "preprocessor_config.json", "README.md") if name in files)
    return Held(hub, files, logits_of(by_hand), weights, beside)


def whole(tmp_path):
    """What the hub's cache shows, by name: every file of it must be whole."""
    return {path.name: path.read_bytes() for path in (tmp_path / "hub").glob("models--*/snapshots/*/*")}


def one_line(error):
    text = str(error.value)
    return "\n" not in text and text.startswith(f"{ADDRESS}: ") and len(text) < 300


def test_its_model_is_that_of_the_files_and_works_offline(held, tmp_path, monkeypatch):
    assert held.answers() and whole(tmp_path) == held.files
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asked = len(held.server.asked)
    assert held.answers() and len(held.server.asked) == asked


@pytest.mark.parametrize("held", SMALL, indirect=True)
@pytest.mark.parametrize("fault", ["breaks off", "wrong byte", "too short", "too long"])
def test_what_goes_wrong_once_is_mended(held, tmp_path, monkeypatch, fault):
    held.spoil(held.weights, fault, once=True)
    try:
        answered = held.answers()
    except UserError:
        assert fault in ("too short", "too long") and held.weights not in whole(tmp_path)
        answered = held.answers()
    assert answered and whole(tmp_path) == held.files
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert held.answers()


@pytest.mark.parametrize("held", SMALL, indirect=True)
@pytest.mark.parametrize(
    ("which", "fault"),
    [("weights", fault) for fault in FAULTS]
    + [("beside", fault) for fault in ("wrong byte", "too short", "429", "500", "circle")]
    + [("config.json", fault) for fault in ("wrong byte", "too short", "401", "500")],
)
def test_what_goes_wrong_for_good_is_one_line_and_no_half_file(held, tmp_path, fault, which):
    name = getattr(held, which, which)
    held.spoil(name, fault)
    with pytest.raises(UserError) as error:
        load(ADDRESS)
    assert one_line(error)
    there = whole(tmp_path)
    assert name not in there and there == {known: held.files[known] for known in there}
    held.server.always.clear()
    assert held.answers() and whole(tmp_path) == held.files


@pytest.mark.parametrize("held", SMALL, indirect=True)
@pytest.mark.parametrize("fault", ["404", "401", "429", "500", "circle"])
def test_a_hub_that_says_no_is_one_line(held, tmp_path, fault):
    held.server.always["*"] = fault
    with pytest.raises(UserError) as error:
        load(ADDRESS)
    assert one_line(error) and whole(tmp_path) == {}


def test_a_cache_that_another_program_filled_serves_without_a_network(held, tmp_path, monkeypatch):
    """It holds what that program wanted, and nothing says what else the repository has."""
    from huggingface_hub import hf_hub_download

    names = {"config.json", "preprocessor_config.json", held.weights} & held.files.keys()
    for name in names:
        hf_hub_download("me/net", name, cache_dir=tmp_path / "hub", endpoint=held.server.url)
    wanted = {name: held.files[name] for name in names}
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{nobody.getsockname()[1]}")
    assert held.answers() and whole(tmp_path) == wanted
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert held.answers() and whole(tmp_path) == wanted


def _answer(held):
    torch.set_num_threads(1)
    os._exit(0 if held.answers() else 1)


def test_two_processes_at_once_do_not_spoil_each_other(held, tmp_path):
    held.server.slow = 0.1
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_answer, args=(held,)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert [one.exitcode for one in both] == [0, 0] and whole(tmp_path) == held.files
