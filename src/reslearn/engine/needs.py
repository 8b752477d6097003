"""Packages that only exports and other engines need: are they here, and how does one get them?"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any, get_args

from ..spec.choices import Engine
from ..spec.errors import UserError

OF_ENGINE: dict[Engine, tuple[str, ...]] = {
    "torch": (),
    "compiled": (),
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
}
TELLS_NOBODY = "ORT_DISABLE_TELEMETRY"
MAKES: dict[Engine, tuple[str, ...]] = {  # what making the graph of a sealed file needs besides
    "torch": (),
    "compiled": (),
    "onnxruntime": ("onnx", "onnxscript"),
    "openvino": (),
}


def need(*packages: str) -> None:
    """Raise `UserError` that says what to install unless all these packages are."""
    gone = [name for name in packages if not installed(name)]
    if gone:
        verb = "is" if len(gone) == 1 else "are"
        raise UserError(
            f"this needs {' and '.join(packages)}, and {', '.join(gone)} {verb} not installed; "
            f"run: pip install {' '.join(gone)}"
        )


def onnxruntime() -> Any:
    """The module; `UserError` where it is not installed. It is told to report nothing, unless its user says otherwise.

    From 1.29 on it sends what it runs, and a name that it keeps for this machine, unless this variable is set before it
    is first imported.
    """
    need("onnxruntime")
    os.environ.setdefault(TELLS_NOBODY, "1")
    import onnxruntime

    return onnxruntime


def engines_here() -> list[Engine]:
    """The engines that all packages are installed of, making their graphs included."""
    return [one for one in get_args(Engine) if all(map(installed, (*OF_ENGINE[one], *MAKES[one])))]


def installed(package: str) -> bool:
    """Whether a package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def versions(*packages: str) -> dict[str, str]:
    """Installed versions by name."""
    return {name: importlib.metadata.version(name) for name in packages if installed(name)}


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """While the exporters' packages work, they warn of nothing that nobody needs, and they tell nobody outside.

    OpenVINO's converter and NNCF report their use over the network, except where these variables say that a machine
    runs tests; NNCF reads its own once, when it is imported.
    """
    logs = [logging.getLogger(name) for name in ("torch.onnx", "nncf")]
    before = [(log, log.level) for log in logs], {name: os.environ.get(name) for name in ("CI", "NNCF_CI")}
    os.environ.setdefault(TELLS_NOBODY, "1")
    try:
        os.environ.update(CI="true", NNCF_CI="1")
        for log in logs:
            log.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in before[0]:
            log.setLevel(level)
        for name, value in before[1].items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
