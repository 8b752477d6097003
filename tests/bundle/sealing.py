"""Small networks, their headers, and what somebody who knows the format can make of a sealed file."""

from __future__ import annotations

import json

import pytest
import safetensors.torch
import torch

from reslearn.bundle.file import load
from reslearn.bundle.header import Bundle, Member
from reslearn.nets.build import create_model
from reslearn.runtime.container import KEY, NO_DIGEST, read_container, stamp
from reslearn.spec.errors import UserError
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import default_preprocess

TINY = NetSpec(
    name="tiny", stem="cifar", stem_channels=4, block="basic", stage_blocks=(1, 1), stage_channels=(4, 8), num_classes=3
)
CLASSES = ("cat", "dog", "eel")


def tiny(seed=0, spec=TINY):
    torch.manual_seed(seed)
    net = create_model(spec)
    for module in net.modules():  # running statistics that are not their initial values
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return net.eval()


def bundle_of(*specs, prefixes=None, **fields):
    prefixes = prefixes or ([""] if len(specs) == 1 else [f"{i}." for i in range(len(specs))])
    members = tuple(Member(spec, prefix) for spec, prefix in zip(specs, prefixes, strict=True))
    return Bundle(members, default_preprocess(8), **{"classes": CLASSES, **fields})


def with_spec(header, **fields):
    member = header["members"][0]
    return {**header, "members": [{**member, "spec": {**member["spec"], **fields}}]}


def forge(path, change=lambda header: header, tensors=None, text=lambda text: text):
    """Another header or other tensors under a checksum that is right: what somebody who knows the format can make."""
    container = read_container(path)
    header = {name: value for name, value in change(container.header).items() if name != "sha256"}
    whole = f'{{"sha256":"{NO_DIGEST}",{text(json.dumps(header))[1:]}'
    tensors = tensors or safetensors.torch.load(container.content)
    path.write_bytes(stamp(safetensors.torch.save(tensors, metadata={KEY: whole}))[0])


def one_line_from(path, read=load):
    """The message of the UserError that opening `path` raises, after checking that it is one line naming the path."""
    with pytest.raises(UserError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message
