"""Which network each layout cannot hold, and why: one fact changed at a time from one that it can."""

from __future__ import annotations

import pytest

from reslearn.nets.layouts import READ, why_not
from reslearn.spec.catalogue import get_spec

BOTTLENECK = {"block": "bottleneck", "group_width": 4}
HOLDS = {
    ("torchvision", "resnet18"), ("torchvision", "resnet50"), ("timm", "resnet18"), ("timm", "se_resnet18"),
    ("transformers", "resnet50"), ("notes", "resnet18"), ("sequential", "resnet18"), ("akamaster", "resnet20_cifar"),
    ("kuangliu", "resnet18_w64_cifar"), ("sequential", "resnet20_cifar"), ("torchvision", "vgg11"),
    ("torchvision", "vgg11_bn"), ("kuangliu", "vgg16_cifar"), ("reslearn", "plain20_cifar"),
}  # fmt: skip
CANNOT = [
    ("torchvision", "resnet18", {"stem": "deep"}, "its stem is one 7x7"),
    ("timm", "resnet18", {"stem": "deep"}, None),
    ("torchvision", "resnet18", {"groups": 2, **BOTTLENECK}, None),
    ("transformers", "resnet18", {"groups": 2, **BOTTLENECK}, "it has no grouped convolutions"),
    ("transformers", "resnet18", BOTTLENECK, None),
    ("kuangliu", "resnet18_w64_cifar", BOTTLENECK, None),
    ("kuangliu", "resnet18_w64_cifar", {"groups": 2, **BOTTLENECK}, "its ResNeXt has a 1x1 stem"),
    ("akamaster", "resnet20_cifar", BOTTLENECK, "it has basic blocks alone"),
    ("torchvision", "resnet18", {"se_reduction": 2}, "no squeeze-and-excitation"),
    ("timm", "resnet18", {"se_reduction": 2}, None),
    ("torchvision", "resnet18", {"stem": "cifar"}, "an ImageNet stem"),
    ("kuangliu", "resnet18_w64_cifar", {"stem": "imagenet"}, "the 3x3 CIFAR stem"),
    ("akamaster", "resnet20_cifar", {"stem": "cifar-pool"}, "halve the map by strides"),
    ("akamaster", "resnet20_cifar", {"first_stride": 2}, "halve the map by strides"),
    ("akamaster", "resnet20_cifar", {"downsample": "pool"}, "halve the map by strides"),
    ("akamaster", "resnet20_cifar", {"shortcut": "B"}, None),
    ("akamaster", "resnet20_cifar", {"shortcut": "C"}, "option A or B, not C"),
    ("akamaster", "resnet20_cifar", {"pad_channels": "end"}, "zero channels on both sides"),
    ("akamaster", "resnet20_cifar", {"shortcut": "B", "projection_norm": False}, "BN follows its projections"),
    ("kuangliu", "resnet18_w64_cifar", {"shortcut": "A"}, "option B, not A"),
    ("sequential", "resnet20_cifar", {"shortcut": "B"}, None),
    ("sequential", "resnet18", {"shortcut": "A"}, "option B, not A"),
    ("kuangliu", "resnet18_w64_cifar", {"activation": "pre"}, "omits the BN-ReLU before the pool"),
    ("torchvision", "resnet18", {"activation": "pre"}, "no pre-activation nets"),
    ("timm", "preact_resnet50", {}, "set first_norm=after_pool"),
    ("timm", "preact_resnet50", {"first_norm": "after_pool"}, None),
    ("timm", "preact_resnet50", {"first_norm": "after_pool", "se_reduction": 4}, "a 7x7 stem, no gate"),
    ("timm", "preact_resnet50", {"first_norm": "after_pool", "stem": "deep"}, "a 7x7 stem, no gate"),
    ("timm", "preact_resnet50", {"first_norm": "after_pool", "shortcut": "C"}, "shortcut B without BN"),
    ("timm", "preact_resnet50", {"first_norm": "after_pool", "projection_norm": True}, "shortcut B without BN"),
    ("timm", "vgg11", {}, "exchanged in the torchvision layout"),
    ("torchvision", "vgg16_cifar", {}, "exchanged in the kuangliu layout"),
    ("kuangliu", "vgg16_cifar", {"batch_norm": False}, "kuangliu's VGG has batch normalisation"),
]


@pytest.mark.parametrize(("layout", "name"), sorted(HOLDS))
def test_what_a_layout_was_made_for_it_holds(layout, name):
    assert why_not(get_spec(name), layout) is None


@pytest.mark.parametrize(("layout", "name", "changes", "words"), CANNOT)
def test_what_it_cannot_hold_is_said(layout, name, changes, words):
    reason = why_not(get_spec(name, **changes), layout)
    assert (reason is None) == (words is None), reason
    assert words is None or words in reason


@pytest.mark.parametrize("layout", READ)
def test_a_cifar_stem_is_read_where_people_put_one(layout):
    spec = get_spec("resnet18", stem="cifar")
    assert (why_not(spec, layout) is None) == (layout in ("reslearn", "sequential", "kuangliu", "akamaster"))
    assert (why_not(spec, layout, reading=True) is None) == (
        layout in ("reslearn", "torchvision", "timm", "sequential", "kuangliu", "akamaster")
    )
