"""Scorers of exported graphs: ONNX Runtime and OpenVINO take the pictures that torch takes, and give such answers."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..data.dataset import Image
from ..data.preprocess import apply, to_batch
from ..runtime.choice import asked_threads
from ..runtime.processor import cores
from ..spec.choices import Combine, Engine, Width
from ..spec.errors import UserError
from ..spec.preprocess import Preprocess
from .exported import LOGITS, Exported
from .needs import need, onnxruntime
from .scorer import SIDE, Logits, at_once

Arrays = dict[str, NDArray[np.float32]]


class GraphScorer:
    """The graph of an exported file on an engine. Threads may share one. Its package is imported when it is made."""

    engine: Engine

    def __init__(self, exported: Exported, *, threads: int | None = None, batch_size: int = 256) -> None:
        """Raises `UserError` where the engine is not installed. `models.graph_scorer` asks whether it is right."""
        self.exported, self.batch_size = exported, batch_size
        self.threads = threads or asked_threads() or cores()
        self._normalise = exported.normalise

    @property
    def precision(self) -> Width:
        """The answers' precision."""
        return self.exported.graph.precision

    @property
    def prepares(self) -> Preprocess | None:
        """How the graph itself prepares whole pictures; None where it takes prepared ones."""
        return self.exported.bundle.preprocess if self.takes_bytes else None

    @property
    def takes_bytes(self) -> bool:
        """Whether the graph's input is pictures as they are, (batch, height, width, 3) uint8."""
        return self.exported.graph.input == "uint8"

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """There is nothing to be kept."""
        yield

    def __call__(self, images: Tensor) -> Logits:
        """uint8 (B, 3, S, S) prepared pictures -> (B, classes). Raises `UserError` for another size than its own."""
        size = self.exported.graph.size
        if tuple(images.shape[2:]) != (size, size):
            raise UserError(
                f"{self.exported.path}: its graph takes pictures of {size} x {size} pixels; other sizes need the "
                f"sealed file, {self.exported.graph.made_of}"
            )
        return self._logits(self._outputs(images))

    def normalised(self, batch: Tensor) -> Logits:
        """float32 (B, channels, S, S), normalised already -> (B, classes). Raises `UserError` for a graph that takes
        pixels, which normalises them itself."""
        if self.takes_bytes:
            raise UserError(f"{self.exported.path}: its graph takes RGB bytes and normalises them itself")
        return self._logits(_joined([self.outputs(np.ascontiguousarray(part.numpy())) for part in self._parts(batch)]))

    def whole(self, pictures: Sequence[Image]) -> Logits:
        """RGB uint8 pictures of any sizes, (H, W, 3) each -> (N, classes); prepared by the graph if it can."""
        if self.prepares is None:
            return self(to_batch([apply(picture, self.exported.bundle.preprocess) for picture in pictures]))
        by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for i, picture in enumerate(pictures):
            by_shape[picture.shape].append(i)
        rows: dict[int, NDArray[np.float32]] = {}
        for (height, width, _), places in by_shape.items():
            step = at_once(self.batch_size, height, width, side=SIDE)
            for start in range(0, len(places), step):
                some = places[start : start + step]
                answers = self._logits(self.outputs(np.stack([pictures[i] for i in some])))
                rows |= dict(zip(some, answers, strict=True))
        return np.stack([rows[i] for i in range(len(pictures))])

    def dense(self, images: Tensor, average: Combine) -> Logits:
        """An exported graph has one size: always a `UserError`."""
        raise UserError(
            f"multi-scale needs the sealed file, {self.exported.graph.made_of}; an exported graph has one size"
        )

    def outputs(self, batch: NDArray[Any]) -> Arrays:
        """What the graph takes, as it takes it, -> every output by its name."""
        raise NotImplementedError

    def _outputs(self, images: Tensor) -> Arrays:
        return _joined([self.outputs(self.taken(part)) for part in self._parts(images)])

    def _parts(self, images: Tensor) -> Sequence[Tensor]:
        return torch.split(images, at_once(self.batch_size, *images.shape[2:]))

    def taken(self, prepared: Tensor) -> NDArray[Any]:
        """Prepared pictures as the graph's input. One that prepares pictures itself gets them with a margin around
        them which it cuts off again, so that it resizes nothing."""
        if not self.takes_bytes:
            return np.asarray(self._normalise(prepared.contiguous()).numpy())  # bytes are turned, not floats
        preprocess = self.exported.bundle.preprocess
        margin = preprocess.resize - preprocess.size if preprocess.mode == "crop" else 0
        before = round(margin / 2)
        pixels = prepared.permute(0, 2, 3, 1).numpy()
        around = (before, margin - before)
        return (
            np.ascontiguousarray(np.pad(pixels, ((0, 0), around, around, (0, 0))))
            if margin
            else np.ascontiguousarray(pixels)
        )

    def _logits(self, outputs: Arrays) -> Logits:
        if LOGITS not in outputs:
            raise UserError(
                f"{self.exported.path}: exported with --outputs features, so it gives no answers; export --outputs both"
            )
        return np.asarray(outputs[LOGITS], np.float32)


class OnnxScorer(GraphScorer):
    """ONNX Runtime on the CPU."""

    engine: Engine = "onnxruntime"

    def __init__(self, exported: Exported, *, threads: int | None = None, batch_size: int = 256) -> None:
        super().__init__(exported, threads=threads, batch_size=batch_size)
        ort = onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = self.threads, 1, 3
        self._names = list(exported.graph.outputs)
        self._session = _opened(
            exported, lambda: ort.InferenceSession(exported.content, options, ["CPUExecutionProvider"])
        )

    def outputs(self, batch: NDArray[Any]) -> Arrays:
        """As `GraphScorer.outputs` says."""
        return dict(zip(self._names, self._session.run(self._names, {"images": batch}), strict=True))


class OpenVinoScorer(GraphScorer):
    """OpenVINO on the CPU, which reads its own files and ONNX."""

    engine: Engine = "openvino"

    def __init__(self, exported: Exported, *, threads: int | None = None, batch_size: int = 256) -> None:
        super().__init__(exported, threads=threads, batch_size=batch_size)
        need("openvino")
        import openvino as ov

        core = ov.Core()
        if exported.graph.to == "openvino":
            model = _opened(
                exported,
                lambda: core.read_model(exported.content, ov.Tensor(np.frombuffer(exported.weights, np.uint8))),
            )
        else:
            model = _opened(exported, lambda: core.read_model(exported.content))
        hints = {  # its own default is bf16, which is slower than fp32 where there is no AMX
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32",
            "INFERENCE_NUM_THREADS": str(self.threads),
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._names = list(exported.graph.outputs)
        self._model = _opened(exported, lambda: core.compile_model(model, "CPU", hints))
        self._own = threading.local()

    @property
    def prepares(self) -> None:
        """Pictures come prepared: for each new size of picture OpenVINO builds its resizing anew, for half a
        second and 27 MiB that stay, where ours takes a few milliseconds."""

    def outputs(self, batch: NDArray[Any]) -> Arrays:
        """As `GraphScorer.outputs` says. Each thread has a request of its own."""
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._model.create_infer_request()
        found = request.infer({"images": batch}, share_inputs=True)
        return {name: np.array(found[name], np.float32) for name in self._names}


def _joined(parts: Sequence[Arrays]) -> Arrays:
    return parts[0] if len(parts) == 1 else {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}


def _opened(exported: Exported, make: Any) -> Any:
    """What `make` returns; an engine that cannot read a file which has its checksum is a `UserError` too."""
    try:
        return make()
    except Exception as error:  # whatever an engine raises
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{exported.path}: this engine cannot read it ({reason}); export it anew, or use another --engine"
        ) from None
