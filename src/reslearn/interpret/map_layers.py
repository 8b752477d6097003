"""Which layers of a network have a map that a class can be read off, by the spec alone."""

from __future__ import annotations

from ..nets.net import Net
from ..spec.errors import UserError, unknown
from ..spec.net import NetSpec, Spec
from ..spec.vgg import VggSpec

LEAST = 4  # places a side of a map that is to say where something is


def map_layers(spec: Spec) -> list[str]:
    """Names of the layers that have a map, shallow to deep; all but `norm` are modules of the network.

    A residual net has `stem`, every block as `stages.S.I`, and with pre-activation `norm`, the BN-ReLU before its head;
    a VGG has every convolution, after its ReLU and before the max-pool, as `stages.S.I`.
    """
    if isinstance(spec, VggSpec):
        return [f"stages.{s}.{i}" for s, count in enumerate(spec.stage_convs) for i in range(count)]
    return ["stem", *(block.name for block in spec.blocks()), *(["norm"] if spec.activation == "pre" else [])]


def default_layer(spec: Spec, size: int) -> str:
    """The layer that a picture of `size` pixels is explained at unless another is named: the last one.

    That is what the head of a residual net reads. Of a VGG, whose maps shrink to one place on small pictures, it is the
    deepest convolution with at least 4 x 4 places.
    """
    if isinstance(spec, NetSpec):
        return map_layers(spec)[-1]
    stage = max((s for s in range(len(spec.stage_convs)) if size // 2**s >= LEAST), default=0)
    return f"stages.{stage}.{spec.stage_convs[stage] - 1}"


def found_layer(net: Net, layer: str | None, size: int) -> str:
    """`layer` as the network calls it (`stages.2` is its last block), or the default.

    Raises `UserError` naming those that there are.
    """
    names = map_layers(net.spec)
    if layer is None:
        return default_layer(net.spec, size)
    if layer in names:
        return layer
    inside = [name for name in names if name.startswith(f"{layer}.")]
    if not inside:
        raise unknown(f"layer of {net.spec.name}", layer, names)
    return inside[-1]


def is_read_by_head(net: Net, layer: str) -> bool:
    """Whether the head reads the map of `layer` as it is."""
    return isinstance(net.spec, NetSpec) and layer == map_layers(net.spec)[-1]


def only_for(method: str, layer: str | None) -> None:
    """Raise `UserError` for a layer where `method` has no choice of one."""
    if layer is not None and method != "gradcam":
        why = "cam reads the last map" if method == "cam" else f"{method} looks at the picture itself"
        raise UserError(f"--layer {layer}: {why}; --method gradcam explains at any layer")
