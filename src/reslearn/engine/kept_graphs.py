"""The graph that another engine needs of a sealed file: made once, kept in the user's cache, read with distrust."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

from ..bundle.file import Loaded
from ..bundle.header import Bundle
from ..data.parts.known import NOTHING
from ..runtime.files import user_cache
from ..runtime.notes import note, note_once
from ..spec.choices import Engine, Width
from ..spec.errors import UserError
from .exported import Exported, open_exported
from .needs import MAKES, OF_ENGINE, need, versions
from .saving import save_exported

WIDTHS: dict[Engine, tuple[Width, ...]] = {"onnxruntime": ("fp32",), "openvino": ("fp32", "bf16")}  # of a sealed file
MADE = 2  # raised whenever the same model would give another graph


def kept_graph(loaded: Loaded, engine: Engine, precision: Width = "fp32") -> Exported:
    """The graph of `loaded` for `engine`: from the cache, or made and put there.

    A file there that is not this user's own, was altered or is of another model is not believed, and made anew. Raises
    `UserError` where the packages are missing and for a precision that the engine has not.
    """
    need(*OF_ENGINE[engine])
    if precision not in WIDTHS[engine]:
        have = " or ".join(WIDTHS[engine])
        raise UserError(f"--precision {precision}: of a sealed file {engine} computes {have}")
    bare = bare_model(loaded, engine, precision)
    path = graph_file(bare, engine)
    try:
        if os.path.lexists(path):
            return believed(path, bare)
    except (UserError, OSError) as error:
        note(f"made anew, as {' '.join(str(error).split())}")
    need(*MAKES[engine])
    note_once(f"{loaded.path}: making its graph for {engine}, once")
    from .writing import ExportPlan, export_model  # with torch's tracer, which takes a second

    plan = ExportPlan("onnx" if engine == "onnxruntime" else "openvino", precision=precision)
    exported, beside = export_model(bare, plan)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        save_exported(exported, path, beside)
        path.chmod(0o600)
    except (OSError, UserError) as error:  # what was made is right all the same
        note(f"{path}: the graph is not kept ({getattr(error, 'strerror', None) or error})")
    return exported


def is_kept(loaded: Loaded, engine: Engine, precision: Width = "fp32") -> bool:
    """Whether the graph lies in the cache, whole or not."""
    folder = user_cache() / "graphs"
    return folder.is_dir() and graph_file(bare_model(loaded, engine, precision), engine).exists()


def bare_model(loaded: Loaded, engine: Engine, precision: Width) -> Loaded:
    """The model with nothing that its logits do not depend on: a temperature or a class name is no reason to make a
    graph anew. The digest in its header is over network, preprocessing, engine, precision and what makes the graph.
    """
    old = loaded.bundle
    bundle = Bundle(old.members, old.preprocess, combine=old.combine)
    bare = replace(loaded, bundle=bundle, known=NOTHING)
    key = [MADE, bare.identity(), engine, precision, versions("torch", *OF_ENGINE[engine], *MAKES[engine])]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return replace(bare, bundle=replace(bundle, sha256=digest))


def graph_file(bare: Loaded, engine: Engine) -> Path:
    """Where such a graph is kept."""
    return user_cache() / "graphs" / f"{bare.bundle.sha256[:32]}{'.onnx' if engine == 'onnxruntime' else '.xml'}"


def believed(path: Path, bare: Loaded) -> Exported:
    """The kept graph at `path`. Raises `UserError` for one that is not of this user, whole, and of this model."""
    status = path.lstat()
    if path.is_symlink() or status.st_uid not in (os.geteuid(), 0) or status.st_mode & 0o022:
        raise UserError(f"{path} is not a file of this user that only this user can write")
    exported = open_exported(path)
    if exported.graph.made_of_sha256 != bare.bundle.sha256:
        raise UserError(f"{path} is of another model")
    return exported
