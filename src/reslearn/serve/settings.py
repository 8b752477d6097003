"""What a server is told, as one value that is checked once."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_args

from ..data.formats.decode import MAX_PIXELS
from ..spec.choices import Engine
from ..spec.errors import UserError, check_choice, unknown
from ..spec.sizes import parse_size

NEEDS = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")  # the extra `serve`
LogFormat = Literal["text", "json"]
LARGEST_BODY = 1 << 30  # bytes; a body is held in memory


class Options(TypedDict, total=False):
    """The settings as `create_app` takes them."""

    engine: Engine | None
    max_batch: int
    max_wait_ms: float
    queue: int
    max_bytes: int | str
    max_pixels: int
    timeout_s: float
    grace_s: float
    receive_s: float
    api_key_file: str | os.PathLike[str] | None
    reload: bool
    log_format: LogFormat


@dataclass(frozen=True)
class Settings:
    """`queue` bounds the pictures of one model that are accepted and not yet answered; a request with more is refused.

    Raises `UserError` for a value that there is not.
    """

    engine: Engine | None = None
    max_batch: int = 32  # pictures that are scored at once
    max_wait_ms: float = 5.0  # that a picture may wait for others, while others are on their way
    queue: int = 256
    max_bytes: int = 16 << 20  # of a request's body
    max_pixels: int = 89_000_000  # of one picture
    timeout_s: float = 30.0  # from the whole request to its answer
    grace_s: float = 20.0  # from SIGTERM to the end
    receive_s: float = 20.0  # for a request to come in, and for an answer to be taken
    api_key_file: str | os.PathLike[str] | None = None
    reload: bool = False
    log_format: LogFormat = "text"

    def __post_init__(self) -> None:
        if self.engine is not None:
            check_choice("--engine", self.engine, get_args(Engine))
        check_choice("--log-format", self.log_format, get_args(LogFormat))
        _check_whole("--max-batch", self.max_batch, 4096)
        _check_whole("--queue", self.queue, 1 << 20)
        _check_whole("--max-bytes", self.max_bytes, LARGEST_BODY)
        _check_whole("--max-pixels", self.max_pixels, MAX_PIXELS)
        if not 0 <= self.max_wait_ms <= 10_000:
            raise UserError(f"--max-wait-ms is {self.max_wait_ms:g}; it must be in 0..10000")
        for option, seconds in (
            ("--timeout-s", self.timeout_s), ("--grace-s", self.grace_s), ("--receive-s", self.receive_s)
        ):  # fmt: skip
            if not 0 < seconds < math.inf:
                raise UserError(f"{option} is {seconds:g}; it must be a positive number of seconds")


def settings_of(options: Options) -> Settings:
    """The settings that `create_app` is given. Raises `UserError` for a name that is none of them."""
    names = list(Options.__annotations__)
    for name in options:
        if name not in names:
            raise unknown("setting of create_app", name, names)
    size = options.get("max_bytes", Settings.max_bytes)
    rest: dict[str, Any] = {name: value for name, value in options.items() if name != "max_bytes"}
    return Settings(max_bytes=size_of(size) if isinstance(size, str) else size, **rest)


def size_of(text: str) -> int:
    """Bytes of what `--max-bytes` was given. Raises `UserError` for what is no size."""
    return parse_size(text, "--max-bytes", "16MiB or 500kB")


def _check_whole(option: str, value: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise UserError(f"{option} is {value}; it must be a whole number in 1..{most}")
