"""The expanded spec: what each block is, read off without building anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reslearn.spec.catalogue import get_spec
from reslearn.spec.stem import ConvSpec


def test_the_first_bottleneck_of_resnet50_is_table_1():
    block = get_spec("resnet50_v1").blocks()[3]  # conv3_1
    assert (block.name, block.stride, block.shortcut) == ("stages.1.0", 2, "projection")
    assert block.convs == (ConvSpec(256, 128, 1, stride=2), ConvSpec(128, 128, 3), ConvSpec(128, 512, 1))
    assert get_spec("resnet50").blocks()[3].convs[1].stride == 2  # the form in use since: stride on the 3x3


@pytest.mark.parametrize(
    ("option", "kinds"),
    [
        ("A", ["identity"] * 3 + (["pad"] + ["identity"] * 2) * 2),
        ("B", ["identity"] * 3 + (["projection"] + ["identity"] * 2) * 2),
        ("C", ["projection"] * 9),
        ("none", ["none"] * 9),
    ],
)
def test_each_option_gives_the_shortcuts_of_the_paper(option, kinds):
    assert [block.shortcut for block in get_spec("resnet20_cifar", shortcut=option).blocks()] == kinds


def test_a_preactivation_net_shares_the_first_bn_only_where_the_shortcut_changes_shape():
    blocks = get_spec("preact_resnet164_cifar").blocks()
    shared = [block.name for block in blocks if block.shared_preactivation]
    assert shared == ["stages.0.0", "stages.1.0", "stages.2.0"]
    assert [block.norms[0] for block in blocks[:2]] == [None, 64]  # the stem's BN-ReLU serves the very first unit
    moved = get_spec("preact_resnet50", first_norm="after_pool")
    assert moved.resolved_stem.norms == (None,)
    assert moved.blocks()[0].norms[0] == 64


def test_gates_of_the_paper_and_of_timm():
    hidden = lambda **changes: [b.gate_channels for b in get_spec("se_resnet20_cifar", **changes).blocks()[::3]]  # noqa: E731
    assert hidden() == [1, 2, 4]
    assert hidden(se_min_channels=8) == [8, 8, 8]
    assert hidden(se_reduction=None) == [None, None, None]


@pytest.mark.parametrize(
    ("output_stride", "strides", "dilations"),
    [(32, (4, 8, 16, 32), (1, 1, 1, 1)), (16, (4, 8, 16, 16), (1, 1, 1, 2)), (8, (4, 8, 8, 8), (1, 1, 2, 4))],
)
def test_output_stride_turns_strides_into_dilation(output_stride, strides, dilations):
    spec = get_spec("resnet50", output_stride=output_stride)
    assert spec.stage_strides == strides
    last = {block.stage: block.convs[1].dilation for block in spec.blocks()}
    assert tuple(last.values()) == dilations
    first = {block.stage: block.convs[1].dilation for block in reversed(spec.blocks())}
    before = (1, *dilations[:-1])  # the first block of a stage still reads the map of the stage before
    assert tuple(first[stage] for stage in range(4)) == tuple(
        before[s] if strides[s] == strides[s - 1] and s else dilations[s] for s in range(4)
    )


@given(p=st.floats(0, 0.9))
def test_stochastic_depth_rises_linearly_to_its_probability(p):
    rates = [block.drop_path for block in get_spec("resnet20_cifar", drop_path=p).blocks()]
    assert rates == pytest.approx([p * number / 9 for number in range(1, 10)])


@given(k=st.integers(1, 12), groups=st.integers(1, 64), width=st.integers(1, 64))
def test_widths_follow_cardinality_times_group_width(k, groups, width):
    spec = get_spec("resnext50_32x4d", groups=groups, group_width=width)
    assert [b.convs[1].in_channels for b in spec.blocks() if b.index == 0] == [groups * width * 2**s for s in range(4)]
    wide = get_spec("wrn28_10_cifar", stage_channels=(16 * k, 32 * k, 64 * k))
    assert [b.shortcut for b in wide.blocks()].count("projection") == (2 if k == 1 else 3)
