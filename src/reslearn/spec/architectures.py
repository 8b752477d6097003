"""Networks as other packages name them: timm's architectures and transformers' configurations, to specs and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .catalogue import get_spec
from .errors import UserError
from .net import NetSpec, Spec

_V2 = {"first_norm": "after_pool"}
_GATE = {"se_min_channels": 8}
_BIG = ("resnext50_32x4d", "resnext101_32x4d", "resnext101_32x8d", "resnext101_64x4d")
# timm's name -> the catalogue's, and the fields in which timm's network differs from that.
TIMM: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"resnet{d}": (f"resnet{d}", {}) for d in (18, 34, 50, 101, 152, 200)},
    "resnet26": ("resnet50", {"stage_blocks": (2, 2, 2, 2)}),
    **{f"resnet{d}c": (f"resnet{d}", {"stem": "deep"}) for d in (50, 101, 152)},
    **{name: (name, {}) for name in (*_BIG, "wide_resnet50_2", "wide_resnet101_2")},
    **{f"seresnet{d}": (f"se_resnet{d}", _GATE) for d in (18, 34, 50, 101, 152)},
    **{f"se{name}": (name, {"se_reduction": 16, **_GATE}) for name in _BIG},
    **{f"resnetv2_{d}": (f"preact_resnet{d}", _V2) for d in (18, 34, 50, 101, 152)},
}


def from_timm(architecture: str) -> NetSpec:
    """The spec of a network by timm's name. Raises `UserError` for one that is not of the family."""
    if architecture not in TIMM:
        raise UserError(f"{architecture} of timm is no network of the family here")
    name, changes = TIMM[architecture]
    spec = get_spec(name, **changes)
    if not isinstance(spec, NetSpec):
        raise TypeError(f"{name} is no NetSpec")
    return spec if same_network(spec, get_spec(name)) else replace(spec, name=architecture)


def to_timm(spec: Spec) -> tuple[str, dict[str, Any]] | None:
    """timm's name of a network and the arguments that make it from that; None where timm does not have it."""
    if not isinstance(spec, NetSpec) or len(spec.stage_blocks) != 4:
        return None
    own = {name: getattr(spec, name) for name in ("stage_blocks", "output_stride", "in_channels")}
    for architecture in sorted(TIMM, key=lambda name: from_timm(name).stage_blocks != spec.stage_blocks):
        plain = from_timm(architecture)
        if not same_network(replace(plain, **own), spec):
            continue
        arguments: dict[str, Any] = {}
        if plain.stage_blocks != spec.stage_blocks:
            arguments["layers"] = list(spec.stage_blocks)
        if spec.output_stride != 32:
            arguments["output_stride"] = spec.output_stride
        if spec.in_channels != 3:
            arguments["in_chans"] = spec.in_channels
        return architecture, arguments
    return None


def same_network(one: Spec, other: Spec) -> bool:
    """Whether both compute the same once they are trained, names and number of classes aside."""
    if not isinstance(one, NetSpec) or not isinstance(other, NetSpec):
        return replace(one, name="", num_classes=1) == replace(other, name="", num_classes=1)
    one, other = (replace(spec, dropout=0.0, drop_path=0.0) for spec in (one, other))
    same = one.variant == other.variant and one.resolved_stem == other.resolved_stem
    return same and one.blocks() == other.blocks()


def from_config(config: Mapping[str, Any]) -> NetSpec | None:
    """The network that a `config.json` of timm or transformers tells of; None where it tells of none.

    Raises `UserError`, half a sentence, for one that is not of the family, with another body or another head.
    """
    if isinstance(config.get("architecture"), str):
        return _from_timm_config(config)
    if isinstance(config.get("model_type"), str):
        return _from_transformers(config)
    return None


def _from_timm_config(config: Mapping[str, Any]) -> NetSpec:
    told = config.get("pretrained_cfg", config)
    spec, arguments = from_timm(config["architecture"]), dict(config.get("model_args") or {})
    fields: dict[str, Any] = {"num_classes": config.get("num_classes", told.get("num_classes", 1000))}
    names = {"layers": "stage_blocks", "output_stride": "output_stride", "in_chans": "in_channels"}
    for theirs, ours in names.items():
        if theirs in arguments:
            value = arguments.pop(theirs)
            fields[ours] = tuple(value) if isinstance(value, list) else value
    arguments.pop("num_classes", None)
    if arguments:
        raise UserError(f"{spec.name} of timm made with {', '.join(sorted(arguments))}, which is another network")
    if config.get("global_pool", "avg") not in ("avg", "fast"):
        raise UserError(f"{spec.name} of timm with the head {config['global_pool']}, not the mean of the last map")
    if not fields["num_classes"]:
        fields["num_classes"] = spec.num_classes  # it has no head: the file will say so
    return replace(spec, **fields)


def _from_transformers(config: Mapping[str, Any]) -> NetSpec | None:
    kind = config["model_type"]
    heads = [name for name in config.get("architectures") or [] if isinstance(name, str)]
    if kind != "resnet":
        raise UserError(f"{' or '.join(heads) or kind} of transformers is no network of the family here")
    if heads and not set(heads) & {"ResNetForImageClassification", "ResNetModel", "ResNetBackbone"}:
        raise UserError(f"{heads[0]} of transformers has another head than classes")
    if config.get("problem_type") not in (None, "single_label_classification"):
        raise UserError(f"a ResNet of transformers for {config['problem_type']}: its head does not answer with a class")
    if config.get("downsample_in_first_stage", False) or config.get("hidden_act", "relu") != "relu":
        raise UserError("a ResNet of transformers with a first stage that strides, or without ReLU")
    if "hidden_sizes" not in config or "depths" not in config:
        return None
    channels, bottleneck = tuple(config["hidden_sizes"]), config.get("layer_type", "bottleneck") == "bottleneck"
    labels = config.get("id2label")
    spec = NetSpec(
        name="resnet of transformers",
        stem="imagenet",
        stem_channels=config.get("embedding_size", 64),
        block="bottleneck" if bottleneck else "basic",
        stage_blocks=tuple(config["depths"]),
        stage_channels=channels,
        group_width=channels[0] // 4 if bottleneck else None,
        stride_on="1x1" if config.get("downsample_in_bottleneck", False) else "3x3",
        in_channels=config.get("num_channels", 3),
        num_classes=len(labels) if isinstance(labels, dict) and labels else config.get("num_labels", 1000),
    )
    if bottleneck and channels != tuple(channels[0] * 2**stage for stage in range(len(channels))):
        raise UserError(f"a ResNet of transformers with stages of {', '.join(map(str, channels))} channels")
    known = (get_spec(f"resnet{d}{v}") for d in (18, 34, 50, 101, 152) for v in (("", "_v1") if d > 34 else ("",)))
    return next((replace(spec, name=one.name) for one in known if same_network(one, spec)), spec)


def check_config(config: Any, where: str) -> NetSpec | None:
    """`from_config`, its errors as whole sentences about `where`; a configuration that cannot be read is one, too."""
    if not isinstance(config, Mapping):
        raise UserError(f"{where}: its config.json is no object")
    try:
        return from_config(config)
    except UserError as error:
        raise UserError(f"{where}: {error}; `reslearn list` names those that are") from None
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise UserError(f"{where}: its config.json cannot be understood ({type(error).__name__}: {error})") from None
