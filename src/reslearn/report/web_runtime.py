"""onnxruntime-web, which computes in the one-file page: as this package holds it, or as the npm client packed it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..spec.errors import UserError
from .web_page import WEB

HERE = WEB / "runtime"
ABOUT = "onnxruntime-web.json"
SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
LARGEST = 1 << 28  # bytes of a package


@dataclass(frozen=True)
class WebRuntime:
    """The two files of one version; `sha512` is that of the npm package, as the registry states it."""

    version: str
    licence: str
    sha512: str
    script: bytes
    wasm: bytes

    def __str__(self) -> str:
        return f"onnxruntime-web {self.version}"


def vendored() -> WebRuntime:
    """The version that this package holds. Raises `UserError` where a file of it is damaged."""
    about: dict[str, Any] = json.loads((HERE / ABOUT).read_text(encoding="utf-8"))
    script, wasm = (gzip.decompress((HERE / f"{name}.gz").read_bytes()) for name in (SCRIPT, WASM))
    for name, content in ((SCRIPT, script), (WASM, wasm)):
        if hashlib.sha256(content).hexdigest() != about["files"][name]["sha256"]:
            raise UserError(f"{HERE / name}.gz: not as it was vendored; install reslearn again")
    return WebRuntime(about["version"], about["license"], about["sha512"], script, wasm)


def packed_runtime(path: str | os.PathLike[str]) -> WebRuntime:
    """That of a package that `npm pack onnxruntime-web` wrote. Raises `UserError` for any other file."""
    where = Path(path)
    wrong = f"--runtime {where}: not a package of onnxruntime-web; make one with: npm pack onnxruntime-web"
    try:
        status = where.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:  # a pipe would be waited for
            raise UserError(wrong)
        content = where.read_bytes()
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            about = json.loads(_member(archive, "package/package.json"))
            script, wasm = (_member(archive, f"package/dist/{name}") for name in (SCRIPT, WASM))
    except FileNotFoundError:
        raise UserError(f"--runtime {where}: no such file; make one with: npm pack onnxruntime-web") from None
    except (OSError, tarfile.TarError, zlib.error, KeyError, ValueError, EOFError, RecursionError):
        raise UserError(wrong) from None
    if not isinstance(about, dict) or about.get("name") != "onnxruntime-web":
        raise UserError(wrong)
    sha512 = base64.b64encode(hashlib.sha512(content).digest()).decode()
    return WebRuntime(str(about.get("version")), str(about.get("license")), f"sha512-{sha512}", script, wasm)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.getmember(name)
    file = archive.extractfile(member) if member.size <= LARGEST else None
    if file is None:
        raise KeyError(name)
    return file.read()
