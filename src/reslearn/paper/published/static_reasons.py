"""Why a printed figure is not what counting gives: (table, row, column) -> reason. Each was worked out by counting."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_CONV_ONLY_1001 = "the paper counts convolution weights alone (10,175,920); with BN and FC the net has 10.33 M"
_P4_MACS = "P4 counts some operation besides convolution and FC that it does not name; the gap is under 0.5 %"
_P4_ADDS = "convolution and FC alone; one operation more per element of each block's addition gives the printed figure"
_P4_RUNNING = "rounds to the printed figure when BN's running statistics (53,120) are counted as parameters"
_P5_ROW = "P5 quotes P2's ResNet-1001 in the row of 1202 layers, which have 19.4 M parameters (P1 table 6)"
_P5_DEPTH = "6n + 4, as if a block had two convolutions; it has three, and the printed parameters are those of this n"

REASONS: Mapping[tuple[str, str, str], str] = MappingProxyType(
    {
        ("p1-table1", "50-layer", "FLOPs"): (
            "3.858 G would round to 3.9; without the projection of conv2_1 it is 3.807. P4 prints 3.86 for the same net"
        ),
        ("p2-table4", "ResNet-1001", "params"): _CONV_ONLY_1001,
        ("p2-table4", "ResNet-1001 pre-act", "params"): _CONV_ONLY_1001,
        ("p2-table4", "ResNet-1001 pre-act, batch 64", "params"): _CONV_ONLY_1001,
        ("p3-table1", "ResNet-50", "params"): "25.557 M, cut instead of rounded; P5 prints 25.6 M for the same net",
        ("p3-table7", "ResNeXt-29 16x64d", "params"): "68.155 M rounds to 68.2; convolution weights alone are 68.04 M",
        ("p4-table2", "SE-ResNet-50", "GFLOPs"): _P4_MACS,
        ("p4-table2", "ResNet-101", "GFLOPs"): _P4_ADDS,
        ("p4-table2", "SE-ResNet-101", "GFLOPs"): _P4_MACS,
        ("p4-table2", "ResNet-152", "GFLOPs"): _P4_ADDS,
        ("p4-table2", "SE-ResNet-152", "GFLOPs"): _P4_MACS,
        ("p4-table2", "ResNeXt-50", "GFLOPs"): _P4_ADDS,
        ("p4-table2", "SE-ResNeXt-50", "GFLOPs"): _P4_MACS,
        ("p4-table2", "ResNeXt-101", "GFLOPs"): _P4_MACS,
        ("p4-table2", "SE-ResNeXt-101", "GFLOPs"): _P4_MACS,
        ("p4-table10", "r=4", "params"): _P4_RUNNING,
        ("p4-table10", "r=8", "params"): (
            "30.587 M; with the gates' biases and BN's running statistics it is 30.657 M, which rounds to 30.7"
        ),
        ("p4-table10", "r=32", "params"): _P4_RUNNING,
        ("p4-table13", "SE stage 4", "params"): _P4_RUNNING,
        ("p4-table13", "SE all", "GFLOPs"): _P4_MACS,
        ("p4-table15", "SE", "GFLOPs"): _P4_MACS,
        ("p4-table15", "SE_3x3", "params"): _P4_RUNNING,
        ("p4-table16", "SE", "GFLOPs"): _P4_MACS,
        ("p5-table2", "B(1,3,1)", "depth"): _P5_DEPTH,
        ("p5-table2", "B(3,1,1)", "depth"): _P5_DEPTH,
        ("p5-table2", "B(3,1,3)", "depth"): _P5_DEPTH,
        ("p5-table5", "original-ResNet-1202", "params"): _P5_ROW,
        ("p5-table5", "stoc-depth-1202", "params"): _P5_ROW,
        ("p5-table5", "pre-act-ResNet-1001", "params"): _CONV_ONLY_1001,
    }
)
