"""Pages for people: `/`, `/docs`, and the files of `static/` that they use. Nothing on them comes from another host,
and the browser is told to allow nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from ..report.web_page import server_files
from .refusals import Refused

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".html": "text/html"}


def page_routes(openapi: Callable[[], dict[str, Any]]) -> APIRouter:
    """The routes of the pages; `openapi` says what the server offers."""
    routes = APIRouter(include_in_schema=False)
    files = static_files()

    @routes.get("/")
    async def home() -> Response:
        return page(files["index.html"])

    @routes.get("/docs")
    async def docs() -> Response:
        return page(_docs(openapi()))

    @routes.get("/static/{name}")
    async def static(name: str) -> Response:
        kind = next((kind for suffix, kind in KINDS.items() if name.endswith(suffix)), "")
        if name not in files or not kind:
            raise Refused(404, "no such file")
        return Response(files[name], headers={**HEADERS, "Cache-Control": "no-cache"}, media_type=kind)

    return routes


def page(content: str) -> Response:
    """A page under the policy."""
    return HTMLResponse(content, headers=HEADERS)


def static_files() -> Mapping[str, str]:
    """The files of the web page, and those of `static/`, by their names."""
    folder = resources.files(__package__) / "static"
    return {**server_files(), **{one.name: one.read_text("utf-8") for one in folder.iterdir() if one.is_file()}}


def _docs(openapi: Mapping[str, Any]) -> str:
    """Every route with what it takes and gives, as one page of HTML."""
    info = openapi["info"]
    parts = [f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>", f"<p>{escape(info['description'])}</p>"]
    parts.append('<p>The same for programs: <a href="openapi.json">openapi.json</a>.</p>')
    for path, methods in openapi["paths"].items():
        for method, told in methods.items():
            parts.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2>")
            parts += [f"<p>{escape(told[key])}</p>" for key in ("summary", "description") if key in told]
            parts += _parameters(told.get("parameters", []))
            body = told.get("requestBody")
            if body:
                kinds = ", ".join(body["content"])
                parts.append(f"<p>Body: {escape(kinds)}. {escape(body.get('description', ''))}</p>")
            rows = [(status, one["description"]) for status, one in told["responses"].items()]
            parts += _table(("status", "meaning"), rows)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>reslearn: what this server offers</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="static/serve.css"></head>'
        f"<body><main>{''.join(parts)}</main></body></html>"
    )


def _parameters(given: list[Mapping[str, Any]]) -> list[str]:
    rows = [
        (one["name"], one["in"], str(one["schema"].get("default", "")), one.get("description", "")) for one in given
    ]
    return _table(("name", "in", "default", "meaning"), rows) if rows else []


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    cells = [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows]
    return [f"<table><tr>{''.join(f'<th>{one}</th>' for one in head)}</tr>{''.join(cells)}</table>"]
