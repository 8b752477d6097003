"""The Open Inference Protocol's tensors: `images` in, `logits` out, as JSON or as bytes behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.exported import IMAGES, LOGITS
from ..runtime.opening import parse_json
from ..spec.codec import finite
from ..spec.errors import UserError
from .models import Served
from .refusals import Refused

HEADER_LENGTH = "inference-header-content-length"
DTYPES: dict[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "UINT8": np.dtype("u1")}
MODEL_VERSION = "1"


@dataclass(frozen=True)
class Asked:
    """A request: `images`, float32 (N, channels, S, S) normalised or uint8 (N, H, W, 3); how the answer is to go."""

    id: str | None
    images: NDArray[Any]
    binary: bool


def inputs_of(served: Served) -> list[dict[str, Any]]:
    """What `/v2/models/M` says of the input: the normalised tensor, or pixels where a graph takes these alone."""
    size, channels = served.preprocess.size, len(served.preprocess.mean)
    if served.takes_normalised:
        return [{"name": IMAGES, "datatype": "FP32", "shape": [-1, channels, size, size]}]
    return [{"name": IMAGES, "datatype": "UINT8", "shape": [-1, -1, -1, 3]}]


def outputs_of(served: Served) -> list[dict[str, Any]]:
    """What it says of the output."""
    return [{"name": LOGITS, "datatype": "FP32", "shape": [-1, served.classes]}]


def read_request(served: Served, body: bytes, header_length: str | None) -> Asked:
    """What a body asks for. Raises `Refused` with 400 for what is no such request, and says what would be one."""
    length = len(body)
    if header_length is not None:
        if not header_length.isdecimal() or len(header_length) > 12 or int(header_length) > len(body):
            raise Refused(400, f"Inference-Header-Content-Length is no number in 0..{len(body)}")
        length = int(header_length)
    try:
        asked = parse_json(body[:length], "the request")
    except UserError as error:
        raise Refused(400, str(error)) from None
    given = _object(asked, "the request")
    inputs = given.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1:
        raise Refused(400, f"inputs: expected a list of one tensor, '{IMAGES}'")
    tensor = _object(inputs[0], "inputs 0")
    images = _images(served, tensor, body[length:], header_length is not None)
    return Asked(_id(given.get("id")), images, _wants_binary(given))


def answer(served: Served, asked: Asked, logits: NDArray[np.float32]) -> tuple[bytes, int | None]:
    """The body of an answer, and how long its JSON is where bytes follow it."""
    output: dict[str, Any] = {"name": LOGITS, "datatype": "FP32", "shape": list(logits.shape)}
    raw = b""
    if asked.binary:
        raw = np.ascontiguousarray(logits, DTYPES["FP32"]).tobytes()
        output["parameters"] = {"binary_data_size": len(raw)}
    else:
        output["data"] = finite(logits.ravel().tolist())  # JSON has no infinity: log(0) is null
    value = {
        "model_name": served.name, "model_version": MODEL_VERSION, **({} if asked.id is None else {"id": asked.id}),
        "parameters": {"sha256": served.sha256}, "outputs": [output],
    }  # fmt: skip
    head = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    return head + raw, len(head) if asked.binary else None


def _images(served: Served, tensor: Mapping[str, Any], raw: bytes, with_bytes: bool) -> NDArray[Any]:
    name, kind, shape = tensor.get("name"), tensor.get("datatype"), tensor.get("shape")
    if name != IMAGES:
        raise Refused(400, f"an input is called {_shown(name)}; the only one is '{IMAGES}'")
    if kind not in DTYPES:
        raise Refused(400, f"{IMAGES}: datatype is {_shown(kind)}; it must be {' or '.join(DTYPES)}")
    if not (isinstance(shape, list) and len(shape) == 4 and all(type(n) is int and 1 <= n <= 1 << 20 for n in shape)):
        raise Refused(400, f"{IMAGES}: shape is {_shown(shape)}; it must be four whole numbers from 1")
    _check_shape(served, str(kind), shape)
    count = int(np.prod(shape, dtype=object))
    told = _parameters(tensor).get("binary_data_size")
    if told is None:
        if raw:
            raise Refused(400, f"{len(raw)} bytes follow the JSON, and {IMAGES} has no binary_data_size")
        return _from_json(tensor.get("data"), DTYPES[kind], count).reshape(shape)
    size = count * DTYPES[kind].itemsize
    if not with_bytes or type(told) is not int or told != len(raw) or told != size:
        raise Refused(
            400,
            f"{IMAGES}: binary_data_size is {_shown(told)}, {len(raw)} bytes follow the JSON, and its shape has {size}",
        )
    return np.frombuffer(raw, DTYPES[kind]).reshape(shape)


def _check_shape(served: Served, kind: str, shape: list[int]) -> None:
    size, channels = served.preprocess.size, len(served.preprocess.mean)
    if kind == "UINT8" and shape[3] != 3:
        raise Refused(400, f"{IMAGES}: shape is {shape}; of UINT8 it must be [N, height, width, 3]")
    if kind == "FP32" and not served.takes_normalised:
        raise Refused(400, f"{IMAGES}: this model takes UINT8 [N, height, width, 3]; it normalises pictures itself")
    if kind == "FP32" and shape[1:] != [channels, size, size]:
        raise Refused(400, f"{IMAGES}: shape is {shape}; of FP32 it must be [N, {channels}, {size}, {size}]")


def _from_json(data: Any, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    """The numbers of `data`, a flat list or a nested one."""
    if not isinstance(data, list):
        raise Refused(400, f"{IMAGES}: data is {_shown(data)}; it must be a list of numbers")
    flat = _flat(data)
    if len(flat) != count:
        raise Refused(400, f"{IMAGES}: data has {len(flat)} numbers, and its shape {count}")
    if not set(map(type, flat)) <= ({int} if dtype.kind == "u" else {int, float}):
        raise Refused(400, f"{IMAGES}: data holds what is no {'whole ' * (dtype.kind == 'u')}number")
    try:
        values = np.asarray(flat, None if dtype.kind == "u" else np.float64)
    except OverflowError:
        raise Refused(400, f"{IMAGES}: data holds a number that is none of {dtype}") from None
    if dtype.kind == "u" and not (values.min() >= 0 and values.max() <= 255):
        raise Refused(400, f"{IMAGES}: data runs from {values.min()} to {values.max()}; UINT8 is 0..255")
    with np.errstate(over="ignore"):
        return values.ravel().astype(dtype)


def _flat(data: list[Any]) -> list[Any]:
    """The items of `data`, nested or not. NumPy would make room for all as for the longest text among them."""
    level = data
    for _ in range(4):
        if not level or type(level[0]) is not list:
            break
        if not all(type(one) is list and len(one) == len(level[0]) for one in level):
            raise Refused(400, f"{IMAGES}: data is ragged; give a flat list, or one nested as the shape says")
        level = list(chain.from_iterable(level))
    return level


def _wants_binary(asked: Mapping[str, Any]) -> bool:
    """Whether logits are to follow as bytes. Raises `Refused` for an output that there is not."""
    outputs = asked.get("outputs")
    wanted = bool(_parameters(asked).get("binary_data_output", False))
    if outputs is None:
        return wanted
    if not isinstance(outputs, list) or len(outputs) > 1:
        raise Refused(400, f"outputs: expected a list of one tensor, '{LOGITS}'")
    for one in outputs:
        output = _object(one, "outputs 0")
        if output.get("name") != LOGITS:
            raise Refused(400, f"an output is called {_shown(output.get('name'))}; the only one is '{LOGITS}'")
        parameters = _parameters(output)
        if parameters.get("classification"):
            raise Refused(400, f"{LOGITS}: classification is not offered here; POST /predict names classes")
        wanted = bool(parameters.get("binary_data", wanted))
    return wanted


def _parameters(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return _object(value.get("parameters", {}), "parameters")


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Refused(400, f"{what}: expected an object, found {_shown(value)}")
    return value


def _id(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise Refused(400, f"id: expected text, found {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value)
    except RecursionError:
        return "something nested too deep"
    return text if len(text) <= 60 else f"{text[:57]}..."
