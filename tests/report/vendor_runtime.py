"""`make vendor`: renew the onnxruntime-web that the package holds, with the npm client (VERSION: latest unless given).

The client checks what it downloads against the registry's sha512; it is checked here once more, and kept with version,
licence and the digests of both files.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import onnxruntime

from reslearn.report.web_runtime import ABOUT, HERE, SCRIPT, WASM, packed_runtime

NAME = "onnxruntime-web"


def main(version: str) -> None:
    """Write the runtime's files anew."""
    asked = f"{NAME}@{version}"
    promised = json.loads(npm("view", asked, "dist.integrity", "--json"))
    with tempfile.TemporaryDirectory() as folder:
        npm("pack", asked, "--pack-destination", folder)
        [package] = Path(folder).glob("*.tgz")
        found = packed_runtime(package)
    if found.sha512 != promised:
        sys.exit(f"{asked} has {found.sha512}, the registry states {promised}")
    HERE.mkdir(exist_ok=True)
    files = {SCRIPT: found.script, WASM: found.wasm}
    for name, content in files.items():
        keep(HERE / f"{name}.gz", content)
    about = {
        "name": NAME, "version": found.version, "license": found.licence, "sha512": found.sha512,
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        },
    }  # fmt: skip
    (HERE / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    licence = Path(onnxruntime.__file__).with_name("LICENSE").read_text(encoding="utf-8")  # of the same project
    (HERE / "LICENSE").write_text(licence, encoding="utf-8")
    print(f"{NAME} {found.version}: {sum((HERE / f'{name}.gz').stat().st_size for name in files):,} bytes gzipped")


def keep(where: Path, content: bytes) -> None:
    """Gzip `content` to `where`, unless it is there already: another zlib would write the same in other bytes."""
    if not where.exists() or gzip.decompress(where.read_bytes()) != content:
        where.write_bytes(gzip.compress(content, 9, mtime=0))


def npm(*arguments: str) -> str:
    """What the npm client prints."""
    return subprocess.run(["npm", *arguments], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "latest")
