"""`export --to html`: a model, its preprocessing, its class map and what computes it as one page that works offline."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

from ..bundle.facts import facts_of
from ..bundle.file import Loaded
from ..data.parts.known import FORGOTTEN
from ..engine.exported import CAM, Exported
from ..engine.program import class_layer
from ..engine.writing import ExportPlan, Quantised, export_model
from ..report.web_page import one_file
from ..report.web_runtime import WebRuntime, packed_runtime, vendored
from ..runtime.files import write_atomic
from ..runtime.replacing import ONE_FILE, check_outside_runs, replaceable
from ..spec.choices import Width
from ..spec.errors import UserError

SUFFIX = ".html"


@dataclass(frozen=True, eq=False)
class OneFile:
    """A page to be written, and the graph inside it."""

    exported: Exported
    runtime: WebRuntime
    html: str


def page_target(out: str | os.PathLike[str], model: str | os.PathLike[str]) -> Path:
    """`out`, if such a page may come to be there; before any work."""
    if Path(out).suffix.lower() not in (SUFFIX, ".htm"):
        raise UserError(f"-o {out}: the name of a file for html ends in {SUFFIX}")
    target = replaceable(out, ONE_FILE, "-o", inputs=[model])
    check_outside_runs(target, "-o")
    return target


def runtime_of(path: str | os.PathLike[str] | None) -> WebRuntime:
    """What computes in the page: the package's own unless another is named."""
    return vendored() if path is None else packed_runtime(path)


def page_of(
    loaded: Loaded, runtime: WebRuntime, *, precision: Width, size: int | None, made_of: str, int8: Quantised | None
) -> OneFile:
    """The page of a model: RGB bytes of any size in, logits out, and the map of every class where there is one.

    The hashes of seen pictures, which the page has no use for, stay in the sealed file.
    """
    plan = ExportPlan("onnx", "uint8", precision, "logits", _has_cam(loaded), size)
    loaded = replace(loaded, known=FORGOTTEN)
    exported, _ = export_model(loaded, plan, made_of=os.path.basename(made_of), int8=int8)
    about = facts_of(exported.bundle) | {
        "name": _name(Path(made_of)), "exported": exported.sha256, "engine": "onnxruntime-web", "precision": precision,
        "runtime": f"{runtime}, {runtime.licence}, {runtime.sha512}", "cam": CAM in exported.graph.outputs,
        "header": _header(exported),
    }  # fmt: skip
    parts = {
        "bundle": json.dumps(about, ensure_ascii=False).encode(),
        "model": exported.content,
        "runtime-js": runtime.script,
        "runtime-wasm": runtime.wasm,
    }
    return OneFile(exported, runtime, one_file(parts, title=f"{about['network']}: what is in your pictures?"))


def write_page_file(page: OneFile, target: Path) -> int:
    """Write the page atomically; its bytes."""
    content = page.html.encode()
    write_atomic(target, content)
    return len(content)


def _name(sealed: Path) -> str:
    """A run's model is called as its folder."""
    return sealed.absolute().parent.name if sealed.stem == "model" else sealed.stem


def _has_cam(loaded: Loaded) -> bool:
    try:
        class_layer(loaded.net)
    except UserError:
        return False
    return True


def _header(exported: Exported) -> object:
    """The exported graph's own header, which the page shows as it is."""
    from ..runtime.envelope import envelope_of

    header = dict(envelope_of("onnx", exported.content, b"", exported.path).header)
    for name in ("filters", "mean_image"):  # bytes that nobody reads
        header.pop(name, None)
    return header
