"""Post-training quantisation of a float graph by NNCF, for ONNX and OpenVINO: ranges, and accuracy control."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .exported import IMAGES, LOGITS
from .needs import need, onnxruntime, quiet

Input = NDArray[np.float32]  # (1, 3, S, S)
Runner = Callable[[Input], NDArray[np.float32]]


def check_installed() -> None:
    """Raise `UserError` where what makes int8 is not installed."""
    need("nncf", "openvino")


def quantised(model: Any, inputs: Sequence[Input]) -> Any:
    """An int8 graph of the same kind as `model`; its ranges are those of `inputs`."""
    with _quiet():
        import nncf

        return nncf.quantize(model, nncf.Dataset(inputs, _as_taken), subset_size=len(inputs))


def controlled(model: Any, inputs: Sequence[Input], validation: Iterable[tuple[Input, int]], max_drop: float) -> Any:
    """The same, with layers given back their width until top-1 on `validation` has dropped by `max_drop` (a share)."""

    def share_right(graph: Any, items: Iterable[Any]) -> tuple[float, list[float]]:
        run = runner(graph)
        right = [float(run(x).argmax(1)[0] == label) for x, label in items]
        return float(np.mean(right)), right

    with _quiet():
        import nncf

        return nncf.quantize_with_accuracy_control(
            model,
            nncf.Dataset(inputs, _as_taken),
            nncf.Dataset(validation, lambda item: _as_taken(item[0])),
            share_right,
            max_drop=max_drop,
            subset_size=len(inputs),
        )


def runner(model: Any) -> Runner:
    """A function from the graph's input to its logits, whatever kind of graph it is."""
    if hasattr(model, "SerializeToString"):
        session = onnxruntime().InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return lambda x: np.asarray(session.run([LOGITS], {IMAGES: x})[0])
    import openvino as ov

    compiled = model
    if isinstance(model, ov.Model):
        compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    return lambda x: np.array(request.infer({IMAGES: x})[LOGITS])


def _as_taken(x: Input) -> dict[str, Input]:
    return {IMAGES: x}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """NNCF's progress bars, which go to standard output, and its remarks stay unsaid."""
    with quiet(), contextlib.redirect_stdout(io.StringIO()):
        yield
