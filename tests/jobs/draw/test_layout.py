"""Where the parts of a drawing stand: nothing on another, no wire that ends in the air, all on a page of 390 units."""

from __future__ import annotations

from itertools import pairwise

import pytest

from reslearn.jobs.draw.drawing import draw
from reslearn.jobs.draw.words import WORDS
from reslearn.report.diagram import Box, Label, Sign, Wire

from .test_draw import FIGURE3, VARIANTS, boxes

THREE_GATES = ["se_resnet50", "se_resnet50+variant=se_pre", "se_resnet50+variant=se_post"]
PAGES = [(FIGURE3, False), (["resnet34"], True), (["resnext50_32x4d+groups=2+group_width=40"], True),
         (["resnet34", "resnet50"], True), (THREE_GATES, True), (["se_resnext101_32x4d"], True),
         (["se_resnet50+variant=se_identity+shortcut=C"], True), *(([name], True) for name in VARIANTS)]  # fmt: skip


@pytest.mark.parametrize(("names", "block"), PAGES)
@pytest.mark.parametrize("language", WORDS)
def test_no_box_lies_on_another_and_none_leaves_the_page(names, block, language):
    scene = draw(names, block=block, language=language)
    assert scene.width <= 390.5  # so that it is shown at its own size at 390 pixels
    found = boxes(scene)
    for i, one in enumerate(found):
        assert (
            one.x - one.width / 2 >= 0 and one.x + one.width / 2 <= scene.width and one.y + one.height <= scene.height
        )
        for other in found[i + 1 :]:
            apart = abs(one.x - other.x) >= (one.width + other.width) / 2
            assert apart or one.y + one.height <= other.y or other.y + other.height <= one.y, (one.lines, other.lines)


@pytest.mark.parametrize(("names", "block"), PAGES)
def test_every_wire_ends_at_something(names, block):
    """At a box, a sign, a label of the signal, or another wire: no gap, and no end in the air."""
    items = draw(names, block=block).items
    wires = [item for item in items if isinstance(item, Wire)]

    def meets(item, x, y):
        if isinstance(item, Box):
            return abs(x - item.x) <= item.width / 2 + 0.1 and item.y - 1 <= y <= item.y + item.height + 1
        if isinstance(item, Sign):
            return abs(x - item.x) + abs(y - item.y) <= 5.1
        if isinstance(item, Label):
            return abs(x - item.x) < 0.1 and abs(y - item.y) < 9
        return any(  # its segments are level or upright
            min(a, c) - 0.1 <= x <= max(a, c) + 0.1 and min(b, d) - 0.1 <= y <= max(b, d) + 0.1
            for (a, b), (c, d) in pairwise(item.points)
        )

    for wire in wires:
        for x, y in (wire.points[0], wire.points[-1]):
            assert any(meets(item, x, y) for item in items if item is not wire), (wire, x, y)


def test_blocks_with_gates_stand_two_in_a_row():
    scene = draw(THREE_GATES, block=True)
    heads = [item for item in scene.items if isinstance(item, Label) and item.bold]
    assert heads[0].y == heads[1].y < heads[2].y and heads[0].x < heads[2].x < heads[1].x
    begins = [item.y for item in scene.items if isinstance(item, Label) and item.text.startswith("x, ")]
    assert begins[0] == begins[1]  # though only one of them says a change
    texts = [item.text for item in scene.items if isinstance(item, Label)]
    assert texts.count("variant=se_pre") == texts.count("variant=se_post") == 1


@pytest.mark.parametrize("change", ["shortcut=C", "shortcut=none", "groups=2"])
def test_paths_are_drawn_only_as_they_are(change):
    """Only an identity is called one, and of two paths there are two."""
    name = f"resnext50_32x4d+{change}"
    for names in ([name], [name, "resnet50"]):
        scene = draw(names, block=True)
        paths = {box.key.partition(":")[2] for box in boxes(scene) if ":" in box.key}
        assert paths == ({"1/2", "2/2"} if change == "groups=2" else set())


def test_what_was_changed_stands_above_a_network_however_long_it_is():
    long = "variant=relu_only_preactivation"
    scene = draw(["resnet20_cifar", f"resnet20_cifar+{long}"])
    heads = [item for item in scene.items if isinstance(item, Label) and item.text in (long, "resnet20_cifar")]
    assert [item.text for item in heads] == ["resnet20_cifar", "resnet20_cifar", long]
    assert heads[1].x == heads[2].x and scene.title.endswith(long)
    assert min(box.y for box in boxes(scene)) > heads[2].y + 4
