"""Our preprocessing as ONNX operators in front of a network: RGB bytes of any size in, what the network takes out.

As torch's kernel for uint8 does, pictures are resized along their rows, rounded, resized along their columns, rounded;
what lies outside a picture has no weight (`exclude_outside`; else its border pixels count for it, many levels off).
ONNX Runtime resizes with antialiasing; engines that leave it out without a word (OpenVINO, TensorRT) are not named in
the file and refuse it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.preprocess import Normalise
from ..spec.preprocess import Preprocess
from .exported import IMAGES

_RESIZED = """
  pre_nchw = Transpose <perm = [0, 3, 1, 2]> (images)
  pre_pixels = Cast <to = 1> (pre_nchw)
  pre_wide = Resize <{mode}, antialias = 1, exclude_outside = 1, axes = [3]> (pre_pixels, , , pre_to_width)
  pre_wide_whole = Round (pre_wide)
  pre_wide_in = Clip (pre_wide_whole, pre_black, pre_white)
  pre_tall = Resize <{mode}, antialias = 1, exclude_outside = 1, axes = [2]> (pre_wide_in, , , pre_to_height)
  pre_tall_whole = Round (pre_tall)
  pre_resized = Clip (pre_tall_whole, pre_black, pre_white)
"""
# Pillow's cubic has a = -0.5, ONNX's own -0.75
_MODES = {"bilinear": 'mode = "linear"', "bicubic": 'mode = "cubic", cubic_coeff_a = -0.5'}
# height * side / (the shorter or longer side), cut down as ours is, and at least one pixel
_SCALED = """
  pre_height = Shape <start = 1, end = 2> (images)
  pre_width = Shape <start = 2, end = 3> (images)
  pre_side = {side} (pre_height, pre_width)
  pre_height_times = Mul (pre_height, pre_wanted)
  pre_width_times = Mul (pre_width, pre_wanted)
  pre_height_cut = Div (pre_height_times, pre_side)
  pre_width_cut = Div (pre_width_times, pre_side)
  pre_to_height = Max (pre_height_cut, pre_one)
  pre_to_width = Max (pre_width_cut, pre_one)
"""
_CROP = """
  pre_to = Concat <axis = 0> (pre_to_height, pre_to_width)
  pre_spare = Sub (pre_to, pre_size)
  pre_spare_float = Cast <to = 1> (pre_spare)
  pre_half = Mul (pre_spare_float, pre_one_half)
  pre_half_even = Round (pre_half)
  pre_start = Cast <to = 7> (pre_half_even)
  pre_stop = Add (pre_start, pre_size)
  pre_prepared = Slice (pre_resized, pre_start, pre_stop, pre_axes)
"""
_PAD = """
  pre_to = Concat <axis = 0> (pre_to_height, pre_to_width)
  pre_spare = Sub (pre_size, pre_to)
  pre_before = Div (pre_spare, pre_two)
  pre_after = Sub (pre_spare, pre_before)
  pre_pads = Concat <axis = 0> (pre_before, pre_after)
  pre_above_grey = Sub (pre_resized, pre_grey)
  pre_padded = Pad (pre_above_grey, pre_pads, , pre_axes)
  pre_prepared = Add (pre_padded, pre_grey)
"""
# The reshape changes nothing. Without it ONNX Runtime draws the transpose through the resizing down to int8's
# convolutions, which take their channels last, and loses the sizes that are meant for one axis.
_NORMALISED = """
  pre_scaled = Mul (pre_prepared, pre_scale)
  pre_shifted = Sub (pre_scaled, pre_shift)
  pre_out = Reshape (pre_shifted, pre_shape)
"""


def with_pixels(model: Any, normalise: Normalise) -> None:
    """Put the preprocessing in front of `model`: its input becomes `images` (batch, height, width, 3) uint8."""
    import onnx

    preprocess = normalise.preprocess
    size = preprocess.size
    given, made = f"uint8[batch, height, width, 3] {IMAGES}", f"float[batch, 3, {size}, {size}] pre_out"
    text = f"pixels ({given}) => ({made}) {{{_steps(preprocess)}}}"
    front = onnx.parser.parse_graph(text)
    used = {name for node in front.node for name in node.input}
    for name, value in _constants(normalise).items():
        if name in used:
            front.initializer.append(onnx.numpy_helper.from_array(value, name))
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            if name == IMAGES:
                node.input[i] = "pre_out"
    nodes = [*front.node, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(front.initializer)
    model.graph.value_info.append(front.output[0])
    model.graph.input[0].CopyFrom(front.input[0])


def _steps(preprocess: Preprocess) -> str:
    resized = _RESIZED.format(mode=_MODES[preprocess.interpolation])
    if preprocess.mode == "squash":
        return resized.replace("pre_resized", "pre_prepared") + _NORMALISED
    scaled = _SCALED.format(side="Min" if preprocess.mode == "crop" else "Max")
    return scaled + resized + (_CROP if preprocess.mode == "crop" else _PAD) + _NORMALISED


def _constants(normalise: Normalise) -> dict[str, np.ndarray[Any, Any]]:
    preprocess = normalise.preprocess
    size = preprocess.size
    grey = np.round(np.asarray(preprocess.mean) * 255).astype(np.float32)
    fixed = {} if preprocess.mode != "squash" else {
        "pre_to_height": np.array([size], np.int64), "pre_to_width": np.array([size], np.int64),
    }  # fmt: skip
    return fixed | {
        "pre_black": np.array(0, np.float32),
        "pre_white": np.array(255, np.float32),
        "pre_one": np.array([1], np.int64),
        "pre_two": np.array([2], np.int64),
        "pre_one_half": np.array(0.5, np.float32),
        "pre_wanted": np.array([preprocess.resize if preprocess.mode == "crop" else size], np.int64),
        "pre_size": np.array([size, size], np.int64),
        "pre_axes": np.array([2, 3], np.int64),
        "pre_grey": grey.reshape(1, -1, 1, 1),
        "pre_scale": normalise.scale.numpy()[None],
        "pre_shift": normalise.shift.numpy()[None],
        "pre_shape": np.array([-1, 3, size, size], np.int64),
    }
