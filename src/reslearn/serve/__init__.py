"""A server of answers over HTTP. `reslearn.serve.create_app` is an ASGI app to mount elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

if TYPE_CHECKING:
    from fastapi import FastAPI

    from .models import Models
    from .settings import Options

__all__ = ["create_app"]


def create_app(models: Models, **settings: Unpack[Options]) -> FastAPI:
    """An ASGI app that answers pictures with `models`: a model, several as `NAME=MODEL`, or a mapping of names.

    A model is a run folder, a sealed or exported file, or what `reslearn.load` returned. `settings` are the options of
    `reslearn serve` by their Python names, such as `max_batch=32`; `docs/en/guide/serving.md` lists them. The models
    are opened and their threads started here; `app.state.service.close()`, or the app's lifespan, ends them. Raises
    `UserError` for a model that cannot be opened, a wrong setting, and where the extra `serve` is not installed.
    """
    from ..engine.needs import need
    from .settings import NEEDS, settings_of

    need(*NEEDS)
    from .app import build_app
    from .starting import start_service

    return build_app(start_service(models, settings_of(settings)))
