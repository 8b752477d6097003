"""Every box of a drawing against the layers of the network that is built: none missing, none too many, all in order."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from matplotlib.ft2font import FT2Font
from PIL import Image
from torch import nn

from reslearn.jobs.draw.block import chosen
from reslearn.jobs.draw.drawing import draw, named_spec
from reslearn.jobs.draw.steps import Describer
from reslearn.jobs.draw.words import ENGLISH, KOREAN, WORDS, characters
from reslearn.nets.build import create_model
from reslearn.report.diagram import FONT, Box, Label, Sign, Wire, to_svg
from reslearn.report.raster import to_png
from reslearn.spec.catalogue import list_models
from reslearn.spec.cost import cost
from reslearn.spec.errors import UserError
from reslearn.spec.net import NetSpec

SVG = "{http://www.w3.org/2000/svg}"
FIGURE3 = ["vgg19", "plain34", "resnet34"]


def boxes(scene):
    return [item for item in scene.items if isinstance(item, Box)]


def parsed(scene):
    return ET.fromstring(to_svg(scene))


@pytest.mark.parametrize("name", list_models())
def test_a_networks_boxes_are_its_layers(name):
    spec = named_spec(name)
    wanted = [
        m for m in cost(spec).layers if m.kind != "norm" and ".shortcut." not in m.name and ".gate." not in m.name
    ]
    drawn = [box for box in boxes(draw([name])) if box.key and not box.key.endswith(".gate")]
    left_out = set()
    for box in drawn:
        if "..." in box.key:  # a box for equal blocks stands for each of them
            first, last = (tuple(map(int, end.split(".")[1:])) for end in box.key.split("..."))
            left_out |= {b.name for b in spec.blocks() if first <= (b.stage, b.index) <= last}
            assert re.findall(r"\d+", box.lines[0]) == [str(len(left_out & {b.name for b in spec.blocks()
                                                                           if b.stage == first[0]}))]  # fmt: skip
    kept = [m for m in wanted if m.name.rpartition(".")[0] not in left_out]
    assert [box.key for box in drawn if "..." not in box.key] == [m.name for m in kept]
    for box, layer in zip((b for b in drawn if "..." not in b.key), kept, strict=True):
        numbers = list(map(int, re.findall(r"\d+", box.lines[0])))
        if layer.kind == "conv":
            assert numbers[:3] == [layer.kernel, layer.kernel, layer.out_channels]
            assert numbers[3:] == ([layer.stride] if layer.stride > 1 else [])
        else:
            assert numbers == [layer.out_channels]


@pytest.mark.parametrize("variant", ["", "se_max", "se_pre", "se_3x3", "se_post", "se_identity", "se_stage:3"])
def test_a_networks_gates_stand_where_its_blocks_have_them(variant):
    name = f"se_resnet50+variant={variant}" if variant else "se_resnet50"
    spec = named_spec(name)
    wanted = []
    for block in spec.blocks():
        main, _ = described(Describer(spec, block, ENGLISH).chains())
        wanted += [key.removesuffix(".fc1") for key in main if ".conv" in key or key.endswith(".fc1")]
    scene = draw(name)
    drawn = [box.key for box in boxes(scene) if box.key.startswith("stages")]
    assert drawn == wanted
    for block in spec.blocks():  # the shortcut goes round the gate, except round one behind the addition
        wire = next(w for w in scene.items if isinstance(w, Wire) and w.key == f"{block.name}.shortcut")
        gates = [box for box in boxes(scene) if box.key == f"{block.name}.gate"]
        assert all((wire.points[0][1] < box.y < wire.points[-1][1]) == (variant != "se_post") for box in gates)


@pytest.mark.parametrize(
    "name", ["resnet34", "resnet50", "plain34", "resnet110_cifar", "preact_resnet18", "resnet34+shortcut=C"]
)
def test_shortcuts_are_dotted_where_the_shape_changes(name):
    spec = named_spec(name)
    wires = {item.key: item for item in draw([name]).items if isinstance(item, Wire) and item.key}
    keys = {box.key for box in boxes(draw([name]))}
    drawn = {block.name: block for block in spec.blocks() if f"{block.name}.conv1" in keys}
    assert set(wires) == {f"{n}.shortcut" for n, block in drawn.items() if block.shortcut != "none"}
    for key, wire in wires.items():
        block = drawn[key.removesuffix(".shortcut")]
        assert wire.dotted == ((block.stride, block.in_channels) != (1, block.out_channels))


def test_a_level_holds_maps_of_one_size_in_every_column():
    scene = draw(FIGURE3)
    at = {}
    for column, name in enumerate(FIGURE3):
        sizes = {m.name: m.output_size for m in cost(named_spec(name)).layers}
        middle = sorted({box.x for box in boxes(scene)})[column]
        for box in boxes(scene):
            if box.x == middle and box.key in sizes and not box.key.startswith("head"):
                at.setdefault(sizes[box.key], []).append(box.y)
    levels = [at[size] for size in sorted(at, reverse=True)]
    assert all(max(above) < min(below) for above, below in pairwise(levels))


VARIANTS = [
    "resnet20_cifar", "plain20_cifar", "resnet20_cifar+shortcut=C", "resnet50", "preact_resnet50", "se_resnet50",
    "resnext50_32x4d", "wrn16_4_cifar+dropout=0.3", "resnet20_cifar+variant=bn_after_addition",
    "resnet20_cifar+variant=relu_before_addition", "resnet20_cifar+variant=relu_only_preactivation",
    "resnet20_cifar+variant=shortcut_gate:-6", "resnet20_cifar+variant=exclusive_gate:-6",
    "resnet20_cifar+variant=constant_scaling:0.5,0.5", "resnet20_cifar+variant=dropout_shortcut:0.5",
    "resnet20_cifar+variant=one_layer", "wrn40_2_cifar+variant=kernels:3,1,3", "se_resnet50+variant=se_pre",
    "se_resnet50+variant=se_post", "se_resnet50+variant=se_identity", "se_resnet50+variant=se_3x3",
    "se_resnet50+variant=se_max", "se_resnet50+variant=se_no_squeeze", "se_resnet50+variant=se_stage:3",
    "resnet20_cifar+variant=no_norm", "resnet_speed_cifar",
]  # fmt: skip


def executed(net, block):
    """The modules of a block that have parameters or pool, in the order in which they compute."""
    order = []
    handles = [
        module.register_forward_hook(lambda *_, name=name: order.append(name))
        for name, module in block.named_modules()
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))
    ]
    with torch.no_grad():
        net(torch.randn(2, 3, 64, 64))
    for handle in handles:
        handle.remove()
    return [f"{block.spec.name}.{name}" for name in order]


def described(chains):
    """The keys of a block's steps: the way through its layers, and that of its shortcut."""

    def keys(steps):
        return [key for step in steps for key in ([s.key for s in step.inner] or [step.key]) if key]

    return keys([*chains.before, *chains.main, *chains.after]), keys(chains.side)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("which", [0, 1])
def test_a_blocks_steps_are_what_it_executes(name, which):
    spec = named_spec(name)
    spec = replace(spec, stage_blocks=tuple(min(blocks, 2) for blocks in spec.stage_blocks))
    block = chosen(spec)[which]
    if block is None:
        pytest.skip("needs a net with blocks of two kinds")
    net = create_model(spec).eval()
    built = next(b for b in net.blocks() if b.spec == block)
    main, side = described(Describer(spec, block, ENGLISH).chains())
    order = executed(net, built)
    assert sorted(order) == sorted(main + side)
    assert [key for key in order if key in main] == main and [key for key in order if key in side] == side


@pytest.mark.parametrize("name", VARIANTS)
def test_a_blocks_drawing_has_a_box_for_each_step_and_a_sign_where_signals_meet(name):
    spec, scene = named_spec(name), draw([name], block=True)
    drawn = [box.key for box in boxes(scene)]
    signs = [item for item in scene.items if isinstance(item, Sign)]
    for block in filter(None, chosen(spec)):
        chains = Describer(spec, block, ENGLISH).chains()
        main, side = described(chains)
        assert set(main + side) <= {key.partition(":")[0] for key in drawn}
        assert sum(sign.key == f"{block.name}.add" for sign in signs) >= chains.joined


def test_the_three_forms_of_a_resnext_block_share_out_its_channels():
    scene = draw(["resnext50_32x4d"], block=True)
    block = chosen(named_spec("resnext50_32x4d"))[0]
    paths = [box for box in boxes(scene) if ":" in box.key]
    for box in paths:
        place = int(box.key.partition(":")[0][-1])
        conv, out = block.convs[place - 1], int(re.findall(r"\d+", box.lines[0])[2])
        assert out * (32 if place < 3 else 1) == conv.out_channels
    assert len(paths) == 3 * 3 + 3 * 2
    texts = [item.text for item in scene.items if isinstance(item, Label)]
    assert [text[:3] for text in texts if text.startswith("(")] == ["(a)", "(b)", "(c)"]


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize(("names", "block"), [(FIGURE3, False), (["resnet34"], True), (["se_resnet50"], True),
                                              (["resnext50_32x4d"], True)])  # fmt: skip
def test_a_file_carries_its_words_as_text_and_its_boxes_their_layers(names, block, language):
    scene = draw(names, block=block, language=language)
    root = parsed(scene)
    texts = [node.text for node in root.iter(f"{SVG}text")]
    assert texts == [*texts] and all(line in texts for box in boxes(scene) for line in box.lines)
    keyed = {node.get("data-layer") for node in root.iter(f"{SVG}g") if node.get("data-layer")}
    assert {item.key for item in scene.items if getattr(item, "key", "")} == keyed
    titled = [g for g in root.iter(f"{SVG}g") if g.get("data-layer")]
    assert all(g.find(f"{SVG}title") is not None for g in titled)
    assert root.get("lang") == language and "http" not in to_svg(scene).replace(SVG[1:-1], "")
    if language == "ko":
        assert any("가" <= c <= "힣" for text in texts for c in text)


def test_the_font_has_every_character_of_every_word():
    glyphs = FT2Font(str(FONT)).get_charmap()
    assert [c for c in characters() if ord(c) not in glyphs] == []
    assert FONT.stat().st_size < 60_000 and "SIL OPEN FONT LICENSE" in (FONT.parent / "OFL.txt").read_text()


def test_every_word_is_said_in_both_languages():
    blank = [name for name in vars(ENGLISH) if not getattr(KOREAN, name)]
    holes = [name for name in vars(ENGLISH) if getattr(ENGLISH, name).count("{}") != getattr(KOREAN, name).count("{}")]
    assert blank == holes == []


def test_the_picture_is_the_same_drawing():
    scene = draw(["resnet20_cifar"], language="ko")
    picture = Image.open(io.BytesIO(to_png(scene)))
    assert picture.size == (round(scene.width * 8) // 2, round(scene.height * 8) // 2)
    assert picture.text["Software"] == "reslearn"
    box = next(box for box in boxes(scene) if box.look == "s1")
    inside = picture.getpixel((round(4 * (box.x - box.width / 2 + 2)), round(4 * (box.y + 2))))
    assert inside == (0xD8, 0xE8, 0xF8)


@pytest.mark.parametrize(
    ("names", "block", "message"),
    [
        (["resnet35"], False, "resnet34"),
        (["vgg19"], True, "no residual blocks"),
        (["resnet20_cifar+shortcut"], False, "field=value"),
        (["resnet20_cifar+shortcuts=C"], False, "shortcut"),
        (["resnet20_cifar"] * 9, False, "1 to 8"),
        (["resnet20_cifar+variant=nonsense"], True, "variant"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(names, block, message):
    with pytest.raises(UserError, match=message) as error:
        draw(names, block=block)
    assert "\n" not in str(error.value)


def test_a_changed_network_is_drawn_as_changed():
    assert isinstance(named_spec("resnet20_cifar+shortcut=C"), NetSpec)
    wires = [item for item in draw(["resnet20_cifar+shortcut=C"]).items if isinstance(item, Wire) and item.key]
    assert len(wires) == 9 and all("projection" in wire.title for wire in wires)
    assert sum(wire.dotted for wire in wires) == 2


def test_a_drawing_shows_itself_in_a_notebook_and_one_name_is_enough():
    import reslearn

    assert reslearn.draw("resnet18") == draw(["resnet18"])
    assert reslearn.draw("resnet18", block=True)._repr_svg_() == to_svg(draw(["resnet18"], block=True))
    for wrong, message in (
        ({"language": "fr"}, "'ko'"),
        ({"block": "yes"}, "block is 'yes'; it must be True or False"),
    ):
        with pytest.raises(UserError, match=message):
            reslearn.draw("resnet18", **wrong)
    with pytest.raises(UserError, match=r"unknown model 'resnet18\\n'"):
        reslearn.draw("resnet18\n")
