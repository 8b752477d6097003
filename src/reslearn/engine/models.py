"""A MODEL as commands take it, and what scores it: a sealed file on any engine, an exported file on those it names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

from ..bundle.file import Loaded, load
from ..runtime.envelope import SUFFIXES, export_kind
from ..runtime.settings import PRECISIONS, Precision
from ..spec.choices import Engine, Width
from ..spec.errors import UserError, check_at_least, check_choice
from .exported import Exported, open_exported
from .graphs import GraphScorer
from .scorer import Scorer, TorchScorer

Model = Loaded | Exported


def open_model(path: str | os.PathLike[str], *, device: str = "cpu") -> Model:
    """Open a run folder, a sealed file, or an exported `.onnx` or `.xml`; `device` is for networks of torch.

    Raises `UserError` in one line for anything else and for files that were altered.
    """
    if not Path(path).is_dir() and (export_kind(path) or Path(path).suffix.lower() in SUFFIXES.values()):
        return open_exported(path) if Path(path).exists() else load(path)
    return load(path, device=device)


def engine_of(model: Model, engine: Engine | None) -> Engine:
    """What scores `model`: the asked engine; without one torch for a sealed file, its own for an exported one."""
    if engine is not None:
        check_choice("--engine", engine, get_args(Engine))
        return engine
    return model.graph.engines[0] if isinstance(model, Exported) else "torch"


def width_of(model: Model, precision: Width | None) -> Width:
    """The precision that `model` is scored in: the asked one; without one fp32, and an exported file's own."""
    if isinstance(model, Exported):
        own = model.graph.precision
        if precision not in (None, own):
            raise UserError(
                f"{model.path}: its graph is {own}; --precision {precision} needs another export, or the sealed file"
            )
        return own
    return precision or "fp32"


def scorer_of(
    model: Model,
    *,
    engine: Engine | None = None,
    precision: Width | None = None,
    device: str | None = None,
    threads: int | None = None,
    batch_size: int = 256,
) -> Scorer:
    """What scores `model`. Without `engine`, torch for a sealed file and its own engine for an exported one; without
    `precision`, fp32 and the file's own.

    For another engine than torch, a sealed file's graph is made once and kept in the user's cache. Raises `UserError`
    for an engine that is not installed or is wrong for the file, and for a precision that it has not.
    """
    check_at_least("batch_size", batch_size, 1, 10**6)
    engine, wanted = engine_of(model, engine), width_of(model, precision)
    if isinstance(model, Exported):
        return graph_scorer(model, engine, threads=threads, batch_size=batch_size)
    if engine in ("torch", "compiled"):
        if wanted not in PRECISIONS:
            raise UserError(
                f"--precision {wanted}: a sealed file has {', '.join(PRECISIONS)}; export --precision int8 makes it"
            )
        from .compiled import CompiledScorer

        kind = CompiledScorer if engine == "compiled" else TorchScorer
        narrow: Precision = wanted
        return kind(model.net, model.normalise, precision=narrow, device=device, threads=threads, batch_size=batch_size)
    from .kept_graphs import kept_graph

    return graph_scorer(kept_graph(model, engine, wanted), engine, threads=threads, batch_size=batch_size)


def graph_scorer(
    exported: Exported, engine: Engine, *, threads: int | None = None, batch_size: int = 256
) -> GraphScorer:
    """The scorer of an exported graph. Raises `UserError` for an engine that is not installed or is wrong for it."""
    if engine not in exported.graph.engines:
        raise UserError(
            f"{exported.path}: --engine {engine} is wrong for this {exported.graph.to} graph of {exported.graph.input} "
            f"input; it is right on {', '.join(exported.graph.engines)}"
        )
    if engine == "torch":
        from .torch_archive import ProgramScorer

        return ProgramScorer(exported, threads=threads, batch_size=batch_size)
    from .graphs import OnnxScorer, OpenVinoScorer

    return (OnnxScorer if engine == "onnxruntime" else OpenVinoScorer)(exported, threads=threads, batch_size=batch_size)
