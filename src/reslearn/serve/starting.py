"""A service from models and settings: what is cheap to be wrong about is looked at first."""

from __future__ import annotations

from .metrics import Metrics
from .models import Models, named, open_slots
from .service import Service, read_keys
from .settings import Settings
from .watching import Watching


def start_service(models: Models, settings: Settings) -> Service:
    """The models opened, their threads begun. Raises `UserError` for what is wrong with either."""
    sources, metrics = named(models), Metrics()
    keys = () if settings.api_key_file is None else read_keys(settings.api_key_file)
    service = Service(open_slots(sources, settings, metrics), settings, metrics, keys)
    if settings.reload:
        Watching(service)
    return service
