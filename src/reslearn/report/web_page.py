"""The web page: its files as a server gives them out, and the same page as one HTML file with a model inside.

The scripts are modules without top-level names in common, so that one after another, without their imports and exports,
they are one script.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

# By this the head of such a page is known, and the page may be replaced (`runtime.replacing` looks for it).
MODEL_PAGE = '<meta name="application-name" content="reslearn model">'
WEB = Path(__file__).parent / "web"
# In this order, each after those that it imports.
ONE_FILE = (
    "words.js", "heat.js", "pictures.js", "card.js", "intake.js", "page.js", "sealed.js", "offline.js", "one_file.js",
)  # fmt: skip
ONLY_ONE_FILE = ("sealed.js", "offline.js", "one_file.js", "body.html", "index.html")
PARTS = ("bundle", "model", "runtime-js", "runtime-wasm")
_IMPORT = re.compile(r"^import \{[^}]*\} from \"\./[\w.]+\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?function|class|const)", re.MULTILINE)


@cache
def server_files() -> Mapping[str, str]:
    """`index.html`, and the files that it and its scripts name under `static/`, as texts by their names."""
    names = sorted(path.name for path in WEB.iterdir() if path.suffix in (".css", ".js"))
    found = {name: _text(name) for name in names if name not in ONLY_ONE_FILE}
    return found | {"index.html": _text("index.html").replace("<!-- body -->\n", _text("body.html"))}


def one_file(parts: Mapping[str, bytes], *, title: str) -> str:
    """The page as one HTML document that holds `parts`, by the names in `PARTS`, and checks each before it is used."""
    packed = {name: base64.b64encode(gzip.compress(parts[name], 9, mtime=0)).decode() for name in PARTS}
    digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in packed.items()}
    script = one_script()
    policy = (
        f"default-src 'none'; script-src 'sha256-{_digest(script)}' 'wasm-unsafe-eval' blob:; img-src data: blob:; "
        f"style-src 'sha256-{_digest(_text('page.css'))}'; base-uri 'none'; form-action 'none'"
    )
    holders = "".join(f'<script type="text/plain" id="part-{name}">{text}</script>\n' for name, text in packed.items())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
{MODEL_PAGE}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{_escaped(title)}</title>
<style>{_text("page.css")}</style>
</head>
<body>
{_text("body.html")}<script type="application/json" id="manifest">{_json({"parts": digests})}</script>
{holders}<script type="module">{script}</script>
</body>
</html>
"""


def one_script() -> str:
    """All modules of the one-file page as one."""
    texts = (_EXPORT.sub("", _IMPORT.sub("", _text(name))) for name in ONE_FILE)
    return "\n".join(texts)


def _text(name: str) -> str:
    return (WEB / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """As a content policy names what it allows."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
