"""AlexNet and GoogLeNet as their papers' layer tables, costed like everything else; they are not networks here.

AlexNet: Krizhevsky et al., NIPS 2012, section 3.5 and its figure 2 (227-pixel input, two groups in conv2, 4, 5).
GoogLeNet: Szegedy et al., arXiv 1409.4842, table 1, without the auxiliary classifiers.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...spec.cost import Cost, LayerCost

ALEXNET_TOP5 = 18.2  # NIPS 2012, table 2: one net, validation, 10-crop

# name, map, in, 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection
INCEPTIONS = (
    ("3a", 28, 192, 64, 96, 128, 16, 32, 32),
    ("3b", 28, 256, 128, 128, 192, 32, 96, 64),
    ("4a", 14, 480, 192, 96, 208, 16, 48, 64),
    ("4b", 14, 512, 160, 112, 224, 24, 64, 64),
    ("4c", 14, 512, 128, 128, 256, 24, 64, 64),
    ("4d", 14, 512, 112, 144, 288, 32, 64, 64),
    ("4e", 14, 528, 256, 160, 320, 32, 128, 128),
    ("5a", 7, 832, 256, 160, 320, 32, 128, 128),
    ("5b", 7, 832, 384, 192, 384, 48, 128, 128),
)


def alexnet() -> Cost:
    """60,965,224 parameters; 8 layers with weights."""
    return Cost(
        (
            _conv("conv1", 3, 96, 11, 55, stride=4),
            _conv("conv2", 96, 256, 5, 27, groups=2),
            _conv("conv3", 256, 384, 3, 13),
            _conv("conv4", 384, 384, 3, 13, groups=2),
            _conv("conv5", 384, 256, 3, 13, groups=2),
            _fc("fc6", 256 * 6 * 6, 4096),
            _fc("fc7", 4096, 4096),
            _fc("fc8", 4096, 1000),
        )
    )


def googlenet() -> Cost:
    """6,998,552 parameters; 22 layers with weights on the longest path."""
    return Cost(tuple(_googlenet()))


def _googlenet() -> Iterator[LayerCost]:
    yield _conv("conv1", 3, 64, 7, 112, stride=2)
    yield _conv("conv2.reduce", 64, 64, 1, 56)
    yield _conv("conv2", 64, 192, 3, 56)
    for name, size, channels, one, reduce3, three, reduce5, five, pool in INCEPTIONS:
        yield _conv(f"{name}.1x1", channels, one, 1, size)
        yield _conv(f"{name}.3x3.reduce", channels, reduce3, 1, size)
        yield _conv(f"{name}.3x3", reduce3, three, 3, size)
        yield _conv(f"{name}.5x5.reduce", channels, reduce5, 1, size)
        yield _conv(f"{name}.5x5", reduce5, five, 5, size)
        yield _conv(f"{name}.pool", channels, pool, 1, size)
    yield _fc("fc", 1024, 1000)


def _conv(
    name: str, in_channels: int, out_channels: int, kernel: int, output_size: int, *, stride: int = 1, groups: int = 1
) -> LayerCost:
    weights = out_channels * (in_channels // groups) * kernel**2
    return LayerCost(
        name,
        "conv",
        in_channels,
        out_channels,
        kernel,
        stride,
        groups,
        output_size=output_size,
        parameters=weights + out_channels,
        macs=weights * output_size**2,
        activations=out_channels * output_size**2,
    )


def _fc(name: str, in_features: int, out_features: int) -> LayerCost:
    macs = in_features * out_features
    return LayerCost(name, "fc", in_features, out_features, 1, 1, 1, 1, macs + out_features, macs, out_features)
