"""How other packages name the tensors of the same networks.

A layout is a translation of our layer names. `why_not` says which networks a layout cannot hold. All of `READ` are
read, those of `LAYOUTS` are written, too.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import get_args

from ..spec.choices import Layout
from ..spec.net import NetSpec, Spec
from ..spec.vgg import VggSpec

LAYOUTS: tuple[Layout, ...] = get_args(Layout)
# transformers: its ResNet. notes: the study notes' backbone, each convolution in an nn.Sequential of one, no head.
# sequential: nn.Sequential(*net.children()), of torchvision's nets or, behind a CIFAR stem, of the other two's.
READ = (*LAYOUTS, "transformers", "sequential", "notes")
_BLOCK = re.compile(r"stages\.(\d+)\.(\d+)\.(.+)")


def why_not(spec: Spec, layout: str, *, reading: bool = False) -> str | None:
    """Why `layout` cannot hold this network, as half a sentence; None where it can.

    When `reading`, torchvision's and timm's names are taken behind a CIFAR stem as well: people put one there.
    """
    if layout == "reslearn":
        return None
    if reading and layout in ("torchvision", "timm") and isinstance(spec, NetSpec) and spec.resolved_stem.stride == 1:
        spec = replace(spec, stem="imagenet")
    if isinstance(spec, VggSpec):
        home = {"imagenet": "torchvision", "cifar": "kuangliu"}[spec.head]
        if layout != home:
            return f"a VGG with the {spec.head} head is exchanged in the {home} layout"
        return None if spec.batch_norm or layout == "torchvision" else "kuangliu's VGG has batch normalisation"
    return _why_not_residual(spec, layout)


def _why_not_residual(spec: NetSpec, layout: str) -> str | None:
    stem = spec.resolved_stem
    cifar = layout in ("akamaster", "kuangliu") or (layout == "sequential" and stem.stride == 1)
    if stem.convs[0].pool > 1 or spec.downsample == "pool" or spec.first_stride != 1:
        return "its blocks halve the map by strides, from the second stage on"
    if cifar != (stem.stride == 1):
        return f"its networks have {'the 3x3 CIFAR stem' if cifar else 'an ImageNet stem'}"
    if layout == "akamaster" and spec.block != "basic":
        return "it has basic blocks alone"
    if layout == "kuangliu" and spec.groups > 1:
        return "its ResNeXt has a 1x1 stem and puts out twice the width of its grouped convolution"
    if spec.activation == "pre":
        return _why_not_preactivation(spec, layout)
    if spec.se_reduction and layout != "timm":
        return "it has no squeeze-and-excitation gate after the last BN"
    if len(stem.convs) > 1 and layout != "timm":
        return "its stem is one 7x7 convolution"
    if spec.groups > 1 and layout == "transformers":
        return "it has no grouped convolutions"
    options = "AB" if layout == "akamaster" or (layout == "sequential" and cifar) else "B"
    if spec.shortcut not in options:
        return f"its shortcuts are option {' or '.join(options)}, not {spec.shortcut}"
    if spec.shortcut == "B" and not spec.projection_norm:
        return "BN follows its projections"
    if spec.shortcut == "A" and spec.pad_channels == "end":
        return "it pads with zero channels on both sides, not at the end"
    return None


def _why_not_preactivation(spec: NetSpec, layout: str) -> str | None:
    if layout == "kuangliu":
        return "its pre-activation net omits the BN-ReLU before the pool"
    if layout != "timm":
        return "it has no pre-activation nets"
    if spec.first_norm == "before_pool":
        return "its resnetv2 nets have their first BN after the max-pool: set first_norm=after_pool"
    if len(spec.resolved_stem.convs) > 1 or spec.se_reduction or spec.projection_norm or spec.shortcut != "B":
        return "its resnetv2 nets have a 7x7 stem, no gate, and shortcut B without BN"
    return None


def layer_name(ours: str, spec: Spec, layout: str) -> str:
    """The name that `layout` gives to our layer `ours`, e.g. `stages.1.0.norm2` -> `layer2.0.bn2`."""
    if layout == "reslearn":
        return ours
    if isinstance(spec, VggSpec):
        return _vgg_layers(spec).get(ours, ours)
    if layout == "timm" and spec.activation == "pre":
        return _BLOCK.sub(r"stages.\1.blocks.\2.\3", ours).replace("shortcut.", "downsample.")
    if layout == "transformers":
        return _transformers_name(ours)
    if layout in ("sequential", "notes"):
        return _moved_name(
            layer_name(ours, spec, "kuangliu" if spec.resolved_stem.stride == 1 else "torchvision"), spec, layout
        )
    cifar = layout in ("akamaster", "kuangliu")
    if block := _BLOCK.fullmatch(ours):
        stage, index, inner = block.groups()
        shortcut = "shortcut" if cifar else "downsample"
        inner = inner.replace("shortcut.conv", f"{shortcut}.0").replace("shortcut.norm", f"{shortcut}.1")
        return f"layer{int(stage) + 1}.{index}.{inner.replace('gate.', 'se.').replace('norm', 'bn')}"
    outside = {"stem.conv": "conv1", "stem.norm": "bn1", "head.fc": "linear" if cifar else "fc"}
    return (outside | _DEEP if len(spec.resolved_stem.convs) > 1 else outside).get(ours, ours)


def _transformers_name(ours: str) -> str:
    """transformers' ResNetModel; around it, `resnet.` stands before all but the head."""
    if block := _BLOCK.fullmatch(ours):
        stage, index, inner = block.groups()
        kind = "convolution" if "conv" in inner else "normalization"
        part = "shortcut" if inner.startswith("shortcut") else f"layer.{int(inner[-1]) - 1}"
        return f"encoder.stages.{stage}.layers.{index}.{part}.{kind}"
    outside = {"stem.conv": "convolution", "stem.norm": "normalization"}
    return f"embedder.embedder.{outside[ours]}" if ours in outside else ours.replace("head.fc", "classifier.1")


def _moved_name(theirs: str, spec: NetSpec, layout: str) -> str:
    """From the name in the net that a layout was made of: `layer2.0.conv1` -> `5.0.conv1` or `layers.1.0.conv1.0`."""
    layer, _, inner = theirs.partition(".")
    stage = int(layer.removeprefix("layer")) if layer.startswith("layer") else None
    if layout == "notes":
        if stage is None:
            return {"conv1": "conv", "bn1": "bn"}.get(theirs, theirs)
        return f"layers.{stage - 1}.{inner}" + (".0" if ".conv" in inner else "")
    early = 0 if spec.resolved_stem.stride == 1 else 2  # torchvision's ReLU and max-pool are children, too
    first = 2 + early
    if stage is not None:
        return f"{first + stage - 1}.{inner}"
    after = first + len(spec.stage_blocks) + (early > 0)  # and its average pool
    return {"conv1": "0", "bn1": "1"}.get(theirs, str(after))


def spellings(ours: str, spec: Spec, layout: str) -> tuple[str, ...]:
    """`layer_name` and whatever else `layout` has been seen to call our layer `ours`."""
    name = layer_name(ours, spec, layout)
    if layout == "notes" and ours in ("stem.conv", "stem.norm"):
        return name, f"{name}1"
    if layout == "notes" and ours.endswith("shortcut.conv"):
        return name, f"{name}.0"
    return (name,)


_DEEP = {  # timm's three 3x3 stand in one nn.Sequential, with the BN and ReLU between them
    "stem.lead.conv1": "conv1.0",
    "stem.lead.norm1": "conv1.1",
    "stem.lead.conv2": "conv1.3",
    "stem.lead.norm2": "conv1.4",
    "stem.conv": "conv1.6",
}


def _vgg_layers(spec: VggSpec) -> dict[str, str]:
    """Our names to positions in `features`, one nn.Sequential of convolutions, BN, ReLU and pools."""
    names: dict[str, str] = {}
    position = 0
    for s, stage in enumerate(spec.convs()):
        for i in range(len(stage)):
            names |= {
                f"stages.{s}.{i}.conv": f"features.{position}",
                f"stages.{s}.{i}.norm": f"features.{position + 1}",
            }
            position += 3 if spec.batch_norm else 2
        position += 1
    if spec.head == "cifar":
        return names | {"head.fc": "classifier"}
    return names | {"head.fc1": "classifier.0", "head.fc2": "classifier.3", "head.fc": "classifier.6"}


def is_1x1_conv(layer: str, spec: Spec, layout: str) -> bool:
    """Whether `layout` stores our FC layer `layer` as a 1x1 convolution, (out, in, 1, 1)."""
    pre = isinstance(spec, NetSpec) and spec.activation == "pre"
    return layout == "timm" and (".gate." in layer or (pre and layer == "head.fc"))
