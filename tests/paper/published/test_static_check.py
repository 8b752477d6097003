"""Every size and cost the papers print is counted; each agrees or has a reason that is itself arithmetic."""

from __future__ import annotations

import pytest

from reslearn.paper.published import static_check
from reslearn.paper.published.static_reasons import REASONS
from reslearn.spec.catalogue import get_spec
from reslearn.spec.cost import cost

CHECKS = static_check.check_all()


def test_there_are_enough_of_them():
    assert len(CHECKS) > 180
    assert len({(c.table, c.row, c.column) for c in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: f"{c.table}/{c.row}/{c.column}")
def test_agrees_or_says_why(check):
    assert check.verdict in ("agrees", "known"), f"printed {check.printed}, counted {check.computed}"
    assert (check.verdict == "known") == bool(check.reason)


def test_no_reason_is_left_over():
    used = {(c.table, c.row, c.column) for c in CHECKS if c.verdict == "known"}
    assert set(REASONS) <= used


def test_a_wrong_network_would_be_caught():
    claim = next(c for c in static_check.static() if (c.table, c.row, c.column) == ("p1-table6", "ResNet-20", "params"))
    assert static_check.agrees(static_check.compute(claim), claim)
    assert not static_check.agrees(cost(get_spec("resnet32_cifar")).parameters, claim)
    # 3x3 stride instead of 1x1: 4.1 G, not 3.8 G
    flops = next(c for c in static_check.static() if (c.table, c.row, c.column) == ("p3-table1", "ResNet-50", "FLOPs"))
    assert static_check.agrees(cost(get_spec("resnet50")).macs, flops)
    assert not static_check.agrees(cost(get_spec("resnet50_v1")).macs, flops)


def additions(name, **changes):
    """Elements of all blocks' additions, for one picture."""
    layers = {m.name: m for m in cost(get_spec(name, **changes)).layers}
    last = [layers[f"{b.name}.conv{len(b.convs)}"] for b in get_spec(name, **changes).blocks()]
    return sum(m.out_channels * m.output_size**2 for m in last)


@pytest.mark.parametrize(
    ("name", "printed"), [("resnet101_v1", 7.58), ("resnet152_v1", 11.30), ("resnext50_32x4d", 4.24)]
)
def test_the_reason_given_for_p4s_operations_is_arithmetic(name, printed):
    assert round((cost(get_spec(name)).macs + additions(name)) / 1e9, 2) == printed


def test_the_reasons_given_for_parameters_are_arithmetic():
    running = sum(2 * m.out_channels for m in cost(get_spec("resnet50_v1")).layers if m.kind == "norm")
    assert running == 53_120
    gated = {
        r: cost(get_spec("se_resnet50", stride_on="1x1", se_bias=False, se_reduction=r)).parameters for r in (4, 32)
    }
    assert [round((gated[r] + running) / 1e6, 1) for r in (4, 32)] == [35.7, 26.9]
    v1 = {"stride_on": "1x1", "se_bias": False}
    for variant, printed in (("se_stage:4", 26.4), ("se_3x3", 25.8)):
        spec = get_spec("se_resnet50", variant=variant, **v1)
        assert round((cost(spec).parameters + running) / 1e6, 1) == printed
    biased = cost(get_spec("se_resnet50", stride_on="1x1", se_reduction=8)).parameters
    assert round((biased + running) / 1e6, 1) == 30.7
    convs = {n: sum(m.parameters for m in cost(get_spec(n)).layers if m.kind == "conv") for n in
             ("preact_resnet1001_cifar", "resnext29_16x64d_cifar")}  # fmt: skip
    assert convs["preact_resnet1001_cifar"] == 10_175_920
    assert round(convs["resnext29_16x64d_cifar"] / 1e6, 2) == 68.04


def test_networks_outside_the_catalogue_stay_and_say_so():
    left = static_check.not_checked()
    assert left and all(claim.outside for claim in left)
